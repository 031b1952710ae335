"""What is known of a model before there is a package of it: made up, or read from a fitted file.

`cli_scaffolds` calls it for `scaffolds`. No framework is imported here: a file is read by its
framework's `probe.py`, in an environment of that framework.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stevedore_build.frameworks import Framework
from stevedore_core.strict_json import Json

__all__ = ["ModelFacts", "made_up"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """What payloads and predictions of a model look like."""

    framework: Framework
    framework_version: str
    """Of the distribution that trained."""
    task: str
    """What a prediction is, for each instance: a `label` or a `number`."""
    labels: tuple[Json, ...] | None
    shape: tuple[int, ...] = (3,)
    """How many numbers an instance has, along each axis."""
    columns: tuple[str, ...] | None = None
    """The names of an instance's numbers, where it has names."""
    ranges: tuple[tuple[float, float], ...] | None = None
    """A usual least and greatest value of each number, for examples."""
    float_tolerance: float = 0.0
    """How far the numbers of a batch may be from those of an instance alone."""
    details: Mapping[str, Json] = field(default_factory=dict)
    """What only this framework's part of the template knows how to use."""


def made_up(framework: Framework, *, task: str) -> ModelFacts:
    """Return what is known of a model on data that are made up."""
    return ModelFacts(
        framework=framework,
        framework_version=framework.version,
        task=task,
        labels=("no", "yes") if task == "label" else None,
        float_tolerance=0.0 if task == "label" else 1e-5,
    )
