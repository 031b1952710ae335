"""A real registry on this machine, and images that go there and come back."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from stevedore_build.errors import EngineFailed, ReleaseRefused
from stevedore_build.images.building import CONTENT_LABEL
from stevedore_build.images.engines import Engine
from stevedore_build.images.registries import Pushed, push_image

Labelled = Callable[[str], str]


@pytest.fixture
def labelled(engine: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> Labelled:
    """Make an image that says what it was built from, as ours do; its name goes after the test."""

    def make(content: str) -> str:
        name = f"{engine.local}composition-releases-{uuid.uuid4()}:1"
        context = tmp_path / f"context-{content}"
        context.mkdir(exist_ok=True)
        (context / "content.txt").write_text(content)
        containerfile = f"FROM scratch\nADD content.txt /\nLABEL {CONTENT_LABEL}={content}\n"
        (context / "Containerfile").write_text(containerfile)
        engine.run("tag", engine.build(context), name)
        request.addfinalizer(lambda: forget(engine, name))
        return name

    return make


def forget(engine: Engine, name: str) -> None:
    """Remove an image's name, if the image has it."""
    if engine.find_image(name):
        engine.run("rmi", "--force", name)


def push(image: str, registry: str, engine: Engine) -> Pushed:
    """Push an image as version 1.0.0 of `bundle`."""
    return push_image(image, name="bundle", version="1.0.0", registry=registry, engine=engine)


def test_there_and_back(engine: Engine, labelled: Labelled, registry: str) -> None:
    """Push, delete here, pull by digest: the very image that was pushed."""
    image = labelled("weights")
    before = engine.find_image(image)
    pushed = push(image, registry, engine)
    assert engine.find_image(f"{registry}/bundle:1.0.0") is None
    engine.run("rmi", "--force", image)
    assert engine.find_image(before or "") is None
    try:
        assert engine.pull(pushed.reference, plain_http=True) == before
    finally:
        forget(engine, pushed.reference)


def test_same_again(engine: Engine, labelled: Labelled, registry: str) -> None:
    """What is there already is no failure, and has the same digest."""
    image = labelled("weights")
    assert push(image, registry, engine) == push(image, registry, engine)
    assert engine.find_image(f"{registry}/bundle:1.0.0") is None


def test_other_content_is_refused(engine: Engine, labelled: Labelled, registry: str) -> None:
    """A version in a registry keeps what it was given first."""
    first, other = labelled("weights"), labelled("other")
    pushed = push(first, registry, engine)
    with pytest.raises(ReleaseRefused) as refused:
        push(other, registry, engine)
    assert str(refused.value) == (
        f"`{registry}/bundle:1.0.0` is another image already (ml-py-stevedore.content: `weights`), "
        "and what is under a version stays; release another version"
    )
    assert push(first, registry, engine) == pushed


def test_registry_that_does_not_answer(engine: Engine, labelled: Labelled) -> None:
    """Nobody can tell what it holds, so nothing is pushed."""
    image = labelled("weights")
    with pytest.raises(EngineFailed, match=r"pull .*127\.0\.0\.1:1/bundle:1\.0\.0` failed: "):
        push(image, "127.0.0.1:1", engine)
    assert engine.find_image("127.0.0.1:1/bundle:1.0.0") is None
