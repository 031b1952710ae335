"""Releasing as a whole or not at all: files, a commit and a tag that are all made, or none.

Used by the releases of models and of compositions.
"""

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stevedore_build.errors import ReleaseRefused
from stevedore_build.processes import git
from stevedore_build.tags import Kind, ReleaseTag, tag_name, write_tag

__all__ = ["all_or_nothing", "refuse_uncommitted"]


def refuse_uncommitted(places: Iterable[str], *, root: Path) -> None:
    """Raise `ReleaseRefused` where what a release reads is not committed, or nobody may commit."""
    asked = ("status", "--porcelain", "--untracked-files=all", "--", *places)
    changed = [line[3:] for line in git(*asked, cwd=root).splitlines()]
    if changed:
        listed = ", ".join(f"`{file}`" for file in changed)
        raise ReleaseRefused(
            f"a release is made of what is committed, and these files differ: {listed}; commit "
            "them or put them aside"
        )
    git("var", "GIT_COMMITTER_IDENT", cwd=root)  # says what to set where git knows no name


@contextmanager
def all_or_nothing(
    files: Sequence[Path], kind: Kind, name: str, version: str, *, root: Path
) -> Iterator[Callable[[Sequence[Path], Mapping[str, str]], ReleaseTag]]:
    """Put everything back if anything is raised inside, an interrupt too.

    The files get the content they had, or are gone if they were not there. What is given commits
    some of them, if they differ, and nothing else, and tags the release with trailers; both are
    undone. What is committed already must be so at the beginning: see `refuse_uncommitted`.
    """

    def commit_and_tag(committed: Sequence[Path], trailers: Mapping[str, str]) -> ReleaseTag:
        subject = f"Release {name} {version}"
        paths = [file.relative_to(root).as_posix() for file in committed]
        with _uninterrupted():
            if paths and git("status", "--porcelain", "--", *paths, cwd=root):
                git("add", "--", *paths, cwd=root)
                git("commit", "--quiet", "--only", "-m", subject, "--", *paths, cwd=root)
            return write_tag(kind, name, version, subject=subject, trailers=trailers, root=root)

    before = {file: file.read_bytes() if file.exists() else None for file in files}
    head = git("rev-parse", "HEAD", cwd=root).strip()
    try:
        yield commit_and_tag
    except BaseException:
        with _uninterrupted():
            _undo_commit_and_tag(files, tag_name(kind, name, version), head, root)
            for file, content in before.items():
                if content is None:
                    file.unlink(missing_ok=True)
                elif not file.exists() or file.read_bytes() != content:
                    file.write_bytes(content)
        raise


def _undo_commit_and_tag(files: Sequence[Path], tag: str, head: str, root: Path) -> None:
    if git("for-each-ref", f"refs/tags/{tag}", cwd=root):
        git("tag", "--delete", tag, cwd=root)
    if git("rev-parse", "HEAD", cwd=root).strip() != head:
        git("reset", "--quiet", "--soft", head, cwd=root)
    paths = [file.relative_to(root).as_posix() for file in files]
    staged = git("diff", "--cached", "--name-only", "-z", head, "--", *paths, cwd=root)
    if staged:
        git("reset", "--quiet", "--", *staged.rstrip("\0").split("\0"), cwd=root)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM, from git too, until what belongs together is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
