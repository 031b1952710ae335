"""The model package of one predictor of an original `model.py`. Only `importing` calls it."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stevedore_build.errors import OriginalRefused
from stevedore_build.originals.source import ClassSource, class_source
from stevedore_build.workspace import MODEL_PREFIX
from stevedore_core.fields import VERSION, normalise
from stevedore_core.weights import record_weights

__all__ = ["write_package"]

_LOADED: Final = {
    "json": ("import json\n", 'json.loads(package.weights("model.json").read_text("utf-8"))'),
    "array": ("import numpy as np\n", 'np.load(package.weights("model.npz"))["array"]'),
    "arrays": ("import numpy as np\n", 'dict(np.load(package.weights("model.npz")))'),
    "skops": (
        "import skops.io\n",
        'skops.io.load(package.weights("model.skops"), trusted={trusted})',
    ),
    "lightgbm": (
        "import lightgbm\n",
        'lightgbm.Booster(model_file=str(package.weights("model.txt")))',
    ),
    "xgboost": ("import xgboost\n", "xgboost.{type}()"),
}
"""How the model of each format is loaded: the import, and the expression."""

_ON_LINUX_ONLY: Final = {"xgboost-cpu": "xgboost"}
"""What has wheels for Linux only, and what has the same module on other systems."""

_CODE: Final = '''\
"""The model `{name}`, served by way of its entry point, `load`.

It was imported from an original `{file}`; its class stands in `original.py`.
"""

{library}
from stevedore_core.model_package import ModelPackage
from {module}.original import {kind}

__all__ = ["{kind}", "load"]


def load() -> {kind}:
    """Load the weights; nothing in them is executed."""
    package = ModelPackage(__name__)
    model = {loaded}
{more}    return {kind}.from_package(package, model)
'''

_ORIGINAL: Final = '''\
# mypy: ignore-errors
# fmt: off
"""The class `{kind}` as it was written, but for the import of `Predictor`.

It comes from `{file}`; its style and its types are its author's.
"""

'''

_PROJECT: Final = """\
[build-system]
requires = ["hatchling==1.33.0"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "{version}"
description = "The model {name}, imported from an original {file}."
readme = "README.md"
requires-python = ">=3.11"
dependencies = [
    "ml-py-stevedore-core",
{requires}]

[project.entry-points."ml_py_stevedore.models"]
{name} = "{module}:load"

[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]
"""

_TESTS: Final = '''\
"""The contract, and what the model answered when it was imported."""

import json
from pathlib import Path
{pytest}
from stevedore_core.strict_json import encode
from stevedore_core.testing import Conformance
from {module} import load

ANSWER = json.loads((Path(__file__).parent / "answer.json").read_text("utf-8"))


class TestConformance(Conformance):
    """The contract."""

    model = "{name}"


def test_answers_as_when_it_was_imported() -> None:
    """The loaded weights give the example the prediction that the fitted model gave it."""
    model = load()
    assert json.loads(encode(model.predict(model.test_input))) == {expected}
'''

_README: Final = """\
# {name}

Imported from an original `{file}`: the class `{kind}` stands in `src/{module}/original.py` as it
was written there, the fitted model in `weights/{weights}`, schemas and examples are beside it.

What is missing here: what the model is for, what it was trained on, and how good it is. Bounds in
the schemas keep payloads away from it that it was never meant for.
"""


def write_package(  # noqa: PLR0913, PLR0917 - each is a part of a package
    place: Path,
    name: str,
    predictor: Mapping[str, Any],
    weights: Path,
    file: Path,
    distributions: Mapping[str, Sequence[str]],
) -> None:
    """Write into `place` what the reader found of a predictor, and the file of its weights.

    `distributions` are what the modules are from that the file imports, with versions. Raises
    `OriginalRefused`.
    """
    kind = predictor["class"]
    source = class_source(file.read_text(encoding="utf-8"), kind, file=str(file))
    slug = normalise(name).replace("-", "_")
    module = f"stevedore_model_{slug}"
    expected = _expected(predictor["prediction"])
    more = '    model.load_model(package.weights("model.ubj"))\n' if "ubj" in weights.name else ""
    library, loaded = _LOADED[predictor["weights"]["format"]]
    said = {
        "name": name,
        "file": file.name,
        "kind": kind,
        "module": module,
        "distribution": MODEL_PREFIX + normalise(name),
        "version": _version(predictor["version"]),
        "weights": weights.name,
        "library": library,
        "loaded": loaded.format(**predictor["weights"]),
        "more": more,
        "requires": _requires(source, predictor, file, distributions),
        "expected": expected,
        "pytest": "\nimport pytest\n" if expected != "ANSWER" else "",
    }
    code = place / "src" / module
    for directory in ("weights", "examples"):
        (code / directory).mkdir(parents=True)
    shutil.copyfile(weights, code / "weights" / weights.name)
    record_weights(code / "weights", [weights.name], created=datetime.now(UTC))
    texts = {
        place / "pyproject.toml": _PROJECT.format(**said),
        place / "README.md": _README.format(**said),
        place / "CHANGELOG.md": f"# Changelog\n\n## {said['version']}\n\nImported.\n",
        place / "tests" / "answer.json": _json(predictor["prediction"]),
        place / "tests" / f"test_{slug}.py": _TESTS.format(**said),
        code / "__init__.py": _CODE.format(**said),
        code / "original.py": _ORIGINAL.format(**said) + source.text,
        code / "py.typed": "",
        code / "predict.schema.json": _json(_with_draft(predictor["predict_schema"])),
        code / "score.schema.json": _json(_with_draft(predictor["score_schema"])),
        code / "examples" / "predict.json": _json(predictor["predict_example"]),
        code / "examples" / "score.json": _json(predictor["score_example"]),
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _with_draft(schema: object) -> object:
    """Return a schema that names its draft: without a name, the original took the latest."""
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**named, **schema} if isinstance(schema, dict) else schema


def _requires(
    source: ClassSource,
    predictor: Mapping[str, Any],
    file: Path,
    distributions: Mapping[str, Sequence[str]],
) -> str:
    """Return lines that require what the class and its weights need, as it was when it trained."""
    lines = set()
    for module in (*source.modules, *predictor["weights"]["needs"]):
        if module not in distributions:
            raise OriginalRefused(
                f"{file}: `{predictor['class']}` imports `{module}`, which no installed "
                "distribution has; put what it needs from there into the file itself"
            )
        name, version = normalise(distributions[module][0]), distributions[module][1]
        other = _ON_LINUX_ONLY.get(name)
        if other is None:
            lines.add(f'    "{name}=={version}",\n')
        else:
            lines.add(f"    \"{name}=={version}; sys_platform == 'linux'\",\n")
            lines.add(f"    \"{other}=={version}; sys_platform != 'linux'\",\n")
    return "".join(sorted(lines))


def _version(said: str) -> str:
    """Return a version of three numbers: `v1` is 1.0.0, and so is what says no number."""
    numbers = re.findall(r"\d+", said)[:3]
    version = ".".join([*numbers, "0", "0", "0"][:3]) if numbers else "1.0.0"
    return version if VERSION.accepts(version) else "1.0.0"


def _expected(prediction: object) -> str:
    """Return the expression that a prediction has to equal; the last digits of numbers aside."""
    if _is_flat(prediction):
        return "pytest.approx(ANSWER)"
    if isinstance(prediction, list) and all(map(_is_flat, prediction)):
        return "[pytest.approx(row) for row in ANSWER]"
    return "ANSWER"


def _is_flat(value: object) -> bool:
    return isinstance(value, list) and all(type(item) in {int, float} for item in value)


def _json(value: object) -> str:
    return f"{json.dumps(value, indent=2)}\n"
