"""Our base: from a registry where one answers, else from Debian, else a sentence that says why."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stevedore_build.errors import BaseUnusable
from stevedore_build.images.bases import base_name, make_base
from stevedore_build.images.engines import DOCKER, Engine
from stevedore_build.platforms import LINUX_AMD64, LINUX_ARM64
from stevedore_build.store import Store

ID = "sha256:" + "a" * 64

ENGINE = """#!/bin/sh
echo "$@" >>{log}
case "$*" in
"pull --quiet dir:"*) cp -r "${{3#dir:}}" {loaded}; exit ;;
*RootFS*) echo '["{identity}"]'; exit ;;
*"json .Config"*) echo '{{"Cmd": ["python3"], "Labels": {{"io.buildah.version": "1"}}}}'; exit ;;
esac
case "$1" in
pull) {pull} ;;
build)
  while [ "$1" != --iidfile ]; do shift; done; echo {identity} >"$2"
  while [ "$1" != --file ]; do shift; done; cp "$2" {built}
  ls "$3" >>{log}
  ;;
esac
"""

MMDEBSTRAP = """#!/bin/sh
for argument; do printf '%s\\n' "$argument"; done >{log}
echo "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" >>{log}
{then}
for tar; do :; done
echo debian >"$tar"
"""


def program(path: Path, text: str) -> Path:
    """Write a program that takes the place of a real one."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def make_engine(tmp_path: Path) -> Callable[[str], Engine]:
    """Make an engine that writes down its calls and pulls as it is told to."""

    def make(pull: str) -> Engine:
        text = ENGINE.format(
            log=tmp_path / "calls",
            pull=pull,
            identity=ID,
            built=tmp_path / "Containerfile",
            loaded=tmp_path / "loaded",
        )
        return replace(DOCKER, command=(str(program(tmp_path / "engine", text)),))

    return make


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put an `mmdebstrap` first on the path; return where it writes down how it was called."""

    def install(then: str) -> Path:
        log = tmp_path / "mmdebstrap.log"
        program(tmp_path / "bin" / "mmdebstrap", MMDEBSTRAP.format(log=log, then=then))
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
        return log

    return install


def test_registry(make_engine: Callable[[str], Engine], tmp_path: Path, store: Store) -> None:
    """The slim image gets what wheels need, and bytecode that a read-only container can use."""
    engine = make_engine("exit 0")
    assert make_base(engine, python="3.11", platform=LINUX_AMD64, store=store) == ID
    assert (tmp_path / "Containerfile").read_text() == (
        "FROM python:3.11-slim-bookworm\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 libstdc++6"
        " && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*"
        " && env PYTHONHASHSEED=0 python3.11 -m compileall -q -f"
        " --invalidation-mode unchecked-hash /usr/local/lib/python3.11\n"
    )
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == "pull --platform linux/amd64 python:3.11-slim-bookworm"
    assert calls[-1] == f"tag {ID} {base_name('3.11')}"


def test_debian(
    make_engine: Callable[[str], Engine],
    bootstrap: Callable[[str], Path],
    tmp_path: Path,
    store: Store,
) -> None:
    """Without a registry Debian's packages make one layer, with one fixed time on all files."""
    log = bootstrap("")
    engine = make_engine("exit 1")
    assert make_base(engine, python="3.11", platform=LINUX_AMD64, store=store) == ID
    assert (tmp_path / "Containerfile").read_text() == "FROM scratch\nADD debian.tar /\n"
    called = log.read_text().splitlines()
    assert "--architectures=amd64" in called
    assert "--include=python3.11,libgomp1,libstdc++6,usr-is-merged" in called
    assert "SOURCE_DATE_EPOCH=0" in called
    assert [path.name for path in store.bases.iterdir()] == ["bookworm-py3.11-amd64.tar"]


def loaded(place: Path, image: str) -> tuple[list[str], dict[str, object]]:
    """Return the layers and the configuration of an image that an engine took."""
    told = json.loads((place / "loaded" / image.removeprefix("sha256:")).read_text())
    return told["rootfs"]["diff_ids"], told["config"]


def test_slim_without_its_origin(
    make_engine: Callable[[str], Engine], tmp_path: Path, store: Store
) -> None:
    """An engine that takes images keeps the layers it built, and forgets what built them."""
    engine = replace(make_engine("exit 0"), loads_directories=True)
    image = make_base(engine, python="3.11", platform=LINUX_AMD64, store=store)
    assert loaded(tmp_path, image) == ([ID], {"Cmd": ["python3"], "Labels": {}})
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[-1] == f"tag {image} {base_name('3.11')}"


def test_debian_is_not_built(
    make_engine: Callable[[str], Engine],
    bootstrap: Callable[[str], Path],
    tmp_path: Path,
    store: Store,
) -> None:
    """An engine that takes images gets what Debian gave as it is."""
    bootstrap("")
    engine = replace(make_engine("exit 1"), loads_directories=True)
    image = make_base(engine, python="3.11", platform=LINUX_AMD64, store=store)
    layer = f"sha256:{hashlib.sha256(b'debian' + bytes([10])).hexdigest()}"
    assert loaded(tmp_path, image) == ([layer], {})
    calls = (tmp_path / "calls").read_text().splitlines()
    assert not [call for call in calls if call.startswith("build")]


def test_other_machine(
    make_engine: Callable[[str], Engine],
    bootstrap: Callable[[str], Path],
    tmp_path: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For another kind of processor packages are only unpacked, and no registry's image is run."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    log = bootstrap("")
    engine = make_engine("exit 0")
    assert make_base(engine, python="3.11", platform=LINUX_ARM64, store=store) == ID
    called = log.read_text().splitlines()
    assert {"--variant=extract", "--architectures=arm64"} <= set(called)
    assert not [argument for argument in called if "chroot" in argument]
    python = store.pythons / "3.11" / "bin" / "python"
    assert (
        f"--customize-hook=env PYTHONHASHSEED=0 {python} -m compileall -q -f "
        '--invalidation-mode unchecked-hash -s "$1" -p / "$1/usr/lib/python3.11"'
    ) in called
    calls = (tmp_path / "calls").read_text().splitlines()
    assert not [call for call in calls if call.startswith("pull")]
    assert any("--platform linux/arm64" in call for call in calls)
    assert calls[-1] == f"tag {ID} localhost/ml-py-stevedore-base:bookworm-py3.11-arm64"


def test_debian_is_asked_once(
    make_engine: Callable[[str], Engine], bootstrap: Callable[[str], Path], store: Store
) -> None:
    """A second engine gets the same tar; `renew` makes another."""
    log = bootstrap("")
    engine = make_engine("exit 1")
    make_base(engine, python="3.11", platform=LINUX_AMD64, store=store)
    log.unlink()
    make_base(engine, python="3.11", platform=LINUX_AMD64, store=store)
    assert not log.exists()
    make_base(engine, python="3.11", platform=LINUX_AMD64, store=store, renew=True)
    assert log.exists()


def test_debian_fails(
    make_engine: Callable[[str], Engine], bootstrap: Callable[[str], Path], store: Store
) -> None:
    """What mmdebstrap says last is passed on, and no half tar stays."""
    bootstrap('echo "E: no such suite" >&2; exit 25')
    with pytest.raises(BaseUnusable) as unusable:
        make_base(make_engine("exit 1"), python="3.11", platform=LINUX_AMD64, store=store)
    assert str(unusable.value) == "`mmdebstrap` failed with exit code 25:\nE: no such suite"
    assert list(store.bases.glob("*")) == []


def test_neither(
    make_engine: Callable[[str], Engine],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    store: Store,
) -> None:
    """One message says what was tried, why it failed, and what to install."""
    engine = make_engine("echo no such host >&2; exit 125")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(BaseUnusable) as unusable:
        make_base(engine, python="3.11", platform=LINUX_AMD64, store=store)
    assert str(unusable.value) == (
        "base `python:3.11-slim-bookworm` is neither here nor can it be pulled: "
        f"`{engine.command[0]} pull --platform linux/amd64 python:3.11-slim-bookworm` failed: "
        "no such host; a base from Debian's packages needs `mmdebstrap`, which is not installed "
        "(on Debian `apt-get install mmdebstrap`)"
    )


def test_unknown_python() -> None:
    """Only a Python that was tried has a base of ours."""
    with pytest.raises(BaseUnusable) as unusable:
        base_name("3.14")
    assert str(unusable.value) == (
        "there is no base of ours for Python `3.14`, only for `3.11`; name one under `[image] base`"
    )
