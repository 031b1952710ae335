"""Names that are no names: in manifests, on the command line and in wheels. Nothing gets out."""

import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import BuildError, WorkspaceInvalid
from stevedore_build.wheels import building
from stevedore_build.wheels.building import build_wheels, take_wheel
from stevedore_build.wheels.contents import refuse_foreign_files
from stevedore_build.workspace import Workspace
from stevedore_core.errors import DocumentInvalid
from stevedore_core.manifest import Manifest

NAMES = [
    *("..", ".", "../iris", "../../etc", "a/../../b", "a/b", "/", "/etc/passwd", "//host/share"),
    *("C:\\iris", "C:iris", "..\\iris", "\\\\host\\share", "a\\b", "~", "~root", "$HOME", "-iris"),
    *("CON", "con.txt", "NUL", "COM1", "iris.", "iris ", " iris", "iris:stream", "a*b", "a?b"),
    *("Iris", "IRIS", "ir\N{LATIN SMALL LETTER DOTLESS I}s", "\N{CYRILLIC SMALL LETTER I}ris"),
    *("\N{FULLWIDTH LATIN SMALL LETTER I}ris", "i\N{ZERO WIDTH JOINER}ris", "iri\u0301s"),
    *("\N{RIGHT-TO-LEFT OVERRIDE}siri", "iris\n", "iris\0", "iris\t", "\x1b[2Jiris", "i" * 260, ""),
]
"""What no composition, model or environment may be called."""

IRIS = "stevedore_model_iris"
PATHS = [
    *("..", "../x.py", "../../x.py", "a/../../../x.py", "a//x.py", "./x.py", "a/./x.py"),
    *("a\\x.py", "..\\..\\x.py", "C:x.py", "C:\\x.py", "x.py:stream", "x.py.", "x.py ", "a /x.py"),
    *("con", "CON.txt", "nul.json", "a/lpt1.bin", "x*.py", "x?.py", 'x".py', "x<.py", "x|.py"),
    *("\N{CYRILLIC SMALL LETTER A}.py", "\N{FULLWIDTH LATIN SMALL LETTER A}.py", "a\u0301.py"),
    *("x\n.py", "x\x1b.py", "x\x7f.py", "__INIT__.py", "x" * 260, f"{'x/' * 120}x"),
]
"""What no file of a model package may be called."""


def text_of(name: str) -> str:
    """Write a name as a string of TOML."""
    escaped = "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in name)
    return f'"{escaped}"'


def refusals_of_name(name: str, workspace: Workspace) -> int:
    """Count in how many of five places a name is refused: three in a manifest, two commands."""
    quoted = text_of(name)
    heads = (f"name = {quoted}\n", 'name = "pair"\n', 'name = "pair"\n')
    pins = (
        'iris = "1.0.0"',
        f'{quoted} = "1.0.0"',
        f'iris = {{ version = "1.0.0", environment = {quoted} }}',
    )
    refused = 0
    for head, pin in zip(heads, pins, strict=True):
        text = f'{head}version = "1.0.0"\npython = "3.11"\n[models]\n{pin}\n'
        try:
            Manifest.from_text(text, file="composition.toml")
        except DocumentInvalid:
            refused += 1
    for find in (workspace.composition, workspace.model):
        try:
            find(name)
        except WorkspaceInvalid:
            refused += 1
    return refused


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    """Return an entry of a wheel, under a name that `zipfile` did not tidy up."""
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    info.external_attr = mode << 16
    return info


def hostile_wheels(place: Path) -> Iterator[Path]:
    """Write wheels of iris that hold one hostile file each, or far too many files."""
    good = tiny.write_wheel(
        place,
        IRIS,
        "1.0.0",
        files={f"{IRIS}/__init__.py": ""},
        entry_points=f"[ml_py_stevedore.models]\niris = {IRIS}:load\n",
    )
    content = good.read_bytes()
    entries = [entry(f"{IRIS}/{path}") for path in PATHS]
    entries += [entry(path) for path in ("/x.py", "../x.py", "C:/x.py", f"{IRIS}/../../x.py")]
    kinds = (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK)
    entries += [entry(f"{IRIS}/x", kind | 0o777) for kind in kinds]
    for hostile in entries:
        good.write_bytes(content)
        with zipfile.ZipFile(good, "a") as archive:
            archive.writestr(hostile, str(place.parent / "outside"))
        yield good
    good.write_bytes(content)
    with zipfile.ZipFile(good, "a") as archive:
        for number in range(65_536):
            archive.writestr(zipfile.ZipInfo(f"{IRIS}/{number}"), b"")
    yield good


def is_refused(wheel: Path, workspace: Workspace) -> bool:
    """Tell whether a wheel is refused as one that must not be shipped."""
    try:
        take_wheel(wheel, model="iris", version="1.0.0", store=workspace.store)
    except WorkspaceInvalid as error:
        return "its wheel" in str(error)
    return False


def files_below(place: Path) -> set[Path]:
    """Return everything that lies in a directory."""
    return set(place.rglob("*"))


@pytest.mark.fault("G11")
def test_hostile_names(workspace: Workspace, figure: Callable[[str], None]) -> None:
    """Manifests and commands take none of them, and nothing is written."""
    before = files_below(workspace.root.parent)
    refused = [refusals_of_name(name, workspace) for name in NAMES]
    written = files_below(workspace.root.parent) - before
    figure(f"{refused.count(5)} of {len(NAMES)} names refused in 5 places, {len(written)} files")
    assert refused == [5] * len(NAMES)
    assert written == set()


@pytest.mark.fault("G11")
def test_hostile_paths(workspace: Workspace, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """A wheel with one of them is refused before anything of it is unpacked or kept."""
    place = tmp_path / "wheels"
    before = files_below(tmp_path)
    refused = [is_refused(wheel, workspace) for wheel in hostile_wheels(place)]
    written = files_below(tmp_path) - before - files_below(place) - {place}
    figure(f"{sum(refused)} of {len(refused)} wheels refused, {len(written)} files written")
    assert refused == [True] * len(refused)
    assert len(refused) + len(NAMES) > 60
    assert written == set()


@pytest.mark.control("G11")
def test_hostile_paths_pass_where_none_is_looked_at(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the check every wheel is taken, and one that is unpacked naively writes outside."""
    monkeypatch.setattr(building, "refuse_foreign_files", lambda *_: None)
    place = tmp_path / "inner" / "wheels"
    found = [is_refused(wheel, workspace) for wheel in islice(hostile_wheels(place), 40)]
    assert found == [False] * 40
    before = files_below(tmp_path)
    climbing = f"{IRIS}/../../x.py"
    assert climbing in [f"{IRIS}/{path}" for path in PATHS]
    tiny.write(place / climbing, "")
    assert files_below(tmp_path) - before == {place / IRIS, tmp_path / "inner" / "x.py"}


@pytest.mark.control("G11")
def test_a_name_that_fits_is_not_refused(workspace: Workspace) -> None:
    """The same look at a good name sees no refusal but that there is no such composition."""
    assert refusals_of_name("iris", workspace) == 1


@pytest.mark.parametrize(
    ("hostile", "said"),
    [
        (entry(f"{IRIS}/x", stat.S_IFLNK | 0o777), f"`{IRIS}/x` is no regular file"),
        (entry(f"{IRIS}/../x"), f"`{IRIS}/../x` is not a plain relative path"),
        (
            entry(f"{IRIS}/x\n"),
            f"`{IRIS}/x\\n` has characters that not every file system can write",
        ),
        (entry(f"{IRIS}/nul.py"), f"`{IRIS}/nul.py` is the name of a device on Windows"),
        (
            entry(f"{IRIS}/{'x' * 200}"),
            f"`{IRIS}/{'x' * 36}…` has 221 characters; expected at most 200",
        ),
        (
            entry(f"{IRIS}/A.py"),
            f"`{IRIS}/A.py` and `{IRIS}/a.py` are one file where case does not count",
        ),
    ],
)
def test_what_is_said(tmp_path: Path, hostile: zipfile.ZipInfo, said: str) -> None:
    """The file is named, escaped where it needs to be, with what is wrong."""
    wheel = tiny.write_wheel(tmp_path, IRIS, "1.0.0", files={f"{IRIS}/a.py": ""})
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(hostile, "")
    with pytest.raises(WorkspaceInvalid) as caught:
        refuse_foreign_files("iris.whl", IRIS, wheel)
    assert str(caught.value) == f"iris.whl: its wheel cannot be unpacked: {said}"


@pytest.mark.fault("G11")
@pytest.mark.parametrize("behind", ["", "directory/"])
def test_links(workspace: Workspace, tmp_path: Path, behind: str) -> None:
    """A tracked link, or a file behind one, would ship what lies elsewhere."""
    outside = tmp_path / "outside"
    tiny.write(outside / "secret.txt", "secret")
    link = workspace.root / f"models/iris/src/{IRIS}/secret.txt"
    if behind:
        link = workspace.root / f"models/iris/src/{IRIS}/{behind}secret.txt"
        tiny.write(link, "harmless")
        tiny.track(workspace.root)
        shutil.rmtree(link.parent)
        link.parent.symlink_to(outside)
    else:
        link.symlink_to(outside / "secret.txt")
        tiny.track(workspace.root)
    with pytest.raises(BuildError) as caught:
        build_wheels([workspace.model("iris")], workspace=workspace, store=workspace.store)
    assert str(caught.value) == (
        f"{link}: is a link or lies behind one; a wheel holds only files of its package: put "
        "the file itself there"
    )
