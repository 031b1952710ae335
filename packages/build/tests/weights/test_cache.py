"""What is in the cache of weights is whole and as recorded, whoever put it there and how."""

import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import file_server
import pytest
from file_server import FileServer, Served

from stevedore_build.errors import FetchFailed
from stevedore_build.store import Store
from stevedore_build.weights import cache
from stevedore_build.weights.cache import fetch, keep, place
from stevedore_core.fetched_files import FetchedFile

CONTENT = b"weights" * 300_000


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server of one file, `/large.npy`."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "large.npy").write_bytes(CONTENT)
    with file_server.serving() as found:
        found.served["/large.npy"] = Served(file=tmp_path / "large.npy")
        yield found


@pytest.fixture
def large(server: FileServer, tmp_path: Path) -> FetchedFile:
    """That file, as a record describes it."""
    return FetchedFile.of(tmp_path / "large.npy", url=f"{server.url}/large.npy")


def entries(store: Store) -> list[str]:
    """Return the files in the cache that are not locks."""
    found = (path for path in store.weights.rglob("*") if path.is_file())
    names = [path.relative_to(store.weights).as_posix() for path in found]
    return sorted(name for name in names if not name.startswith("locks/"))


def test_fetched_once(
    large: FetchedFile, server: FileServer, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second time nobody is asked, and nothing is said."""
    kept = fetch(large, model="iris", store=store)
    assert kept == store.root / "weights" / "sha256" / large.sha256
    assert kept.read_bytes() == CONTENT
    assert kept.stat().st_mode & 0o777 == 0o444
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Fetching `large.npy` of `iris`, 2.1 MB …"
    assert said[1].startswith("Fetching `large.npy` of `iris`, 2.1 MB: ")
    assert fetch(large, model="iris", store=store) == kept
    assert capsys.readouterr().err == ""
    assert len(server.asked) == 1


def test_a_shared_directory(large: FetchedFile, server: FileServer, tmp_path: Path) -> None:
    """Two checkouts that name the same directory fetch once."""
    shared = tmp_path / "shared"
    for name in ("one", "other"):
        store = Store(root=tmp_path / name, shared_weights=shared)
        assert fetch(large, model="iris", store=store).parent == shared / "sha256"
    assert len(server.asked) == 1


def test_other_content_is_refused(
    large: FetchedFile, server: FileServer, store: Store, tmp_path: Path
) -> None:
    """Of the same length: address, expected and found are told, and nothing stays."""
    other = CONTENT.replace(b"w", b"v", 1)
    (tmp_path / "large.npy").write_bytes(other)
    with pytest.raises(FetchFailed) as caught:
        fetch(large, model="iris", store=store)
    assert str(caught.value) == (
        f"{server.url}/large.npy: is not the recorded `large.npy`: expected sha256 "
        f"`{large.sha256}`, found `{hashlib.sha256(other).hexdigest()}`; nothing of it is kept"
    )
    assert entries(store) == []


def test_a_part_is_never_taken_for_the_whole(
    large: FetchedFile, server: FileServer, store: Store
) -> None:
    """What broke off stays apart, and is gone on with."""
    server.served["/large.npy"].cuts = [1000, 0]
    with pytest.raises(FetchFailed, match="1000 of 2100000 bytes arrived"):
        fetch(large, model="iris", store=store)
    assert entries(store) == [f"parts/{large.sha256}"]
    assert fetch(large, model="iris", store=store).read_bytes() == CONTENT
    assert server.asked[-1] == ("/large.npy", "bytes=1000-")
    assert entries(store) == [f"sha256/{large.sha256}"]


def test_a_part_of_another_file_is_found_out(
    large: FetchedFile, server: FileServer, store: Store
) -> None:
    """A wrong beginning gives a wrong sha256; the next call fetches all of it."""
    part = store.weights / "parts" / large.sha256
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    with pytest.raises(FetchFailed, match=r"is not the recorded `large\.npy`"):
        fetch(large, model="iris", store=store)
    assert fetch(large, model="iris", store=store).read_bytes() == CONTENT
    assert server.asked == [("/large.npy", "bytes=1000-"), ("/large.npy", None)]


def test_two_at_once_fetch_once(large: FetchedFile, server: FileServer, store: Store) -> None:
    """The second waits for the first and takes what that fetched."""
    threads = [
        threading.Thread(target=fetch, args=(large,), kwargs={"model": "iris", "store": store})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1
    assert entries(store) == [f"sha256/{large.sha256}"]


def test_two_at_once_without_turns_fetch_more(
    large: FetchedFile, server: FileServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test before this one can fail: where nobody waits, both ask."""
    both = threading.Barrier(2)
    monkeypatch.setattr(fcntl, "flock", lambda *_: both.wait(10))
    failed: list[Exception] = []

    def try_to() -> None:
        try:
            fetch(large, model="iris", store=store)
        except (FetchFailed, OSError) as error:
            failed.append(error)

    threads = [threading.Thread(target=try_to) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 2


def test_from_the_models_directory(store: Store) -> None:
    """Without an address the file is taken from where the record says."""
    source = store.repository / "models" / "iris" / "large" / "a.npy"
    source.parent.mkdir(parents=True)
    source.write_bytes(CONTENT)
    file = FetchedFile.of(source, path="large/a.npy")
    kept = fetch(file, model="iris", store=store)
    source.write_bytes(b"other")
    assert kept.read_bytes() == CONTENT
    kept.unlink()
    with pytest.raises(FetchFailed) as caught:
        fetch(file, model="iris", store=store)
    assert str(caught.value) == f"{source}: expected 2100000 bytes, found 5"
    source.unlink()
    with pytest.raises(FetchFailed) as caught:
        fetch(file, model="iris", store=store)
    assert str(caught.value) == (
        f"{source}: not there, and weights are recorded to be; put the file with sha256 "
        f"`{file.sha256}` there, or record a `url` with `ml-stevedore declare-weights`"
    )


def test_kept(large: FetchedFile, server: FileServer, store: Store, tmp_path: Path) -> None:
    """Who has the file need not fetch it; another one is not kept."""
    other = tmp_path / "other.npy"
    other.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(FetchFailed, match="is not the recorded"):
        keep(large, other, store=store)
    kept = keep(large, tmp_path / "large.npy", store=store)
    assert keep(large, tmp_path / "gone", store=store) == kept
    assert fetch(large, model="iris", store=store) == kept
    assert server.asked == []


def test_placed(large: FetchedFile, store: Store, tmp_path: Path) -> None:
    """It is the same file, not a copy, and nobody writes into it by mistake."""
    at = tmp_path / "place.npy"
    place(large, at, model="iris", store=store)
    assert at.samefile(fetch(large, model="iris", store=store))
    assert at.stat().st_mode & 0o777 == 0o444


def test_placed_elsewhere(
    large: FetchedFile, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file cannot have two names, it is copied."""

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    at = tmp_path / "place.npy"
    place(large, at, model="iris", store=store)
    assert not at.samefile(fetch(large, model="iris", store=store))
    assert at.read_bytes() == CONTENT
    assert at.stat().st_mode & 0o777 == 0o444


def test_a_changed_file_is_not_placed(large: FetchedFile, store: Store, tmp_path: Path) -> None:
    """The name alone is not trusted."""
    kept = fetch(large, model="iris", store=store)
    kept.chmod(0o644)
    kept.write_bytes(b"other")
    with pytest.raises(FetchFailed) as caught:
        place(large, tmp_path / "place.npy", model="iris", store=store)
    assert str(caught.value) == (
        f"{kept}: expected sha256 `{large.sha256}`, found `{hashlib.sha256(b'other').hexdigest()}`:"
        " the file was changed after it was fetched; remove it, and it is fetched anew"
    )
    assert not (tmp_path / "place.npy").exists()


class Usage(NamedTuple):
    """What a file system says of its room."""

    total: int
    used: int
    free: int


def test_too_little_room_is_told_first(
    large: FetchedFile, server: FileServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched that does not fit; a part that is there counts."""
    message = (
        f"{store.weights}: `large.npy` needs 2.1 MB, and 2.0 MB are free; free some, or name "
        "another directory in `STEVEDORE_WEIGHTS_CACHE`"
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(9**9, 0, 2_000_000))
    with pytest.raises(FetchFailed) as caught:
        fetch(large, model="iris", store=store)
    assert str(caught.value) == message
    assert server.asked == []
    part = store.weights / "parts" / large.sha256
    part.write_bytes(CONTENT[:200_000])
    assert fetch(large, model="iris", store=store).read_bytes() == CONTENT


def test_a_disk_that_becomes_full(
    large: FetchedFile, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written makes room again."""

    def fill(_: str, into: Path, **__: object) -> None:
        into.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "download", fill)
    with pytest.raises(FetchFailed, match=r"needs 2\.1 MB, and .* are free; free some"):
        fetch(large, model="iris", store=store)
    assert entries(store) == []


def test_other_failures_of_a_disk_are_not_renamed(
    large: FetchedFile, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a full one is something to make room on."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(cache, "download", fail)
    with pytest.raises(OSError, match="Input/output error"):
        fetch(large, model="iris", store=store)


def test_names_are_digests(large: FetchedFile, store: Store) -> None:
    """Two names for one content are fetched once."""
    first = fetch(large, model="iris", store=store)
    assert fetch(replace(large, name="other.npy"), model="digits", store=store) == first
