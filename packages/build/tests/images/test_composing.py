"""Images from the command line where no engine is, and what is said about that."""

from pathlib import Path

import pytest

from stevedore_build.cli.program import main
from stevedore_build.workspace import Workspace

pytestmark = pytest.mark.usefixtures("index")

TRIED = (
    "no container engine works here: tried `docker` (not installed); install podman (on Debian "
    "`apt-get install podman`), start docker, or set `ENGINE=none` to write the build context only"
)


@pytest.fixture(autouse=True)
def _inside(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are given inside the repository; no variable names an engine."""
    monkeypatch.chdir(workspace.root)
    monkeypatch.delenv("ENGINE", raising=False)
    monkeypatch.delenv("STEVEDORE_ENGINES", raising=False)
    monkeypatch.delenv("STEVEDORE_REQUIRE_ENGINE", raising=False)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is on the path."""
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))


@pytest.mark.fault("G5")
def test_context_without_an_engine(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ENGINE=none` writes what any engine can build from, on the base by its name."""
    main(["lock", "pair"])
    capsys.readouterr()
    assert main(["image", "pair", "--engine", "none"]) == 0
    context = workspace.root / capsys.readouterr().out.strip()
    lines = (context / "Containerfile").read_text().splitlines()
    assert lines[0] == "FROM localhost/ml-py-stevedore-base:bookworm-py3.11"
    added = [line.split()[1] for line in lines if line.startswith("ADD")]
    assert sorted(added) == sorted(tar.name for tar in context.glob("*.tar"))
    assert len(added) == len(["default", "front", "own", "iris", "digits", "composition"])


@pytest.mark.parametrize("command", ["image", "run", "stop", "base"])
@pytest.mark.usefixtures("nowhere")
def test_no_engine(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command says in one line what was tried and what to do."""
    assert main([command, "pair", "--engine", "docker"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {TRIED}"


@pytest.mark.parametrize("command", ["run", "stop", "base", "verify", "provenance"])
def test_engine_none_runs_nothing(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Only a context can be had without an engine, and only there is `none` offered."""
    assert main([command, "pair", "--engine", "none"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: `ENGINE=none` has no base and runs nothing: name an engine"
    )
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "podman, docker or colima;" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("nowhere")
def test_images_are_tested_where_an_engine_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one they are left out, aloud; required, that is a failure."""
    arguments = ["test-image", "pair", "--engine", "docker", "--python", "python3"]
    assert main(arguments) == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"images are not tested: {TRIED}"
    monkeypatch.setenv("STEVEDORE_REQUIRE_ENGINE", "1")
    assert main(arguments) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {TRIED}"


@pytest.mark.usefixtures("nowhere")
def test_every_listed_engine_is_tried(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`STEVEDORE_ENGINES` lists engines; one that does not work is not passed over."""
    monkeypatch.setenv("STEVEDORE_ENGINES", "docker podman")
    monkeypatch.setenv("STEVEDORE_REQUIRE_ENGINE", "1")
    assert main(["test-image", "pair", "--python", "python3"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {TRIED}"
