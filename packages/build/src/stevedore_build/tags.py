"""The annotated git tags of releases as data: what was released, when, with which content.

A tag is the record of a release: it travels with git, and the last lines of its message are
trailers such as `Sha256: <of the wheel>`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.processes import git
from stevedore_build.versions import numbers
from stevedore_core.fields import VERSION

__all__ = ["Kind", "ReleaseTag", "find_tag", "read_tags", "tag_name", "write_tag"]

Kind = Literal["models", "compositions"]

# What an annotated tag stands for comes with `*`; it is empty for any other tag.
_FIELDS = "%(refname:strip=2)%00%(objectname)%00%(*objectname)"
_FIELDS += "%00%(contents:trailers:only,unfold)%00%01"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseTag:
    """The tag of one release."""

    kind: Kind
    name: str
    """Of the model or the composition."""
    version: str
    commit: str
    trailers: Mapping[str, str]

    @property
    def tag(self) -> str:
        """The tag as git calls it."""
        return tag_name(self.kind, self.name, self.version)

    def trailer(self, key: str) -> str:
        """Return what the tag's message says under a key.

        Raises `WorkspaceInvalid` where it does not: then the tag was not written by a release.
        """
        if key not in self.trailers:
            raise WorkspaceInvalid(
                f"the tag `{self.tag}` is no record of a release: expected an annotated tag whose "
                f"message ends with `{key}: …`; delete it, and let the release write it"
            )
        return self.trailers[key]


def tag_name(kind: Kind, name: str, version: str) -> str:
    """Return what the tag of a release is called."""
    return f"{kind}/{name}-v{version}"


def read_tags(kind: Kind, name: str | None = None, *, root: Path) -> tuple[ReleaseTag, ...]:
    """Return the tags of a kind, or of one name, in the order of their versions.

    Tags that are called otherwise than releases are passed over.
    """
    told = git("for-each-ref", f"--format={_FIELDS}", f"refs/tags/{kind}/", cwd=root)
    found = [_tag(kind, entry.strip("\n")) for entry in told.split("\x01") if entry.strip("\n")]
    tags = [tag for tag in found if tag is not None and name in (None, tag.name)]
    return tuple(sorted(tags, key=lambda tag: (tag.name, numbers(tag.version))))


def find_tag(kind: Kind, name: str, version: str, *, root: Path) -> ReleaseTag | None:
    """Return the tag of one release, `None` if there is none."""
    return next((t for t in read_tags(kind, name, root=root) if t.version == version), None)


def write_tag(  # noqa: PLR0913 - each is a part of the tag
    kind: Kind,
    name: str,
    version: str,
    *,
    subject: str,
    trailers: Mapping[str, str],
    root: Path,
) -> ReleaseTag:
    """Tag the current commit as a release. Raises `ToolFailed` if there is such a tag already."""
    tag = tag_name(kind, name, version)
    lines = "\n".join(f"{key}: {value}" for key, value in trailers.items())
    git("tag", "--annotate", "-m", subject, "-m", lines, "--", tag, cwd=root)
    commit = git("rev-parse", "HEAD", cwd=root).strip()
    return ReleaseTag(kind=kind, name=name, version=version, commit=commit, trailers=dict(trailers))


def _tag(kind: Kind, entry: str) -> ReleaseTag | None:
    tag, plain, annotated, trailers, _ = entry.split("\0")
    name, separator, version = tag.removeprefix(f"{kind}/").rpartition("-v")
    if not separator or not VERSION.accepts(version):
        return None
    pairs = [line.partition(": ") for line in trailers.splitlines()] if annotated else []
    return ReleaseTag(
        kind=kind,
        name=name,
        version=version,
        commit=annotated or plain,
        trailers={key: value.strip() for key, _, value in pairs},
    )
