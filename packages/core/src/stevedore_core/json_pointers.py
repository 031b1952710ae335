"""JSON Pointers (RFC 6901): `/rows/0/a~1b` is the key `a/b` of the first of the `rows`.

Whoever names a place in a payload or a schema writes one, whoever follows a `$ref` reads one.
"""

from collections.abc import Iterable, Sequence

from stevedore_core.strict_json import Json

__all__ = ["escape", "follow", "pointer_of", "steps_of"]


def escape(key: str) -> str:
    """Return a key as a step of a pointer: `a~1b` for `a/b`, `a~0b` for `a~b`."""
    return key.replace("~", "~0").replace("/", "~1")


def pointer_of(steps: Iterable[str | int]) -> str:
    """Return the pointer that takes these steps: keys of objects, and places in arrays from 0."""
    return "".join(f"/{escape(str(step))}" for step in steps)


def steps_of(pointer: str) -> list[str]:
    """Return the steps of a pointer. What stands before its first `/` is none: `#` in a `$ref`."""
    # The other way round, `~01`, which is the key `~1`, would become `/`.
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def follow(document: Json, steps: Sequence[str]) -> tuple[Json, int]:
    """Return what is reached by these steps, and how many of them lead somewhere."""
    for number, step in enumerate(steps):
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return document, number
    return document, len(steps)
