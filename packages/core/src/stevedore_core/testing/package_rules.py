"""The rules about packages: what is installed, and what loading it does. `Conformance` has them."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar

import pytest

from stevedore_core.discovery import package_of
from stevedore_core.errors import SchemaInvalid
from stevedore_core.model_package import GROUP
from stevedore_core.payload_types import NAMES, declared_schemas
from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json, decode
from stevedore_core.testing.answers import answers_of, difference
from stevedore_core.testing.changed_weights import copy_with_changed, loaded_from
from stevedore_core.testing.witness import Told, witness
from stevedore_core.weights import RECORD, WeightsRecord

__all__ = ["PackageRules"]

_asked_once = cache(witness)


class PackageRules:
    """Rules of a model package; each test's docstring is one."""

    model: ClassVar[str]
    float_tolerance: ClassVar[float] = 0.0

    @pytest.fixture
    def witnessed(self) -> Told:
        """What a fresh process in other surroundings tells of the model; it is asked once."""
        return _asked_once(self.model)

    def test_version_is_that_of_the_package(self, predictor: Predictor) -> None:
        """The entry point loads a Predictor with the name and version of its distribution."""
        (entry,) = entry_points(group=GROUP, name=self.model)
        distribution = entry.dist
        expected = f"stevedore-model-{predictor.name} {predictor.version}".replace("_", "-")
        found = "none" if distribution is None else f"{distribution.name} {distribution.version}"
        if found != expected:
            pytest.fail(f"the Predictor calls for the distribution `{expected}`, found `{found}`")

    def test_created_is_in_the_past(self, predictor: Predictor) -> None:
        """`created` is a time in ISO 8601, in UTC, and not in the future."""
        try:
            created = datetime.fromisoformat(predictor.created)
        except (TypeError, ValueError):
            pytest.fail(f"`created` must be an ISO 8601 time, found {predictor.created!r}")
        if created.utcoffset() != timedelta(0):
            pytest.fail(f"`created` must be in UTC, found {predictor.created!r}")
        if created > datetime.now(UTC):
            pytest.fail(f"`created` must not be in the future, found {predictor.created!r}")

    def test_weights_are_recorded(self) -> None:
        """Each file in `weights/` has a recorded sha256, and each recorded file is there."""
        weights = _package_directory(self.model) / "weights"
        record = WeightsRecord.read(weights)
        recorded = set(record.sha256)
        found = {path.name for path in weights.iterdir()} - {RECORD, *record.fetched}
        if recorded != found or not {*found, *record.fetched}:
            pytest.fail(f"`{RECORD}` records {sorted(recorded)}, `weights/` holds {sorted(found)}")

    def test_changed_weights_are_refused(self, tmp_path: Path) -> None:
        """Loading checks the recorded sha256 of each file of weights."""
        package = _package_directory(self.model)
        record = WeightsRecord.read(package / "weights")
        for name in (*record.sha256, *record.fetched):
            parent = tmp_path / f"{name}.changed"
            copy_with_changed(name, package, parent)
            if (said := loaded_from(parent, self.model)) != "WeightsMismatch":
                pytest.fail(f"weights `{name}` with a flipped bit must be refused, found: {said}")

    def test_schema_files_are_what_their_types_give(self) -> None:
        """Where `payloads.py` declares a type, the schema file says what that type gives."""
        try:
            declared = declared_schemas(self.model)
        except SchemaInvalid as error:
            pytest.fail(str(error))
        for file, expected in declared.items():
            path = _package_directory(self.model) / file
            found = decode(path.read_bytes()) if path.is_file() else None
            if _sorted(found) != _sorted(expected):
                (name,) = (name for name, written in NAMES.items() if written == file)
                pytest.fail(
                    f"`{file}` is not what `{name}` in `payloads.py` gives: "
                    f"run `make schemas NAME={self.model}`"
                )

    def test_loading_leaves_the_process_alone(self, witnessed: Told) -> None:
        """Importing and loading print nothing, write nothing and change nothing for others."""
        if done := witnessed["done"]:
            pytest.fail(f"loading the model in a fresh process: {'; '.join(done)}")

    def test_answers_are_the_same_elsewhere(self, predictor: Predictor, witnessed: Told) -> None:
        """Another process answers alike: with other hashes, in another place, at another time."""
        expected = answers_of(predictor)
        for which, answers in zip(
            ("fresh process", "second Predictor in it", "first Predictor after it"),
            witnessed["answers"],
            strict=False,
        ):
            found = difference(answers, expected, self.float_tolerance)
            if found is not None:
                pytest.fail(
                    f"a {which}, with other hashes, variables, directory, clock and time zone, "
                    f"answers otherwise at {found}"
                )


def _sorted(schema: Json) -> str:
    """Return JSON that is equal for equal values only; for Python, 1, 1.0 and True are the same."""
    return json.dumps(schema, sort_keys=True)


def _package_directory(model: str) -> Path:
    return Path(str(import_module(package_of(model)).__file__)).parent
