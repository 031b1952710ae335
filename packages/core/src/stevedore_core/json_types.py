"""What in a declared type a JSON Schema cannot say, or nobody would read. `payload_types` asks.

msgspec and pydantic name no field when they refuse a type, and pass over the other's constraints.
"""

from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from stevedore_core.arrays import ARRAY_KEY
from stevedore_core.errors import describe
from stevedore_core.strict_json import Json

__all__ = ["TypeRead", "read_type"]

_OBJECTS = (dict, Mapping, MutableMapping)
_GROUPS = (Union, UnionType, Required, NotRequired, list, tuple, Collection, Sequence)
_PLAIN = (str, int, float, bool, NoneType, list, tuple, dict)
_TEXT = "JSON has text there, of any form; use `str`, with a `pattern` for the form"
_INSTEAD = {
    **dict.fromkeys(("date", "datetime", "time", "timedelta", "UUID"), _TEXT),
    **dict.fromkeys(("bytes", "bytearray", "memoryview"), "JSON has text only; use `str`"),
    **dict.fromkeys(("set", "frozenset"), "JSON has arrays only; use `list`"),
    "Decimal": "a payload holds a number there; use `float`",
    "complex": "JSON has no such number; use `tuple[float, float]`",
    "ndarray": "use `Annotated[list[float], array(…)]`",
    "DataFrame": "use `list` of a `TypedDict`, one key for each column",
}
"""By the name of a class: why it does not go, and what does."""
_ANY_OTHER = (
    "it is no JSON value; use `str`, `int`, `float`, `bool`, `None`, `list`, `dict`, `Literal`, or "
    "a class with fields of these"
)
_FOREIGN = ("annotated_types", "pydantic")
_FOR_PYDANTIC = ("__get_pydantic_core_schema__", "__get_pydantic_json_schema__")
_SCALARS = {"number": "float", "integer": "int", "boolean": "bool"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeRead:
    """What there is to know of a type before a schema is made of it."""

    objections: tuple[str, ...]
    """A sentence for each place that has no schema. A field is called as `Customer.age`."""
    is_of_pydantic: bool
    """Whether it is a pydantic model or has one inside."""
    orders: Mapping[frozenset[str], tuple[str, ...]]
    """By the names of the fields of each class: the order in which these are declared."""


def read_type(kind: Any, name: str) -> TypeRead:
    """Look at a type and all that it is made of; `name` is what it is called."""
    reading = _Reading(by_pydantic=True)
    said = tuple(reading.of(kind, name))
    is_of_pydantic = any(hasattr(read, "__pydantic_core_schema__") for read in reading.classes)
    if not is_of_pydantic:
        reading = _Reading(by_pydantic=False)
        said = tuple(reading.of(kind, name))
    return TypeRead(
        objections=said,
        is_of_pydantic=is_of_pydantic,
        orders={frozenset(names): names for names in reading.classes.values()},
    )


class _Reading:
    """Walks through a type, each class once; `classes` are those it came to, with their fields."""

    def __init__(self, *, by_pydantic: bool) -> None:
        self.classes: dict[Any, tuple[str, ...]] = {}
        self._by_pydantic = by_pydantic

    def of(self, kind: Any, where: str) -> Iterator[str]:
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (Literal, ClassVar) or kind is Any or isinstance(kind, TypeVar):
            return
        if origin is Annotated:
            yield from self._of_annotated(arguments, where)
        elif isinstance(kind, NewType):
            yield from self.of(kind.__supertype__, where)
        elif hasattr(kind, "__value__"):  # what the statement `type` makes, since Python 3.12
            yield from self.of(kind.__value__, where)
        elif origin is None:
            yield from self._of_class(kind, where)
        else:
            yield from self._of_generic(origin, arguments, where)

    def _of_annotated(self, arguments: tuple[Any, ...], where: str) -> Iterator[str]:
        kind, *constraints = arguments
        for constraint in constraints:
            owner = type(constraint).__module__.partition(".")[0]
            if self._by_pydantic and owner == "msgspec":
                yield f"`{where}`: pydantic does not read `Meta` and `array`; use `pydantic.Field`"
            if not self._by_pydantic and owner in _FOREIGN:
                said = type(constraint).__name__
                yield f"`{where}`: only pydantic's models read `{said}`; use `msgspec.Meta`"
            if isinstance(constraint, msgspec.Meta):
                array = (constraint.extra_json_schema or {}).get(ARRAY_KEY)
                wanted, found = _spelled_array(array), _spelled(kind)
                if array is not None and kind is not Any and wanted != found:
                    yield f"`{where}`: expected `{wanted}`, which this `array` is, found `{found}`"
        yield from self.of(kind, where)

    def _of_generic(self, origin: Any, arguments: tuple[Any, ...], where: str) -> Iterator[str]:
        if origin in _OBJECTS and arguments[0] is not str:
            found = _spelled(arguments[0])
            yield f"`{where}`: expected keys of `str`, as JSON has them, found `{found}`"
            arguments = arguments[1:]
        if origin not in (*_OBJECTS, *_GROUPS):
            said = list(self._of_class(origin, where))
            yield from said
            arguments = () if said else arguments
        for argument in arguments:
            if argument is not Ellipsis:
                yield from self.of(argument, where)

    def _of_class(self, kind: Any, where: str) -> Iterator[str]:
        if kind is None or kind in _PLAIN or (isinstance(kind, type) and issubclass(kind, Enum)):
            return
        name = _spelled(kind)
        if not _has_fields(kind):
            is_known = any(hasattr(kind, method) for method in _FOR_PYDANTIC)
            if name in _INSTEAD or not (self._by_pydantic and is_known):
                yield f"`{where}`: `{name}`: {_INSTEAD.get(name, _ANY_OTHER)}"
        elif kind not in self.classes:
            self.classes[kind] = ()
            try:
                fields = _fields(kind)
            except Exception as error:  # noqa: BLE001  # annotations may hold any expression
                yield f"`{name}`: its annotations cannot be read: {describe(error)}"
                return
            self.classes[kind] = tuple(fields)
            for field, inner in fields.items():
                yield from self.of(inner, f"{name}.{field}")


def _has_fields(kind: Any) -> bool:
    return isinstance(kind, type) and (
        (issubclass(kind, dict) and hasattr(kind, "__total__"))  # of typing or typing_extensions
        or is_dataclass(kind)
        or issubclass(kind, msgspec.Struct)
        or _is_model(kind)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def _fields(kind: Any) -> dict[str, Any]:
    if _is_model(kind):  # not all of its hints can be read at run time
        return {
            name: Annotated[(field.annotation, *field.metadata)]
            if field.metadata
            else field.annotation
            for name, field in kind.model_fields.items()
        }
    return get_type_hints(kind, include_extras=True)


def _is_model(kind: Any) -> bool:
    """Tell whether a class is a model of pydantic's."""
    return hasattr(kind, "__pydantic_core_schema__") and hasattr(kind, "model_fields")


def _spelled_array(schema: Json) -> str:
    """Return how a type checker calls what `array` declares."""
    if not isinstance(schema, dict):
        return ""
    if schema["type"] == "array":
        return f"list[{_spelled_array(schema['items'])}]"
    return _SCALARS[str(schema["type"])]


def _spelled(kind: Any) -> str:
    """Return a type as its author would write it, without constraints."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _spelled(arguments[0])
    name = getattr(origin or kind, "__name__", str(kind))
    inner = ", ".join(_spelled(argument) for argument in arguments)
    return f"{name}[{inner}]" if inner else name
