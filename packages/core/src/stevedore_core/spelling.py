"""What somebody may have meant by a name that is not known. Whoever refuses one asks."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["closest", "did_you_mean"]


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like a word, `None` if none is much like it."""
    names = sorted(known)
    if found := get_close_matches(word, names, n=1):
        return found[0]
    # What is short, or in capitals, is not much like anything letter by letter.
    lower = {name.lower(): name for name in names}
    near = get_close_matches(word.lower(), list(lower), n=1)
    near += [name for name in lower if sorted(name) == sorted(word.lower())]
    return lower[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that asks for the closest name; nothing if there is none."""
    name = closest(word, known)
    return "" if name is None else f"; did you mean `{name}`?"
