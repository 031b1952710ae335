"""Where images may be pushed, and what is said of a place that is none."""

import pytest

from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.images.registries import Pushed, is_loopback, parse_registry


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("localhost", "localhost"),
        ("localhost:5000/", "localhost:5000"),
        ("registry.example", "registry.example"),
        ("registry.example:443/team/models", "registry.example:443/team/models"),
    ],
)
def test_registry(text: str, found: str) -> None:
    """A host, its port, a path; a slash at the end does no harm."""
    assert parse_registry(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "team",
        "https://registry.example",
        "registry.example:99999999",
        "registry.example/Team",
        "registry.example//team",
        "registry.example/team:1",
        "registry.example/team@sha256:" + "0" * 64,
        "user:password@registry.example",
        "--help",
        "registry.example --tls-verify=false",
        "registry.example\nRUN",
        "-.example",
    ],
)
def test_no_registry(text: str) -> None:
    """Whatever else is given never reaches an engine."""
    with pytest.raises(WorkspaceInvalid) as refused:
        parse_registry(text)
    shown = " ".join(text.split())
    assert str(refused.value) == (
        "`REGISTRY`: expected a host with or without a port and a path, such as `127.0.0.1:5000` "
        f"or `registry.example/team`, found `{shown if len(shown) <= 60 else shown[:57] + '…'}`"
    )


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("127.0.0.1:5000", True),
        ("127.1.2.3", True),
        ("localhost:5000/team", True),
        ("127.0.0.1.example:5000", False),
        ("localhost.example", False),
        ("registry.example:5000", False),
        ("10.0.0.1:5000", False),
    ],
)
def test_loopback(registry: str, *, expected: bool) -> None:
    """Only this machine is spoken to without TLS."""
    assert is_loopback(registry) is expected


def test_reference_is_by_digest() -> None:
    """What is reported can only ever be this image."""
    pushed = Pushed(
        repository="127.0.0.1:5000/bundle", version="1.0.0", digest="sha256:" + "0" * 64
    )
    assert pushed.reference == "127.0.0.1:5000/bundle@sha256:" + "0" * 64
