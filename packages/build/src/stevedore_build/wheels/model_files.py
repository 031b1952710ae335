"""What the files of a model package say, held against each other before its wheel is built.

`building` asks. Nothing of the package is imported: what only a loaded model shows, the conformance
suite finds.
"""

import json
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stevedore_build.digests import sha256_of
from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.wheels.model_projects import project_problems
from stevedore_build.workspace import Package
from stevedore_core.errors import BodyNotJson, PayloadInvalid, SchemaInvalid
from stevedore_core.fetched_files import fetched_in
from stevedore_core.fields import SHA256, Fields, quote
from stevedore_core.json_pointers import follow, pointer_of, steps_of
from stevedore_core.schema_faults import schema_faults
from stevedore_core.schemas import Schema
from stevedore_core.spelling import did_you_mean
from stevedore_core.strict_json import Json, decode
from stevedore_core.weights import RECORD

__all__ = ["refuse_faulty_files"]

_PAIRS: Final = (
    ("predict.schema.json", "examples/predict.json"),
    ("score.schema.json", "examples/score.json"),
)
"""Each schema with its example."""
_RECORD: Final = f"weights/{RECORD}"
_FILES: Final = (*(name for pair in _PAIRS for name in pair), _RECORD)
_MAX_TOLD: Final = 5
"""Places of an example that one message lists."""
_MAX_SHOWN_CHARS: Final = 60


def refuse_faulty_files(package: Package) -> None:
    """Raise `WorkspaceInvalid` with all that is wrong in the files of a model package.

    A package that has none of `_FILES` says all of it in Python, and only its project is looked at.
    """
    source = package.directory / "src" / package.import_name
    place = source.relative_to(package.directory).as_posix()
    problems = project_problems(package)
    if any((source / name).is_file() for name in _FILES):
        problems += [f"{place}/{problem}" for problem in _problems(source)]
    if len(problems) == 1:
        raise WorkspaceInvalid(f"{package.directory}/{problems[0]}")
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise WorkspaceInvalid(f"{package.directory}: {len(problems)} problems{listed}")


def _problems(source: Path) -> Iterator[str]:
    """Yield what is wrong beside the code, each with the file."""
    for name in _FILES:
        if not (source / name).is_file():
            there = [f"{path.relative_to(source)}" for path in source.rglob("*") if path.is_file()]
            meant = did_you_mean(name, [file for file in there if file not in _FILES])
            yield f"{name}: missing; expected beside `__init__.py`{meant}"
    for schema_name, example_name in _PAIRS:
        schema, wrong = _read(source, schema_name)
        yield from wrong
        example, wrong = _read(source, example_name)
        yield from wrong
        if schema is _UNREADABLE:
            continue
        wrong = [f"{schema_name}: {problem}" for problem in _schema_problems(schema)]
        yield from wrong
        if not wrong and example is not _UNREADABLE:
            for problem in _example_problems(schema, schema_name, example):
                yield f"{example_name}: {problem}"
    if (source / _RECORD).is_file():
        yield from (f"{_RECORD}: {problem}" for problem in _record_problems(source / "weights"))


_UNREADABLE: Final[Any] = object()


def _read(source: Path, name: str) -> tuple[Json, list[str]]:
    """Return what a file of JSON says, or why it cannot be read."""
    if not (source / name).is_file():
        return _UNREADABLE, []
    try:
        return decode((source / name).read_bytes()), []
    except BodyNotJson as error:
        return _UNREADABLE, [f"{name}: expected strict JSON: {error}"]


def _schema_problems(schema: Json) -> list[str]:
    """Return the faults of a schema; where there are none, why it does not compile."""
    if not isinstance(schema, dict):
        return [f"expected a JSON Schema, which is an object here, found {_shown(schema)}"]
    if faults := schema_faults(schema):
        return [str(fault) for fault in faults]
    try:
        Schema.compile(schema, where="it")
    except SchemaInvalid as error:
        return [str(error)]
    return []


def _example_problems(schema: Json, schema_name: str, example: Json) -> list[str]:
    """Return where an example does not fit its schema: a place for each rule that is broken."""
    try:
        Schema.compile(schema, where=schema_name).check(example)
    except PayloadInvalid:
        pass
    else:
        return []
    # Imported here, as it takes a while and only tells what is wrong.
    import jsonschema  # type: ignore[import-untyped]  # noqa: PLC0415  # it ships no types

    judge = jsonschema.validators.validator_for(schema)(schema)
    found: dict[str, str] = {}
    count = 0
    for error in judge.iter_errors(example):
        rule = _rule(error.absolute_schema_path, schema)
        said = (
            f"`{pointer_of(error.absolute_path)}`: expected what `{schema_name}` says at `{rule}`, "
            f"{_shown(error.validator_value)}, found {_found(error)}"
        )
        count += rule in found
        found.setdefault(rule, said)
    told = list(found.values())[:_MAX_TOLD]
    if count and told:
        told[-1] += f" (and {count} more places)"
    return told


def _found(error: Any) -> str:
    """Say what breaks a rule; of an object, the keys that count."""
    value, rule = error.instance, error.validator
    if not isinstance(value, dict) or rule not in {"required", "additionalProperties"}:
        return _shown(value)
    known = error.schema.get("properties", {})
    spare = sorted(value.keys() - known.keys())
    missing = [name for name in error.schema.get("required", []) if name not in value]
    listed = ", ".join(f"`{name}`" for name in (spare or value))
    if rule == "required" and not spare:
        return f"no `{missing[0]}` beside {listed}"
    return f"{listed}{did_you_mean(spare[0], missing or known) if spare else ''}"


def _rule(path: Any, schema: Json) -> str:
    """Return the place of a rule in a schema; what stands behind a reference, at its own place."""
    steps: list[str] = []
    at: Any = schema
    for step in path:
        while isinstance(at, dict) and step not in at and str(at.get("$ref")).startswith("#/"):
            steps = steps_of(str(at["$ref"]))
            at, _ = follow(schema, steps)
        steps.append(str(step))
        at = at[step] if isinstance(at, dict | list) else None
    return pointer_of(steps)


def _record_problems(weights: Path) -> list[str]:
    """Return what is wrong in the record of the weights, and which of them are others."""
    try:
        document = tomllib.loads((weights / RECORD).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return [f"expected TOML, as `train.py` writes it: {error}"]
    fields = Fields(table=document, file=RECORD)
    _check_created(fields)
    recorded = fields.within("sha256")
    fetched = {file.name for file in fetched_in(fields)}
    there = {path.name for path in weights.iterdir() if path.is_file()} - {RECORD}
    for name in recorded.table:
        if name in fetched:
            recorded.note(name, "is in `[[weights]]`, too, as a file that is fetched; remove one")
        expected = recorded.text(f"{name}", SHA256)
        if name not in there:
            meant = did_you_mean(name, there - recorded.table.keys())
            recorded.note(name, f"expected a file in `weights/`, found none of that name{meant}")
        elif expected and (found := sha256_of(weights / name)) != expected:
            recorded.note(
                name,
                f"expected what `{name}` has, sha256 `{found}`, found `{expected}`; "
                "run `train.py`, which records it, or put the file back",
            )
    if not fields.problems:
        for name in sorted(there - recorded.table.keys() - fetched):
            recorded.note(name, "missing; expected its sha256: run `train.py`, which records it")
    fields.close()
    return fields.problems


def _check_created(fields: Fields) -> None:
    expected = "when training ended, with its zone, such as `2026-01-31T12:00:00Z`"
    created = fields.raw("created")
    if "created" not in fields.table:
        fields.note("created", f"missing; expected {expected}")
    elif not isinstance(created, datetime) or created.tzinfo is None:
        fields.note("created", f"expected {expected}, found {quote(str(created))}")
    elif created > datetime.now(UTC):
        fields.note("created", f"expected a time that is past, found {quote(str(created))}")


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return f"`{text if len(text) <= _MAX_SHOWN_CHARS else text[: _MAX_SHOWN_CHARS - 1] + '…'}`"
