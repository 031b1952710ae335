"""The official JSON-Schema-Test-Suite is the referee between the two validators.

Payloads are checked by `Schema`; the `jsonschema` package checks examples while a model is tested
and built. Where both agree with the suite, they agree with each other.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import jsonschema_specifications  # type: ignore[import-untyped]  # nor does this
import pytest

from stevedore_core.errors import PayloadInvalid, SchemaInvalid
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import Json

DRAFTS = {
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
TESTS = 3485

# Schemas, by file, that reach for a document which the suite would serve on a port of this machine:
# other schemas, or a meta-schema of their own. The closed resolver refuses each.
REACHING_OUTSIDE = {
    "draft7/refRemote": 11,
    "draft2019-09/refRemote": 15,
    "draft2019-09/vocabulary": 2,
    "draft2020-12/refRemote": 15,
    "draft2020-12/vocabulary": 2,
    "draft2020-12/dynamicRef": 5,
}

# Tests, by file, that `jsonschema` gets wrong and `Schema` right.
WRONG_IN_JSONSCHEMA = {
    # `additionalProperties` with a schema does not mark what it evaluated
    "draft2019-09/unevaluatedProperties": 1,
    # Python's `re` knows no Unicode property escapes
    "draft2020-12/pattern": 3,
    "draft2020-12/patternProperties": 2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A schema of the suite with its tests: an instance and whether it is valid."""

    file: str
    schema: Json
    tests: tuple[tuple[Json, bool], ...]


Judge = Callable[[Json], bool]


def required_groups(suite: Path) -> Iterator[Group]:
    """Read the required tests; each schema says its draft, as a model's must."""
    for draft, uri in DRAFTS.items():
        for path in sorted((suite / "tests" / draft).glob("*.json")):
            for group in json.loads(path.read_bytes()):
                schema = group["schema"]
                yield Group(
                    file=f"{draft}/{path.stem}",
                    schema=schema if isinstance(schema, bool) else {"$schema": uri, **schema},
                    tests=tuple((test["data"], test["valid"]) for test in group["tests"]),
                )


@pytest.fixture(scope="module")
def groups(test_data: Path) -> list[Group]:
    """All required tests of the three drafts."""
    return list(required_groups(test_data / "json-schema-test-suite"))


def by_schema(group: Group) -> Judge:
    """Judge as the server does."""
    schema = Schema.compile(group.schema, where=group.file)

    def judge(instance: Json) -> bool:
        try:
            schema.check(instance)
        except PayloadInvalid:
            return False
        return True

    return judge


def by_jsonschema(group: Group) -> Judge:
    """Judge as the tests of a model do; an error inside the validator is no verdict."""
    draft = DRAFTS[group.file.partition("/")[0]]
    validator: Any = jsonschema.validators.validator_for({"$schema": draft})(
        group.schema, registry=jsonschema_specifications.REGISTRY
    )
    return lambda instance: bool(validator.is_valid(instance))


def wrong(groups: list[Group], judge_of: Callable[[Group], Judge]) -> Counter[str]:
    """Count the tests, by file, whose verdict is not the suite's."""
    found: Counter[str] = Counter()
    for group in groups:
        judge = judge_of(group)
        for instance, valid in group.tests:
            try:
                found[group.file] += judge(instance) is not valid
            except (jsonschema.ValidationError, re.error):
                found[group.file] += 1
    return +found


@pytest.fixture(scope="module")
def closed(groups: list[Group]) -> tuple[list[Group], dict[str, list[str]]]:
    """The groups that compile, and the refusals of the others by file."""
    kept: list[Group] = []
    refusals: dict[str, list[str]] = {}
    for group in groups:
        try:
            Schema.compile(group.schema, where=group.file)
            kept.append(group)
        except SchemaInvalid as error:
            refusals.setdefault(group.file, []).append(str(error))
    return kept, refusals


def test_the_suite_is_whole(groups: list[Group]) -> None:
    """No test is missing."""
    assert sum(len(group.tests) for group in groups) == TESTS


def test_only_what_reaches_outside_is_refused(
    closed: tuple[list[Group], dict[str, list[str]]],
) -> None:
    """Every other schema of the suite compiles, and each refusal says what was reached for."""
    _, refusals = closed
    assert {file: len(messages) for file, messages in refusals.items()} == REACHING_OUTSIDE
    assert all("http://localhost:1234/" in m for found in refusals.values() for m in found)


@pytest.mark.fault("E5")
def test_schema_agrees_with_the_suite(
    closed: tuple[list[Group], object], figure: Callable[[str], None]
) -> None:
    """The validator of the hot path gets every required test right."""
    assert wrong(closed[0], by_schema) == {}
    count = sum(len(group.tests) for group in closed[0])
    figure(f"{count} of {count} required tests of draft-07, 2019-09 and 2020-12")


@pytest.mark.control("E5")
def test_a_wrong_judge_is_seen(closed: tuple[list[Group], object]) -> None:
    """One who admits everything is wrong about every file with an invalid instance."""
    invalid = sum(not valid for group in closed[0] for _, valid in group.tests)
    assert wrong(closed[0], lambda _: lambda _: True).total() == invalid > 1_000


def test_jsonschema_agrees_with_the_suite(closed: tuple[list[Group], object]) -> None:
    """The validator of the model's tests does too, but for what is listed with its reason."""
    assert wrong(closed[0], by_jsonschema) == WRONG_IN_JSONSCHEMA
