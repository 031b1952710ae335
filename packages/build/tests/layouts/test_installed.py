"""What an installer leaves behind, and what of it must not be served."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

from stevedore_build.errors import LayerRefused
from stevedore_build.layouts import installed
from stevedore_build.layouts.installed import distributions, refuse_clashes, set_modes, tidy


def refusal(place: Path) -> str:
    """Return what is said of a directory that is refused."""
    with pytest.raises(LayerRefused) as caught:
        refuse_clashes("environments/default", place)
    return str(caught.value)


def test_distributions(tmp_path: Path) -> None:
    """Names are normalised, versions as they are."""
    tiny.install(tmp_path / "x", tiny.write_wheel(tmp_path, "Alpha_Beta", "1.0.post1"))
    (found,) = distributions(tmp_path / "x")
    assert (found.name, found.version) == ("alpha-beta", "1.0.post1")
    assert "Alpha_Beta/__init__.py" in found.files


def test_tidy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What differs from run to run is gone, and the record no longer names it."""
    files = {"alpha/__init__.py": "", "a.pth": "import os\n", "Alpha.py": ""}
    place = tmp_path / "x"
    tiny.install(place, tiny.write_wheel(tmp_path, "alpha", files=files))
    info = place / "alpha-1.0.dist-info"
    (place / ".lock").touch()
    tiny.write(place / "bin" / "tool", "#!/usr/bin/python3\n")
    for name in ("direct_url.json", "uv_cache.json"):
        (info / name).write_text("{}")
    with (info / "RECORD").open("a") as record:
        record.write("bin/tool,,\nalpha-1.0.dist-info/direct_url.json,,\n")
    tidy(place)
    left = sorted(path.relative_to(place).as_posix() for path in place.rglob("*"))
    assert left == [
        "Alpha.py",
        "alpha",
        "alpha-1.0.dist-info",
        "alpha-1.0.dist-info/METADATA",
        "alpha-1.0.dist-info/RECORD",
        "alpha-1.0.dist-info/WHEEL",
        "alpha/__init__.py",
    ]
    rows = [line.split(",")[0] for line in (info / "RECORD").read_text().splitlines()]
    assert rows == [
        "Alpha.py",
        "alpha-1.0.dist-info/METADATA",
        "alpha-1.0.dist-info/RECORD",
        "alpha-1.0.dist-info/WHEEL",
        "alpha/__init__.py",
    ]
    assert capsys.readouterr().err == (
        "left out `a.pth` of a third-party distribution: it would run at every start\n"
    )


def test_tidy_again(tmp_path: Path) -> None:
    """What is tidy already, and has nothing to be removed, stays as it is."""
    place = tmp_path / "x"
    tiny.install(place, tiny.write_wheel(tmp_path, "alpha"))
    found = []
    for _ in range(2):
        tidy(place)
        found.append({path: path.read_bytes() for path in place.rglob("*") if path.is_file()})
    assert found[0] == found[1]


def test_tidy_a_file_in_place_of_scripts(tmp_path: Path) -> None:
    """What is called as their directory goes too, whatever it is."""
    tiny.install(tmp_path / "x", tiny.write_wheel(tmp_path, "alpha", files={"bin": ""}))
    tidy(tmp_path / "x")
    assert not (tmp_path / "x" / "bin").exists()


def test_set_modes(tmp_path: Path) -> None:
    """What its owner may run stays a program; everybody may read everything."""
    place = tmp_path / "x"
    for name, mode in (("data", 0o600), ("odd", 0o611), ("program", 0o700)):
        tiny.write(place / name, "")
        (place / name).chmod(mode)
    place.chmod(0o700)
    set_modes(place)
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in (place, *place.iterdir())}
    assert modes == {"x": "0o755", "data": "0o644", "odd": "0o644", "program": "0o755"}


def test_peaceful(tmp_path: Path) -> None:
    """Namespace packages, equal files and scripts of one name are no clash."""
    scripts = "[console_scripts]\ntool = a:main\n[gui_scripts]\ntool = a:main\n"
    one = {"space/alpha/__init__.py": "", "LICENSE": "MIT"}
    two = {"space/beta/__init__.py": "", "LICENSE": "MIT"}
    tiny.install(
        tmp_path / "x",
        tiny.write_wheel(tmp_path, "alpha", files=one, entry_points=scripts),
        tiny.write_wheel(tmp_path, "beta", files=two, entry_points=scripts),
    )
    refuse_clashes("environments/default", tmp_path / "x")


@pytest.mark.fault("H1")
@pytest.mark.fault("H2")
def test_clashes(tmp_path: Path) -> None:
    """Every way in which two distributions get into each other's way is told."""
    points = "[console_scripts]\ntool = a:b\n[plug]\nName = a:b\n"
    one = {"module.py": "a = 1\n", "shared/__init__.py": "", "shared/one.py": ""}
    two = {"module.py": "a = 2\n", "shared/two.py": ""}
    tiny.install(
        tmp_path / "x",
        tiny.write_wheel(tmp_path, "alpha", files=one, entry_points=points),
        tiny.write_wheel(tmp_path, "beta", files=two, entry_points=points),
    )
    assert refusal(tmp_path / "x") == (
        "layer `environments/default` cannot be served: "
        "`alpha` and `beta` bring different files `module.py`; "
        "`alpha` and `beta` both fill the package `shared`; "
        "`alpha` and `beta` both offer `Name` in the entry points `plug`"
    )


@pytest.mark.parametrize("points", ["[plug]\n; c\nname = a:b\n", "\udcff"])
def test_entry_points_that_cannot_be_read(tmp_path: Path, points: str) -> None:
    """The distribution is named, and what to do; the others are looked at as well."""
    offered = "[plug]\nName = a:b\n"
    tiny.install(
        tmp_path / "x",
        tiny.write_wheel(tmp_path, "alpha", files={"json.py": ""}),
        tiny.write_wheel(tmp_path, "beta", entry_points=offered),
        tiny.write_wheel(tmp_path, "gamma", entry_points=offered),
    )
    file = tmp_path / "x" / "alpha-1.0.dist-info" / "entry_points.txt"
    file.write_text(points, encoding="utf-8", errors="surrogateescape")
    assert refusal(tmp_path / "x") == (
        "layer `environments/default` cannot be served: "
        "`alpha` has an `entry_points.txt` that Python cannot read; require another version of it; "
        "`beta` and `gamma` both offer `Name` in the entry points `plug`; "
        "`alpha` brings `json.py`, a name of the standard library"
    )


@pytest.mark.fault("H1")
def test_names_of_ours(tmp_path: Path) -> None:
    """A third-party distribution neither shadows our packages nor pretends to be a model."""
    points = "[ml_py_stevedore.models]\niris = alpha:load\n"
    files = (
        "stevedore_api.py",
        "stevedore_build/x.txt",
        "stevedore_core/__init__.py",
        "stevedore_model_x.py",
    )
    wheel = tiny.write_wheel(tmp_path, "alpha", files=dict.fromkeys(files, ""), entry_points=points)
    tiny.install(tmp_path / "x", wheel)
    assert refusal(tmp_path / "x") == (
        "layer `environments/default` cannot be served: "
        "`alpha` offers a model `iris`; only model packages may; "
        "`alpha` brings `stevedore_api.py`, a name that is ours; "
        "`alpha` brings `stevedore_build`, a name that is ours; "
        "`alpha` brings `stevedore_core`, a name that is ours; "
        "`alpha` brings `stevedore_model_x.py`, a name that is ours"
    )


def test_a_name_of_python_that_shadows_nothing(tmp_path: Path) -> None:
    """Files that Python would not import may be called as they like."""
    files = {"alpha/json.py": "", "logging/notes.txt": "", "types.pyi": ""}
    tiny.install(tmp_path / "x", tiny.write_wheel(tmp_path, "alpha", files=files))
    refuse_clashes("environments/default", tmp_path / "x")


def test_every_intruder_is_told(tmp_path: Path) -> None:
    """What Python would import in place of its own is named, be it source, bytecode or compiled."""
    files = (
        "abc/__init__.cpython-311-x86_64-linux-gnu.so",
        "alpha/__init__.py",
        "json.py",
        "logging/__init__.py",
        "math.cpython-311-x86_64-linux-gnu.so",
        "sitecustomize.pyc",
        "usercustomize/__init__.pyc",
    )
    wheel = tiny.write_wheel(tmp_path, "alpha", files=dict.fromkeys(files, ""))
    tiny.install(tmp_path / "x", wheel)
    python, start = "a name of the standard library", "which would run at every start"
    assert refusal(tmp_path / "x") == "layer `environments/default` cannot be served: " + "; ".join(
        f"`alpha` brings `{top}`, {reason}"
        for top, reason in (
            ("abc", python),
            ("json.py", python),
            ("logging", python),
            ("math.cpython-311-x86_64-linux-gnu.so", python),
            ("sitecustomize.pyc", start),
            ("usercustomize", start),
        )
    )


FILES = {
    "a module": ({"same.py": "a = 1"}, {"same.py": "a = 2"}),
    "a package": ({"same/__init__.py": "", "same/a.py": ""}, {"same/b.py": ""}),
    "a package of bytecode": ({"same/__init__.pyc": "", "same/a.py": ""}, {"same/b.py": ""}),
    "a compiled package": (
        {"same/__init__.cpython-311-x86_64-linux-gnu.so": "", "same/a.py": ""},
        {"same/b.py": ""},
    ),
    "a package in both": ({"same/__init__.py": ""}, {"same/__init__.py": ""}),
    "a file of a namespace": ({"space/x/a.txt": "1"}, {"space/x/a.txt": "2"}),
    "a license": ({"LICENSE": "MIT"}, {"LICENSE": "BSD"}),
    "a compiled module": ({"same.so": "1"}, {"same.so": "2"}),
    "data": ({"share/x.json": "1"}, {"share/x.json": "2"}),
}
"""Files that two distributions bring, and that cannot both be there."""

POINTS = {
    "one name": ("[plug]\nsame = a:b\n", "[plug]\nsame = c:d\n"),
    "one name, spaced": ("[plug]\nsame = a:b\n", "[plug]\nsame=a:b\n"),
    "a model in both": tuple(f"[ml_py_stevedore.models]\n{n} = a:b\n" for n in ("iris", "iris")),
    "a model in two cases": tuple(
        f"[ml_py_stevedore.models]\n{n} = a:b\n" for n in ("iris", "Iris")
    ),
}
"""Entry points of two distributions of which one would be hidden."""


def file_clashes(place: Path) -> list[str]:
    """Return which of the pairs of files are refused with both names."""
    return [
        case
        for number, (case, (one, two)) in enumerate(FILES.items())
        if names_both(place / str(number), {"files": one}, {"files": two})
    ]


def entry_point_clashes(place: Path) -> list[str]:
    """Return which of the pairs of entry points are refused with both names."""
    return [
        case
        for number, (case, (one, two)) in enumerate(POINTS.items())
        if names_both(place / f"p{number}", {"entry_points": one}, {"entry_points": two})
    ]


def names_both(place: Path, one: dict[str, Any], two: dict[str, Any]) -> bool:
    """Tell whether two distributions in one directory are refused, both by their names."""
    for name, parts in (("alpha", one), ("beta", two)):
        tiny.install(place / "x", tiny.write_wheel(place, name, **parts))
    try:
        refuse_clashes("environments/default", place / "x")
    except LayerRefused as error:
        return "`alpha`" in str(error) and "`beta`" in str(error)
    return False


@pytest.mark.fault("H2")
def test_every_file_clash(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Two distributions never share a module, a package or a file with two contents."""
    found = file_clashes(tmp_path)
    figure(f"{len(found)} of {len(FILES)} pairs refused, both distributions named")
    assert found == list(FILES)


@pytest.mark.control("H2")
def test_file_clashes_of_an_installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check all pairs install in silence, as with any installer."""
    monkeypatch.setattr(installed, "_clashing_files", lambda _: ())
    monkeypatch.setattr(installed, "_clashing_packages", lambda *_: ())
    assert file_clashes(tmp_path) == []


@pytest.mark.fault("H1")
def test_every_entry_point_clash(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Two distributions never offer the same entry point, and none offers a model."""
    found = entry_point_clashes(tmp_path)
    figure(f"{len(found)} of {len(POINTS)} pairs refused, both distributions named")
    assert found == list(POINTS)


@pytest.mark.control("H1")
def test_entry_point_clashes_of_an_installer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the check all pairs install in silence, as with any installer."""
    monkeypatch.setattr(installed, "_clashing_entry_points", lambda _: ())
    assert entry_point_clashes(tmp_path) == []


@pytest.mark.fault("H2")
def test_files_that_no_wheel_recorded(tmp_path: Path) -> None:
    """What is not recorded may be anything, so two of a name are two contents."""
    place = tmp_path / "x"
    for name in ("alpha", "beta"):
        tiny.install(place, tiny.write_wheel(tmp_path, name))
        with (place / f"{name}-1.0.dist-info" / "RECORD").open("a") as record:
            record.write("same.py,,4\n")
    assert refusal(place) == (
        "layer `environments/default` cannot be served: "
        "`alpha` and `beta` bring different files `same.py`"
    )
