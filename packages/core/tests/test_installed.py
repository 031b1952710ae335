"""What is installed in a layout, held against a lock."""

import platform
import sys
from pathlib import Path

import pytest

from stevedore_core.installed import differences, installed_in
from stevedore_core.layout import Layout
from stevedore_core.lock import Environment, Lock, LockedModel, LockedWheel
from stevedore_core.requirements_files import Pin

ELSEWHERE = f"sys_platform != '{sys.platform}'"
HERE = f"platform_machine == '{platform.machine()}'"
PATCH = "python_full_version >= '3.11.4'"


def pin(name: str, version: str, marker: str | None = None) -> Pin:
    """Return a pin; its hash is of no interest here."""
    return Pin(name=name, version=version, marker=marker, sha256s=("a" * 64,))


def lock(*pins: Pin) -> Lock:
    """Return the lock of one model at two versions, with these pins in `default`."""
    models = tuple(
        LockedModel(
            name="iris",
            version=version,
            environment=environment,
            distribution="stevedore-model-iris",
            sha256="b" * 64,
            inputs_sha256="b" * 64,
            requires=(),
        )
        for version, environment in (("1.0.0", "default"), ("1.1.0", "default-2"))
    )
    return Lock(
        name="bundle",
        version="1.0.0",
        python="3.11",
        manifest_sha256="c" * 64,
        base=None,
        environments=(
            Environment(name="default", inputs_sha256="d" * 64, pins=pins),
            Environment(name="default-2", inputs_sha256="d" * 64, pins=()),
        ),
        wheels=(
            LockedWheel(distribution="ml-py-stevedore-core", version="0.1.0", sha256="e" * 64),
        ),
        models=models,
    )


def install(place: Path, *names: str) -> None:
    """Leave the trace of some distributions in a directory."""
    for name in names:
        (place / f"{name}.dist-info").mkdir(parents=True)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A layout that holds what `lock` of NumPy 2.2.6 asks for."""
    layout = Layout(root=tmp_path)
    install(layout.own("core"), "ml_py_stevedore_core-0.1.0")
    install(layout.model("iris", "1.0.0"), "stevedore_model_iris-1.0.0")
    install(layout.model("iris", "1.1.0"), "stevedore_model_iris-1.1.0")
    install(layout.environment("default"), "numpy-2.2.6")
    layout.environment("default-2").mkdir()
    return layout


def test_installed_in(tmp_path: Path) -> None:
    """Names are compared in their normalised form; other directories are none."""
    install(tmp_path, "Scikit_Learn-1.7.0", "numpy-2.2.6")
    (tmp_path / "numpy").mkdir()
    assert installed_in(tmp_path) == {"scikit-learn": "1.7.0", "numpy": "2.2.6"}


def test_equal(layout: Layout) -> None:
    """Where all is as locked, there is nothing to say."""
    assert differences(layout, lock(pin("numpy", "2.2.6"))) == ()


def test_every_difference_is_named(layout: Layout) -> None:
    """Another version, one too many, one too few, one unknown place: each with its place."""
    install(layout.environment("default"), "scipy-1.15.0")
    install(layout.environment("other"), "numpy-1.0")
    install(layout.model("iris", "2.0.0"), "stevedore_model_iris-2.0.0")
    (layout.own("core") / "ml_py_stevedore_core-0.1.0.dist-info").rename(
        layout.own("core") / "ml_py_stevedore_core-0.2.0.dist-info"
    )
    assert differences(layout, lock(pin("numpy", "2.2.5"), pin("jiter", "0.8.2"))) == (
        "`environments/default`: `jiter`: 0.8.2 is locked, it is absent",
        "`environments/default`: `numpy`: 2.2.5 is locked, 2.2.6 is installed",
        "`environments/default`: `scipy`: not in the lock, 1.15.0 is installed",
        "`own/core`: `ml-py-stevedore-core`: 0.1.0 is locked, 0.2.0 is installed",
        "`environments/other`: not in the lock",
        "`models/iris/2.0.0`: not in the lock",
    )


def test_absent_model(layout: Layout) -> None:
    """A model that is locked and not there is told."""
    (layout.model("iris", "1.1.0") / "stevedore_model_iris-1.1.0.dist-info").rmdir()
    assert differences(layout, lock(pin("numpy", "2.2.6"))) == (
        "`models/iris/1.1.0`: `stevedore-model-iris`: 1.1.0 is locked, it is absent",
    )


def test_markers_of_platforms(layout: Layout) -> None:
    """A pin for another platform must not be there, one for this platform must."""
    assert (
        differences(layout, lock(pin("numpy", "2.2.6", HERE), pin("scipy", "1", ELSEWHERE))) == ()
    )
    assert differences(layout, lock(pin("numpy", "2.2.6", ELSEWHERE), pin("scipy", "1", HERE))) == (
        "`environments/default`: `numpy`: not in the lock, 2.2.6 is installed",
        "`environments/default`: `scipy`: 1 is locked, it is absent",
    )


def test_other_markers(layout: Layout) -> None:
    """Where only the patch version decides, the pin may be absent, but not at another version."""
    both = lock(pin("numpy", "2.2.5", PATCH), pin("numpy", "2.2.6", PATCH), pin("six", "1", PATCH))
    assert differences(layout, both) == ()
    assert differences(layout, lock(pin("numpy", "2.2.5", PATCH))) == (
        "`environments/default`: `numpy`: 2.2.5 is locked, 2.2.6 is installed",
    )
