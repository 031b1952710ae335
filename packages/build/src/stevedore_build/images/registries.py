"""Composition images in a container registry: pushed under their version, known by their digest.

Called by `make push` and by a release with `REGISTRY=`.
"""

import re
from dataclasses import dataclass

from stevedore_build.errors import ReleaseRefused, WorkspaceInvalid
from stevedore_build.images.building import CONTENT_LABEL
from stevedore_build.images.engines import Engine
from stevedore_core.fields import IMAGE_REFERENCE, quote

__all__ = ["Pushed", "is_loopback", "parse_registry", "push_image"]

# Without a dot or a port an engine may take a host for the name of an image somewhere else.
_HOST = re.compile(r"localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9.-]+:[0-9]{1,5}")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3})(?::[0-9]{1,5})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pushed:
    """An image in a registry. Its digest names this content for ever, its version by promise."""

    repository: str
    version: str
    digest: str

    @property
    def reference(self) -> str:
        """What to pull: by digest, so nothing else can come."""
        return f"{self.repository}@{self.digest}"


def push_image(image: str, *, name: str, version: str, registry: str, engine: Engine) -> Pushed:
    """Push an image as `<registry>/<name>:<version>` and return it with its digest.

    An image that is there already under that version is kept: `ReleaseRefused` if it was built from
    something else. Plain HTTP is spoken to this machine only. Raises `EngineFailed` too.
    """
    repository = f"{parse_registry(registry)}/{name}"
    reference = f"{repository}:{version}"
    plain_http = is_loopback(registry)
    there = engine.pull(reference, plain_http=plain_http)
    if there is not None:
        try:
            held = engine.labels(there).get(CONTENT_LABEL)
        finally:
            engine.run("rmi", reference)
        if held != engine.labels(image).get(CONTENT_LABEL):
            raise ReleaseRefused(
                f"`{reference}` is another image already ({CONTENT_LABEL}: {quote(held)}), and "
                "what is under a version stays; release another version"
            )
    digest = engine.push(image, reference, plain_http=plain_http)
    return Pushed(repository=repository, version=version, digest=digest)


def parse_registry(text: str) -> str:
    """Return where images go, without a slash at its end. Raises `WorkspaceInvalid`."""
    found = text.removesuffix("/")
    host, _, _ = found.partition("/")
    if not _HOST.fullmatch(host) or not IMAGE_REFERENCE.accepts(f"{found}/name:1.0.0"):
        raise WorkspaceInvalid(
            "`REGISTRY`: expected a host with or without a port and a path, such as "
            f"`127.0.0.1:5000` or `registry.example/team`, found {quote(text)}"
        )
    return found


def is_loopback(registry: str) -> bool:
    """Tell whether a registry is on this machine, where plain HTTP harms nobody."""
    return _LOOPBACK.fullmatch(registry.partition("/")[0]) is not None
