"""Files that are put back exactly as they were if what changes them fails. Releases call it."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["put_back"]

_INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def put_back(*places: Path) -> Iterator[None]:
    """Put files and directories back if anything is raised inside, an interruption included.

    A place that was not there is removed again. A second interruption waits until all is done.
    """
    before = {place: _content(place) for place in places}
    try:
        yield
    except BaseException:
        signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        try:
            for place, content in before.items():
                _restore(place, content)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
        raise


def _content(place: Path) -> dict[Path, bytes] | None:
    """Return the bytes of a file, or of all files below a directory; `None` if it is not there."""
    if not place.exists():
        return None
    files = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
    return {file: file.read_bytes() for file in files}


def _restore(place: Path, content: dict[Path, bytes] | None) -> None:
    now = _content(place)
    if content is None and place.is_dir():
        shutil.rmtree(place)
    elif content is None:
        place.unlink(missing_ok=True)
    else:
        for file in (now or {}).keys() - content.keys():
            file.unlink()
        for file, data in content.items():
            if now is None or now.get(file) != data:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
