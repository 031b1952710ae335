"""`ModelPackage`: what an installed model package says about itself beside its code.

A model's `load()` makes one and hands it to `Predictor.from_package`.
"""

import sys
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from stevedore_core.errors import BodyNotJson, ExampleInvalid, ModelAbsent, ModelWrongKind
from stevedore_core.layout import Layout
from stevedore_core.strict_json import Json, decode
from stevedore_core.weights import WeightsRecord

__all__ = ["GROUP", "ModelPackage"]

GROUP = "ml_py_stevedore.models"
"""The entry points in which a model package names the function that loads its model."""


class ModelPackage:
    """The schemas, examples, weights and version of the model package imported as `import_name`.

    Beside the code lie `predict.schema.json`, `score.schema.json`, `examples/predict.json`,
    `examples/score.json` and `weights/` with the record `weights/weights.toml`.
    """

    def __init__(self, import_name: str) -> None:
        """Take the import name, which a package says as `ModelPackage(__name__)`.

        Raises:
            ModelAbsent: No installed distribution belongs to that import name.
            ModelWrongKind: The distribution does not provide exactly one model.
        """
        try:
            installed = distribution(import_name)
        except PackageNotFoundError:
            raise ModelAbsent(f"`{import_name}` is not installed as a distribution") from None
        names = [entry.name for entry in installed.entry_points.select(group=GROUP)]
        if len(names) != 1:
            raise ModelWrongKind(
                f"`{installed.name}` must have one entry point in `{GROUP}`, found {len(names)}"
            )
        self.name = names[0]
        self.version = installed.version
        self._directory = Path(str(sys.modules[import_name].__file__)).parent

    @cached_property
    def _record(self) -> WeightsRecord:
        return WeightsRecord.read(self._directory / "weights")

    @property
    def created(self) -> str:
        """When the weights were trained, as ISO 8601 in UTC."""
        return self._record.created

    def weights(self, filename: str) -> Path:
        """Return the path of a file of weights, once its content is known to be the recorded one.

        One that is too large for the package is found in the layout that the package is in.

        Raises:
            WeightsMismatch: It is missing, not recorded, a link, or has another sha256.
        """
        directory = Layout.around(self._directory).weights(self._record.fetched_digest)
        return self._record.verified(filename, fetched_into=directory)

    def document(self, filename: str) -> Json:
        """Return the JSON file that lies beside the code.

        Raises:
            ExampleInvalid: It is missing or not strict JSON.
        """
        path = self._directory / filename
        try:
            return decode(path.read_bytes())
        except FileNotFoundError:
            raise ExampleInvalid(f"`{self.name}` lacks the file `{filename}`") from None
        except BodyNotJson as error:
            raise ExampleInvalid(f"`{self.name}`, file `{filename}`: {error}") from None
