"""Mutants of the files that this repository ships, made by the rules of `rules.toml`.

`catching` shows them to the checks. A mutant says what a good message about it names: the file, one
of some keys, and one of some hints.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import tomlkit
from places import Place, at, dropped, places, put, renamed, spelt

__all__ = ["ROOT", "RULES", "Mutant", "make_mutants"]

ROOT: Final = Path(__file__).parents[2]
RULES: Final[Mapping[str, Mapping[str, str]]] = tomllib.loads(
    (Path(__file__).parent / "rules.toml").read_text(encoding="utf-8")
)

_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_BY_NAME: Final = ("$defs", "properties")
_PAIRS: Final = (("minimum", "maximum"), ("minItems", "maxItems"))
_COUNTS: Final = ("minItems", "maxItems")
_HINTS: Final = ("expected ", "did you mean ", "run `")
_TOML_BLOCK: Final = re.compile(r"```toml\n(.*?)```", re.DOTALL)
_OF_THE_PARSER: Final = (
    "a wrong address",
    "a wrong name",
    "another kind of value",
    "drop a required key",
    "misspell a choice",
    "misspell a key",
    "out of range",
    "the same twice",
)
"""Rules for the manifest that the documents show with every key: what it names is not there."""
_OF_TEXTS: Final = ("line ", "expected ", "at end of document")
"""What is no document is mended where it breaks."""
_FOR_PEOPLE: Final = ("title", "description")
_LAST_COUNT: Final = 100
"""Arrays are made longer than they may be up to here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """A shipped file with one mistake in it."""

    kind: str
    rule: str
    file: Path
    """The file, relative to the repository."""
    what: str
    """What was done, in a few words."""
    content: bytes | None
    """The file's new content; `None` if it is gone."""
    beside: Mapping[str, bytes] = field(default_factory=dict, hash=False)
    """Other files that came, by name."""
    keys: tuple[str, ...] = ()
    """A good message names one of them; nothing if it only has to name the file."""
    hints: tuple[str, ...] = _HINTS
    """A good message has one of them."""


def make_mutants(root: Path = ROOT) -> list[Mutant]:
    """Return all mutants, in a fixed order."""
    mutants: list[Mutant] = []
    for package in sorted(path.parent for path in root.glob("models/*/pyproject.toml")):
        (source,) = (package / "src").iterdir()
        for schema in ("predict", "score"):
            mutants += _of_schema(source / f"{schema}.schema.json")
            mutants += _of_example(source, schema)
        mutants += _of_weights(source / "weights" / "weights.toml")
        mutants += _of_project(package / "pyproject.toml")
    for manifest in sorted(root.glob("compositions/*/composition.toml")):
        mutants += _of_manifest(manifest, manifest.read_text(encoding="utf-8"))
    document = root / "docs" / "manifest.md"
    (example,) = _TOML_BLOCK.findall(document.read_text(encoding="utf-8"))
    mutants += [m for m in _of_manifest(document, example) if m.rule in _OF_THE_PARSER]
    return [replace(mutant, file=mutant.file.relative_to(root)) for mutant in mutants]


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _toml(document: Any) -> bytes:
    return tomlkit.dumps(document).encode()


def _pointer(place: Place) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in place)
    return "`" + "".join(f"/{step}" for step in steps) + "`"


def _quoted(names: Iterable[object]) -> tuple[str, ...]:
    return tuple(f"`{name}`" for name in names)


# Schemas.


def _of_schema(file: Path) -> Iterator[Mutant]:
    schema = json.loads(file.read_text(encoding="utf-8"))
    made = partial(_schema_mutant, file)
    for place, value in places(schema):
        if _is_keyword(place):
            yield from _of_names(made, schema, place)
            yield from _of_values(made, schema, place)
            for other in _other_kinds(value) if place[-1] not in _FOR_PEOPLE else []:
                what = f"{other!r:.30} at {_pointer(place)}"
                to = put(schema, place, other)
                yield made("another kind of value", what, to, [_pointer(place)])
    yield from _of_text(file, "schemas", file.read_bytes(), str(next(iter(schema))))


def _of_names(made: Any, schema: Any, place: Place) -> Iterator[Mutant]:
    """Misspell a keyword, and the names that stand in its value."""
    key, value, here = str(place[-1]), at(schema, place), _pointer(place)
    for name in spelt(key):
        to, either = renamed(schema, place, name), (_pointer((*place[:-1], name)), here)
        yield made("misspell a keyword", f"{name} for {here}", to, either, key)
    for inner in value if key in _BY_NAME else ():
        rule = "misspell a property" if key == "properties" else "misspell a definition"
        for name in spelt(inner):
            if name not in value:
                to = renamed(schema, (*place, inner), name)
                keys = _quoted((name, inner, f"#/{key}/{inner}"))
                what = f"{name} for {_pointer((*place, inner))}"
                yield made(rule, what, to, keys, name, f"#/{key}/{name}")
    for keyword, rule in (("$ref", "misspell a definition"), ("$schema", "misspell the draft")):
        for name in spelt(value) if key == keyword else ():
            to = put(schema, place, name)
            yield made(rule, f"{name} for {here}", to, [here], value)
    if key == "required":
        yield from _of_required(made, schema, place)


def _of_values(made: Any, schema: Any, place: Place) -> Iterator[Mutant]:
    """Put a wrong value in the place of a keyword's, or none."""
    key, value, here = str(place[-1]), at(schema, place), _pointer(place)
    if key == "type":
        yield from _of_type(made, schema, place)
    if key in {"$schema", "type"}:
        yield made("drop a required keyword", f"no {here}", dropped(schema, place), [here])
    for other in (-1, value + 0.5) if key in _COUNTS else ():
        to = put(schema, place, other)
        yield made("a count that is none", f"{other} at {here}", to, [here])
    parent = at(schema, place[:-1])
    for lower, upper in _PAIRS:
        if key == lower and upper in parent and parent[upper] != value:
            to = put(put(schema, place, parent[upper]), (*place[:-1], upper), value)
            keys = (here, _pointer((*place[:-1], upper)))
            yield made("bounds that leave nothing", f"{here} and `{upper}`", to, keys)
    for number, item in enumerate(value if key == "enum" else ()):
        other = item[:-1] if isinstance(item, str) else str(item)
        to = put(schema, (*place, number), other)
        yield made("misspell a listed value", f"{other} at {here}", to, [here])


def _schema_mutant(
    file: Path, rule: str, what: str, to: Any, keys: Iterable[str], *hints: str
) -> Mutant:
    return Mutant(
        kind="schemas", rule=rule, file=file, what=what, content=_json(to), keys=tuple(keys),
        hints=_quoted(hints) or _HINTS,
    )  # fmt: skip


def _is_keyword(place: Place) -> bool:
    """Tell whether the last step of a place is a keyword, not a name or a position."""
    is_name = False
    for step in place[:-1]:
        is_name = not is_name and step in _BY_NAME
    return isinstance(place[-1], str) and not is_name


def _of_required(made: Any, schema: Any, place: Place) -> Iterator[Mutant]:
    for number, name in enumerate(at(schema, place)):
        here = (*place, number)
        for form in spelt(name):
            to = put(schema, here, form)
            yield made("misspell a required name", f"{form} in {_pointer(place)}", to,
                       [_pointer(here), f"`{form}`"], name)  # fmt: skip
        keys = [_pointer(here), _pointer(place), f"`{name}`"]
        what = f"no {name} in {_pointer(place)}"
        yield made("drop a required name", what, dropped(schema, here), keys)
    keys = [_pointer(place), *_quoted(at(schema, place))]
    yield made("drop a required name", f"no {_pointer(place)}", dropped(schema, place), keys)


def _of_type(made: Any, schema: Any, place: Place) -> Iterator[Mutant]:
    value = at(schema, place)
    for form in spelt(value):
        to, what = put(schema, place, form), f"{form} at {_pointer(place)}"
        yield made("misspell a type", what, to, [_pointer(place)], value)
    for other in _TYPES:
        if other != value:
            to, what = put(schema, place, other), f"{other} at {_pointer(place)}"
            yield made("another type", what, to, [_pointer(place)])


def _other_kinds(value: Any) -> list[Any]:
    """Return values of other kinds that somebody might write."""
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, int | float):
        return [str(value)]
    if isinstance(value, str):
        return [1]
    if isinstance(value, list):
        return [{str(number): item for number, item in enumerate(value)}]
    return [list(value.values())] if isinstance(value, dict) else []


def _of_text(file: Path, kind: str, content: bytes, first: str) -> Iterator[Mutant]:
    """Yield what is no document any more; for JSON and for TOML alike."""
    rule = "a document that is none"
    made = partial(Mutant, kind=kind, rule=rule, file=file, hints=_OF_TEXTS)
    text = content.decode()
    cut = max(text.rfind(closing) for closing in "]}")
    yield made(what="a bracket less", content=(text[:cut] + text[cut + 1 :]).encode())
    if file.suffix == ".toml":
        line = next(line for line in text.splitlines() if re.match(r"[a-z-]+ = ", line))
        yield made(what="a key twice", content=text.replace(line, f"{line}\n{line}", 1).encode())
    else:
        comma = re.sub(r"([\]}])\s*$", r",\1", text)
        yield made(what="a comma too many", content=comma.encode())
        twice = re.sub(rf'("{re.escape(first)}": ?)', rf'"{first}": null, \1', text, count=1)
        if twice != text:
            yield made(what="a key twice", content=twice.encode())
    if kind in {"schemas", "examples", "weights"}:
        yield made(what="gone", content=None)
        for name in spelt(file.name.partition(".")[0]):
            other = f"{name}.{file.name.partition('.')[2]}"
            yield made(
                what=f"called {other}",
                content=None,
                beside={other: content},
                hints=(f"{other}`",),
            )


# Examples.


def _of_example(source: Path, kind: str) -> Iterator[Mutant]:
    file, schema_file = source / "examples" / f"{kind}.json", source / f"{kind}.schema.json"
    example = json.loads(file.read_text(encoding="utf-8"))
    schema = json.loads(schema_file.read_text(encoding="utf-8"))
    made = partial(_example_mutant, file, example)
    for place, value, part in _described(schema, example, schema, ()):
        yield from _of_value(made, place, value, part)
        if isinstance(value, list):
            yield from _of_array(made, place, value, part)
        if isinstance(value, dict):
            yield from _of_object(made, place, value, part)
    yield made("in an envelope", "`payload`", (), {"payload": example})
    other = "score" if kind == "predict" else "predict"
    content = (source / "examples" / f"{other}.json").read_bytes()
    exchanged = made("the other's example", other, (), None)
    yield replace(exchanged, content=content, keys=("`/0`", "``"))
    first = example[0] if isinstance(example, list) else example
    key = next(iter(first), "") if isinstance(first, dict) else ""
    yield from _of_text(file, "examples", file.read_bytes(), key)
    text = re.sub(r"\d+(\.\d+)?", "NaN", file.read_text(encoding="utf-8"), count=1)
    broken = made("a document that is none", "NaN", (), None)
    yield replace(broken, content=text.encode(), keys=(), hints=_OF_TEXTS)


def _example_mutant(  # noqa: PLR0913, PLR0917  # each is a field
    file: Path, example: Any, rule: str, what: str, place: Place, value: Any, *hints: str
) -> Mutant:
    return Mutant(
        kind="examples", rule=rule, file=file, what=what, content=_json(put(example, place, value)),
        keys=(_pointer(place) if place else "``",), hints=_quoted(hints) or _HINTS,
    )  # fmt: skip


def _of_value(made: Any, place: Place, value: Any, part: Any) -> Iterator[Mutant]:
    here = _pointer(place)
    others: list[Any] = [None, True, "text", 0.5, [], {}]
    for other in others:
        is_number = part.get("type") == "number" and isinstance(other, float)
        if type(other) is not type(value) and not is_number:
            yield made("another type", f"{other!r} at {here}", place, other)
    for bound, step in (("minimum", -1), ("maximum", 1)):
        if bound in part:
            yield made("out of range", f"`{bound}` at {here}", place, part[bound] + step)
    if "enum" in part:
        yield made("not listed", here, place, "no such")


def _of_array(made: Any, place: Place, value: list[Any], part: Any) -> Iterator[Mutant]:
    counts = [part["minItems"] - 1] if part.get("minItems") else []
    counts += [part["maxItems"] + 1] if part.get("maxItems", _LAST_COUNT) < _LAST_COUNT else []
    for count in counts:
        other = (value * (count // len(value) + 1))[:count]
        yield made("wrong length", f"{count} at {_pointer(place)}", place, other)


def _of_object(made: Any, place: Place, value: dict[str, Any], part: Any) -> Iterator[Mutant]:
    for key in part.get("required", []):
        what = f"no {_pointer((*place, key))}"
        yield made("drop a required key", what, place, dropped(value, (key,)), key)
    for key in value:
        for name in spelt(key):
            what = f"{name} for {_pointer((*place, key))}"
            yield made("misspell a key", what, place, renamed(value, (key,), name), key)
    yield made("a key too many", _pointer(place), place, {**value, "no such": 1})


def _described(
    schema: Any, value: Any, root: Any, place: Place
) -> Iterator[tuple[Place, Any, dict[str, Any]]]:
    """Yield the places of an example with their schemas; of an array, the first item only."""
    if "$ref" in schema:
        schema = at(root, tuple(schema["$ref"].removeprefix("#/").split("/")))
    yield place, value, schema
    if isinstance(value, list) and value:
        yield from _described(schema.get("items", {}), value[0], root, (*place, 0))
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for key in sorted(value.keys() & known.keys()):
            yield from _described(known[key], value[key], root, (*place, key))


# Tables: records of weights, projects, manifests.


def _table_mutant(  # noqa: PLR0913, PLR0917  # each is a field
    kind: str, file: Path, rule: str, what: str, to: Any, keys: Iterable[str], *hints: str
) -> Mutant:
    said = _quoted(hints) or _HINTS
    return Mutant(
        kind=kind, rule=rule, file=file, what=what, content=_toml(to), keys=tuple(keys), hints=said
    )


def _path(place: Place) -> str:
    """Return a place as messages name it, up to its first position."""
    text = ""
    for step in place:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def _named(*found: Place) -> list[str]:
    """Return how a message may name places: by the whole path, or with quotes about its parts."""
    return [
        form
        for place in found
        for form in (
            f"`{_path(place)}`",
            "`" + _path(place).replace("ml_py_stevedore.models", '"ml_py_stevedore.models"') + "`",
        )
    ]


def _misspelt_keys(
    made: Any, document: Any, rule: str, skipped: Iterable[Place] = ()
) -> Iterator[Mutant]:
    for place, _ in places(document):
        key = place[-1]
        if isinstance(key, int) or place in skipped:
            continue
        for name in spelt(key):
            if name not in at(document, place[:-1]):
                to = renamed(document, place, name)
                what = f"{name} for `{_path(place)}`"
                yield made(rule, what, to, _named((*place[:-1], name), place), key)


def _other_values(made: Any, document: Any, skipped: Iterable[Place] = ()) -> Iterator[Mutant]:
    for place, value in places(document):
        if place in skipped:
            continue
        others: list[Any] = [1, ["one"]] if isinstance(value, str) else ["text"]
        others += [{"key": "value"}] if isinstance(value, str) else []
        others += [1] if isinstance(value, list) else []
        for other in others:
            to, what = put(document, place, other), f"{other!r} at `{_path(place)}`"
            keys = _named(place, (*place, 0), (*place, "key"))
            keys += _named(place[:-1]) if isinstance(place[-1], int) else []
            yield made("another kind of value", what, to, keys)


def _of_weights(file: Path) -> Iterator[Mutant]:
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    made = partial(_table_mutant, "weights", file)
    yield from _misspelt_keys(made, document, "misspell a key")
    yield from _other_values(made, document)
    for place in (("created",), ("sha256",), *(("sha256", name) for name in document["sha256"])):
        to, what = dropped(document, place), f"no `{_path(place)}`"
        yield made("drop a required key", what, to, _named(place))
    for name, digest in document["sha256"].items():
        flipped = ("1" if digest[0] == "0" else "0") + digest[1:]
        for other in (flipped, digest[:-1], digest.upper(), f"sha256:{digest}"):
            to, what = put(document, ("sha256", name), other), f"{other:.12}…"
            yield made("a wrong digest", what, to, _named(("sha256", name)))
    moment = document["created"]
    for other in (moment.replace(tzinfo=None), moment.date(), moment.replace(year=9999)):
        to = put(document, ("created",), other)
        yield made("a wrong time", str(other), to, _named(("created",)))
    to = put(document, ("sha256", "other.bin"), "0" * 64)
    yield made("a file too many", "recorded", to, _named(("sha256", "other.bin")))
    yield replace(
        made("a file too many", "not recorded", document, _named(("sha256", "other.bin"))),
        beside={"other.bin": b"0"},
    )
    yield from _of_text(file, "weights", file.read_bytes(), "created")


def _of_project(file: Path) -> Iterator[Mutant]:
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    made = partial(_table_mutant, "projects", file)
    group = ("project", "entry-points", "ml_py_stevedore.models")
    wheel = ("tool", "hatch", "build", "targets", "wheel", "packages")
    model = file.parent.name
    entry = (*group, model)
    yield from _misspelt_keys(made, document, "misspell a key", skipped=[group, entry, ("tool",)])
    yield from _other_values(made, document, skipped=[("tool",)])
    needed: list[Place] = [("build-system", "requires"), ("build-system", "build-backend")]
    needed += [("project", key) for key in ("name", "version", "requires-python", "dependencies")]
    for place in (*needed, ("project", "entry-points"), group, entry, wheel):
        to, what = dropped(document, place), f"no `{_path(place)}`"
        keys = _named(place, group) if place == entry else _named(place)
        yield made("drop a required key", what, to, keys)
    for version in ("1.0", "v1.0.0", "1.0.0.0", "latest", ""):
        to = put(document, ("project", "version"), version)
        yield made("a wrong version", version, to, _named(("project", "version")))
    yield from _wrong_names(made, document, wheel)
    for name in spelt("ml_py_stevedore.models"):
        keys = _named((*group[:-1], name), group)
        to = renamed(document, group, name)
        yield made(
            "a wrong entry point",
            name,
            to,
            [*keys, f'`project.entry-points."{name}"`'],
            "ml_py_stevedore.models",
        )
    for name in spelt(model):
        yield made(
            "a wrong entry point", name, renamed(document, entry, name), _named(group), model
        )
    module, _, function = at(document, entry).partition(":")
    for wrong, right in (
        *((f"{name}:{function}", module) for name in spelt(module)),
        *((f"{module}:{name}", function) for name in spelt(function)),
    ):
        yield made("a wrong entry point", wrong, put(document, entry, wrong), _named(entry), right)
    yield made("a wrong entry point", module, put(document, entry, module), _named(entry))
    to = put(document, (*group, "other"), at(document, entry))
    yield made("a wrong entry point", "two", to, _named(group))
    for python in (">=4", "<3.11", "three"):
        to = put(document, ("project", "requires-python"), python)
        yield made("a wrong Python", python, to, _named(("project", "requires-python")))
    for name in spelt(document["project"]["readme"]):
        to = put(document, ("project", "readme"), name)
        yield made(
            "a file that is missing",
            name,
            to,
            _named(("project", "readme")),
            document["project"]["readme"],
        )
    yield from _wrong_backends(made, document)
    yield from _of_text(file, "projects", file.read_bytes(), "name")


def _wrong_names(made: Any, document: Any, wheel: Place) -> Iterator[Mutant]:
    rule = "a wrong package name"
    for place in (("project", "name"), (*wheel, 0)):
        value = at(document, place)
        for name in spelt(value):
            keys = _named(place, place[:-1])
            yield made(rule, name, put(document, place, name), keys, value, f"['{value}']")
    for number, requirement in enumerate(document["project"]["dependencies"]):
        place = ("project", "dependencies", number)
        name = str(re.split(r"[<>=]", requirement)[0])
        for form in spelt(name, case=False):  # case does not count in names of distributions
            to = put(document, place, requirement.replace(name, form, 1))
            yield made(rule, form, to, [*_named(place), "`project.dependencies`"], name)
        keys = _named(place)
        if name != "ml-py-stevedore-core":
            to = put(document, place, f"{name}==99.0.0")
            anywhere = [*keys, "`project.dependencies`"]
            yield made("a version that does not exist", f"{name}==99.0.0", to, anywhere)
        to = put(document, place, f"{name}=>1")
        yield made("a version that does not exist", f"{name}=>1", to, keys)
        to = put(document, place, f"{name} @ https://wheels.example/{name}.whl")
        yield made("an address for a version", name, to, keys)


def _wrong_backends(made: Any, document: Any) -> Iterator[Mutant]:
    rule, requires = "a wrong backend", ("build-system", "requires")
    (pin,) = at(document, requires)
    for other in (["setuptools==80.0.0"], ["hatchling"], [pin, "hatch-vcs==0.5.0"]):
        yield made(rule, str(other), put(document, requires, other), _named(requires))
    for name in spelt(pin.partition("==")[0], case=False):
        other = [pin.replace("hatchling", name)]
        yield made(rule, str(other), put(document, requires, other), _named(requires))
    backend = ("build-system", "build-backend")
    for name in spelt("hatchling.build"):
        yield made(rule, name, put(document, backend, name), _named(backend), "hatchling.build")


def _of_manifest(file: Path, text: str) -> Iterator[Mutant]:
    document = tomllib.loads(text)
    made = partial(_table_mutant, "manifests", file)
    models: list[Place] = [("models", name) for name in document["models"]]
    scores = [place for place, _ in places(document) if place[-2:-1] == ("min_score",)]
    yield from _misspelt_keys(made, document, "misspell a key", skipped=[*models, *scores])
    yield from _other_values(made, document)
    needed: list[Place] = [("name",), ("version",), ("python",), ("models",)]
    pins: list[Place] = []
    for place in models:
        pin = at(document, place)
        pins += [(*place, "version")] if isinstance(pin, dict) else []
        pins += [(*place, n) for n in range(len(pin))] if isinstance(pin, list) else []
        pins += [place] if isinstance(pin, str) else []
        needed += [(*place, "version")] if isinstance(pin, dict) else []
    for place in needed:
        to, what = dropped(document, place), f"no `{_path(place)}`"
        yield made("drop a required key", what, to, _named(place))
    for place in pins:
        keys = _named(place, place[:-1], place[:2])
        for version in ("99.0.0", "1.0", ">=1.0.0", "latest", "v1.0.0"):
            to, what = put(document, place, version), f"{version} at `{_path(place)}`"
            mutant = made("a version that does not exist", what, to, keys)
            yield replace(mutant, hints=(*_HINTS, "change the pin"))
    for place in models:
        for name in spelt(str(place[-1])):
            to, right = renamed(document, place, name), str(place[-1])
            hints = (right,) if name.islower() else ()  # of capitals it is said that none may be
            yield made("a wrong model", name, to, _named(("models", name)), *hints)
    for place in scores:
        for name in spelt(str(place[-1])):
            to, keys = renamed(document, place, name), _named(place[:-1])
            yield made("a wrong score", name, to, keys, str(place[-1]))
    yield from _wrong_values(made, document)
    if file.suffix == ".toml":
        yield from _of_text(file, "manifests", text.encode(), "name")


def _wrong_values(made: Any, document: Any) -> Iterator[Mutant]:
    choices = ("gate", "readiness", "environments")
    for place, value in places(document):
        to, keys = partial(put, document, place), _named(place)
        for other in spelt(value) if place[-1] in choices else ():
            yield made("misspell a choice", other, to(other), keys, value)
        is_setting = isinstance(value, int) and "min_score" not in place
        for far in (-1, 10**15) if is_setting else ():
            yield made("out of range", f"{far} at `{_path(place)}`", to(far), keys)
        if place[-1] == "environment":
            mutant = made("the same twice", "front", to("front"), keys)
            yield replace(mutant, hints=("choose another",))
        if isinstance(value, list):
            again = _named((*place, len(value)))
            what = f"`{_path(place)}`"
            yield made("the same twice", what, to([*value, value[0]]), again, value[0])
    if "image" in document:
        to = put(document, ("image", "base"), "a base")
        yield made("a wrong address", "base", to, _named(("image", "base")))
    if "wheels" in document:
        to = put(document, ("wheels", "index"), "https://user:password@wheels.example/simple")
        yield made("a wrong address", "index", to, _named(("wheels", "index")))
    for key, wrong in (("name", ("a name", "Bundle", "")), ("python", ("2.7", "3", "3.11.2"))):
        for other in wrong:
            yield made("a wrong name", other, put(document, (key,), other), _named((key,)))
