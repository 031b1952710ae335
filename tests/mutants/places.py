"""Places in a document of JSON or TOML, and copies of it that are another in one of them."""

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Place", "at", "dropped", "places", "put", "renamed", "spelt"]

Place = tuple[str | int, ...]


def places(document: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield every place of a document but the outermost, with what stands there."""
    inner: Iterable[tuple[Any, Any]] = document.items() if isinstance(document, dict) else ()
    if isinstance(document, list):
        inner = enumerate(document)
    for step, value in inner:
        yield (*place, step), value
        yield from places(value, (*place, step))


def at(document: Any, place: Place) -> Any:
    """Return what stands at a place."""
    for step in place:
        document = document[step]
    return document


def put(document: Any, place: Place, value: Any) -> Any:
    """Return a document with another value at a place, which may be new."""
    if not place:
        return value
    first, rest = place[0], place[1:]
    if isinstance(document, list):
        index = int(first)
        return [*document[:index], put(document[index], rest, value), *document[index + 1 :]]
    return {**document, first: put(document.get(first), rest, value)}


def dropped(document: Any, place: Place) -> Any:
    """Return a document without a place."""
    parent = at(document, place[:-1])
    if isinstance(parent, list):
        less: Any = [item for index, item in enumerate(parent) if index != place[-1]]
    else:
        less = {key: value for key, value in parent.items() if key != place[-1]}
    return put(document, place[:-1], less)


def renamed(document: Any, place: Place, name: str) -> Any:
    """Return a document in which a key has another name, in the same order."""
    parent = at(document, place[:-1])
    other = {name if key == place[-1] else key: value for key, value in parent.items()}
    return put(document, place[:-1], other)


def spelt(name: str, *, case: bool = True) -> list[str]:
    """Return a name misspelt in three ways: a letter less, two swapped, the other case."""
    start = next((i for i, letter in enumerate(name) if letter.isalpha()), 0)
    swaps = [
        name[:i] + name[i + 1] + name[i] + name[i + 2 :]
        for i in sorted(range(len(name) - 1), key=lambda i: abs(i - len(name) // 2))
        if name[i] != name[i + 1]
    ]
    forms = [name[:-1], *swaps[:1]]
    forms += [name[:start] + name[start].swapcase() + name[start + 1 :]] if case else []
    return [form for form in dict.fromkeys(forms) if form and form != name]
