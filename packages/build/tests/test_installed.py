"""What an installer leaves behind, and what of it must not be served."""

from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import LayerRefused
from stevedore_build.installed import distributions, refuse_clashes, set_modes, tidy


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


def test_set_modes(tmp_path: Path) -> None:
    """Programs stay programs; everybody may read everything."""
    place = tmp_path / "x"
    tiny.write(place / "data", "")
    tiny.write(place / "program", "")
    (place / "data").chmod(0o600)
    (place / "program").chmod(0o700)
    place.chmod(0o700)
    set_modes(place)
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in (place, *place.iterdir())}
    assert modes == {"x": "0o755", "data": "0o644", "program": "0o755"}


def test_peaceful(tmp_path: Path) -> None:
    """Namespace packages, equal files and scripts of one name are no clash."""
    scripts = "[console_scripts]\ntool = a:main\n"
    one = {"space/alpha/__init__.py": "", "LICENSE": "MIT"}
    two = {"space/beta/__init__.py": "", "LICENSE": "MIT"}
    tiny.install(
        tmp_path / "x",
        tiny.write_wheel(tmp_path, "alpha", files=one, entry_points=scripts),
        tiny.write_wheel(tmp_path, "beta", files=two, entry_points=scripts),
    )
    refuse_clashes("environments/default", tmp_path / "x")


def test_clashes(tmp_path: Path) -> None:
    """Every way in which two distributions get into each other's way is told."""
    points = "[plug]\nName = a:b\n"
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


def test_names_of_ours(tmp_path: Path) -> None:
    """A third-party distribution neither shadows our packages nor pretends to be a model."""
    points = "[ml_py_stevedore.models]\niris = alpha:load\n"
    files = {"stevedore_core/__init__.py": "", "stevedore_model_x.py": ""}
    tiny.install(
        tmp_path / "x", tiny.write_wheel(tmp_path, "alpha", files=files, entry_points=points)
    )
    assert refusal(tmp_path / "x") == (
        "layer `environments/default` cannot be served: "
        "`alpha` offers a model `iris`; only model packages may; "
        "`alpha` brings `stevedore_core`, a name that is ours; "
        "`alpha` brings `stevedore_model_x.py`, a name that is ours"
    )
