"""The rules about packages: what is installed, and what loading it does. `Conformance` has them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest

from stevedore_core.errors import SchemaInvalid
from stevedore_core.model_package import GROUP
from stevedore_core.payload_types import NAMES, declared_schemas
from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json, decode
from stevedore_core.testing.answers import difference
from stevedore_core.testing.changed_weights import copy_with_changed
from stevedore_core.testing.witness import answers_of
from stevedore_core.weights import RECORD, WeightsRecord

__all__ = ["PackageRules", "Told", "witness"]

Told = Mapping[str, Any]
"""What `witness` says: `done` by loading, and `answers` of two Predictors."""


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
        distribution = _entry_point(self.model).dist
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
            if (said := _load_in_a_process(self.model, parent)) != "WeightsMismatch":
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


@cache
def _asked_once(model: str) -> Told:
    return witness(model)


def witness(model: str) -> Told:
    """Load a model in a process of its own, elsewhere, and return what it tells."""
    with TemporaryDirectory() as place:
        return _told_from(Path(place), model)


def _told_from(place: Path, model: str) -> Told:
    home, file = place / "elsewhere", place / "told.json"
    (home / "temporary").mkdir(parents=True)
    mine = os.environ.get("PYTHONHASHSEED")
    done = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-P", "-W", "ignore", "-m", f"{__package__}.witness", model, str(file)],
        cwd=home,
        env={
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYTHONHASHSEED": "2" if mine == "1" else "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(home),
            "TMPDIR": str(home / "temporary"),
            "TZ": "Pacific/Chatham",
            "USER": "nobody",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if not file.is_file():
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"done": [f"it ends with: {said[-1]}"], "answers": []}
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    left = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    told["done"] += [f"it leaves the file `{name}`" for name in left]
    return told


def _entry_point(model: str) -> EntryPoint:
    (entry,) = entry_points(group=GROUP, name=model)
    return entry


def _package_directory(model: str) -> Path:
    package = import_module(_entry_point(model).module.partition(".")[0])
    return Path(str(package.__file__)).parent


def _load_in_a_process(model: str, first_on_path: Path) -> str:
    """Return what a fresh process says that finds the model's package in `first_on_path`."""
    path = os.pathsep.join([str(first_on_path), *filter(None, sys.path)])
    done = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-P", "-m", "stevedore_core.testing.loading", model, str(first_on_path)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (done.stdout.split("\n") if done.returncode == 0 else done.stderr.split("\n"))[:-1]
    return lines[-1] if lines else f"exit status {done.returncode}"
