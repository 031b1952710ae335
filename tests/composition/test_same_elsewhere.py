"""The same commit gives the same layers on another day, in another directory, for another user."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from served import LOCK

ROOT = Path(__file__).parents[2]


def copy_tracked(to: Path) -> None:
    """Copy what git tracks, with rights for nobody else, into a clone: pins may need history."""
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(to)], check=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes((ROOT / name).read_bytes())
        (to / name).chmod(0o600)
    subprocess.run(["git", "add", "--all"], cwd=to, check=True)


def tars(checkout: Path) -> dict[str, str]:
    """Return the digests of the tars in a checkout's build context."""
    command = [str(ROOT / ".venv/bin/ml-stevedore"), "image", LOCK["name"], "--engine", "none"]
    done = subprocess.run(
        command, cwd=checkout, capture_output=True, text=True, umask=0o077, check=False
    )
    assert done.returncode == 0, done.stderr
    context = checkout / done.stdout.strip()
    return {tar.name: hashlib.sha256(tar.read_bytes()).hexdigest() for tar in context.glob("*.tar")}


@pytest.mark.skipif("STEVEDORE_IMAGE" in os.environ, reason="no image and no engine is in this")
def test_same_layers_in_another_directory(tmp_path: Path) -> None:
    """Nothing of a directory, a umask or a clock is in a layer: equal names hold equal bytes."""
    elsewhere = tmp_path / "elsewhere"
    copy_tracked(elsewhere)
    found = tars(elsewhere)
    assert len(found) > 1
    assert found == tars(ROOT)
