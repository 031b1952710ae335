"""Where the parts of a layout stand."""

from pathlib import Path

from stevedore_core.layout import IMAGE_ROOT, Layout

LAYOUT = Layout(root=Path("/layout"))


def test_documents() -> None:
    """The manifest stands in the directory that the lock is read from."""
    assert LAYOUT.manifest == Path("/layout/composition/composition.toml")
    assert LAYOUT.composition == Path("/layout/composition")


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


def test_weights() -> None:
    """Fetched weights stand in a directory named by their digest; a package finds its layout."""
    package = LAYOUT.model("iris", "1.0.0") / "stevedore_model_iris"
    assert Layout.around(package) == LAYOUT
    assert LAYOUT.weights("abc") == Path("/layout/weights/abc")


def test_image() -> None:
    """In an image the layout is where the documents say."""
    assert Path("/opt/stevedore") == IMAGE_ROOT


def test_no_layout() -> None:
    """A package that is imported from elsewhere finds a place where nothing is."""
    assert Layout.around(Path("/package")) == Layout(root=Path("/"))
