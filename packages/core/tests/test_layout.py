"""Where the parts of a layout stand."""

from pathlib import Path

from stevedore_core.layout import Layout

LAYOUT = Layout(root=Path("/layout"))


def test_documents() -> None:
    """Manifest and lock stand in one directory, side by side."""
    assert LAYOUT.manifest == Path("/layout/composition/composition.toml")
    assert LAYOUT.lock == Path("/layout/composition/lock.toml")


def test_front_path() -> None:
    """The front sees api, core and its own environment; no model, no environment of a worker."""
    assert LAYOUT.front_path() == (
        Path("/layout/own/api"),
        Path("/layout/own/core"),
        Path("/layout/environments/front"),
    )


def test_worker_path() -> None:
    """A worker sees its models, core and its environment; neither api nor other models."""
    assert LAYOUT.worker_path("onnx", [("digits", "1.0.0"), ("iris", "1.1.0")]) == (
        Path("/layout/models/digits/1.0.0"),
        Path("/layout/models/iris/1.1.0"),
        Path("/layout/own/core"),
        Path("/layout/environments/onnx"),
    )
