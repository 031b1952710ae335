"""Recording that a file of a model's weights is fetched, not packaged. `cli.weights` calls it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from stevedore_build.console import notice
from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.processes import git
from stevedore_build.weights.cache import keep
from stevedore_build.workspace import Package, Workspace
from stevedore_core.fetched_files import FetchedFile
from stevedore_core.weights import RECORD, WeightsRecord

__all__ = ["declare"]


def declare(model: str, file: Path, *, url: str | None, workspace: Workspace) -> Path:
    """Record a file that is here, with its size and sha256, and return the record's path.

    Without `url` it is taken from where it lies, which must be in the model's directory. It is
    taken into the cache, too, so that nobody fetches it here. Raises `WorkspaceInvalid`, and
    `DocumentInvalid` for a name or an address that may not stand in a record.
    """
    package = workspace.model(model)
    if not file.is_file():
        raise WorkspaceInvalid(f"{file}: there is no such file")
    path = None if url else _inside(file, package)
    fetched = FetchedFile.of(file, url=url or None, path=path)
    directory = package.directory / "src" / package.import_name / "weights"
    record = _record(directory, file)
    record = replace(
        record,
        sha256={name: sha256 for name, sha256 in record.sha256.items() if name != file.name},
        fetched={**record.fetched, file.name: fetched},
    )
    keep(fetched, file, store=workspace.store)
    directory.mkdir(exist_ok=True)
    (directory / RECORD).write_text(record.text, encoding="utf-8")
    _say_what_git_does(file, workspace)
    return directory / RECORD


def _inside(file: Path, package: Package) -> str:
    try:
        return file.absolute().relative_to(package.directory.absolute()).as_posix()
    except ValueError:
        raise WorkspaceInvalid(
            f"{file}: lies outside of `models/{package.folder}`, so others would not find it; say "
            "where it is fetched from with `--url`, or put it there, where git ignores it"
        ) from None


def _record(directory: Path, file: Path) -> WeightsRecord:
    """Return the record; for weights that nothing here trained, one as old as the file."""
    if (directory / RECORD).is_file():
        return WeightsRecord.read(directory)
    created = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return WeightsRecord(
        directory=directory, created=created.isoformat(timespec="seconds"), sha256={}
    )


def _say_what_git_does(file: Path, workspace: Workspace) -> None:
    """Say what keeps the file out of git, where it may get into it."""
    place = file.absolute()
    if not place.is_relative_to(workspace.root.absolute()):
        return
    if git("ls-files", "--", str(place), cwd=workspace.root):
        notice(f"git tracks it: run `git rm --cached {file}`, and name it in a `.gitignore`")
    elif git("ls-files", "--others", "--exclude-standard", "--", str(place), cwd=workspace.root):
        notice(f"git does not ignore it: name `{file.name}` in a `.gitignore`")
