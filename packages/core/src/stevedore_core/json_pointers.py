"""JSON Pointers (RFC 6901): `/rows/0/a~1b` is the key `a/b` of the first of the `rows`.

Whoever names a place in a payload or a schema writes one, whoever follows a `$ref` reads one.
"""

from collections.abc import Iterable

__all__ = ["escape", "pointer_of", "steps_of"]


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
