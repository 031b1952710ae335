"""A draft lives as long as the process that writes it, however that ends."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stevedore_build.drafts import draft_directory

WRITER = """
import sys
from pathlib import Path
from stevedore_build.drafts import draft_directory
with draft_directory(Path(sys.argv[1])) as directory:
    (directory / "half").write_text("half")
    print(directory, flush=True)
    sys.stdin.read()
"""


def writer(parent: Path) -> subprocess.Popen[str]:
    """Start a process that holds a draft until its input ends."""
    command = [sys.executable, "-c", WRITER, str(parent)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_gone_in_the_end(tmp_path: Path) -> None:
    """A draft is removed with all that is in it."""
    with draft_directory(tmp_path / "drafts") as directory:
        (directory / "file").touch()
    assert list((tmp_path / "drafts").iterdir()) == []


def test_killed_maker(tmp_path: Path) -> None:
    """What a killed process left goes when the next draft is made, but not while it runs."""
    with writer(tmp_path) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with draft_directory(tmp_path):
            assert (left / "half").read_text() == "half"
        process.kill()
    assert left.exists()
    with draft_directory(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]


def test_many_at_once(tmp_path: Path) -> None:
    """Nobody removes what another is writing, even in the moment in which it is made."""

    def write(number: int) -> bool:
        with draft_directory(tmp_path) as directory:
            (directory / "file").write_text(str(number))
            return (directory / "file").read_text() == str(number)

    with ThreadPoolExecutor(max_workers=16) as pool:
        assert all(pool.map(write, range(1000)))
    assert list(tmp_path.iterdir()) == []
