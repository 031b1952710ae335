"""Weights: what is recorded is what is loaded, or nothing is."""

import hashlib
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from stevedore_core.errors import WeightsMismatch
from stevedore_core.fetched_files import FetchedFile
from stevedore_core.weights import RECORD, WeightsRecord, record_weights

CREATED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
FIRST, SECOND = b"weights of the first", b"weights of the second"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A directory with two recorded files."""
    (tmp_path / "first.bin").write_bytes(FIRST)
    (tmp_path / "second.bin").write_bytes(SECOND)
    record_weights(tmp_path, ["second.bin", "first.bin"], created=CREATED)
    return tmp_path


def sha256(content: bytes) -> str:
    """Return the digest as the record writes it."""
    return hashlib.sha256(content).hexdigest()


def test_the_record_is_written_in_order(weights: Path) -> None:
    """The text depends on names, contents and time only."""
    assert (weights / RECORD).read_text() == (
        "# Written by train.py.\n"
        "created = 2026-03-04T05:06:07Z\n"
        "\n"
        "[sha256]\n"
        f'"first.bin" = "{sha256(FIRST)}"\n'
        f'"second.bin" = "{sha256(SECOND)}"\n'
    )


def test_what_was_recorded_is_read_back(weights: Path) -> None:
    """Reading gives the time in UTC and each file's sha256; intact files are handed out."""
    record = WeightsRecord.read(weights)
    assert record == WeightsRecord(
        directory=weights,
        created="2026-03-04T05:06:07+00:00",
        sha256={"first.bin": sha256(FIRST), "second.bin": sha256(SECOND)},
    )
    assert record.verified("first.bin") == weights / "first.bin"


def test_the_time_is_recorded_in_utc(weights: Path) -> None:
    """A time of another zone is the same moment in the record."""
    there = CREATED.astimezone(timezone(timedelta(hours=-7)))
    record_weights(weights, ["first.bin"], created=there)
    assert WeightsRecord.read(weights).created == "2026-03-04T05:06:07+00:00"


def test_a_time_without_its_zone_is_not_recorded(weights: Path) -> None:
    """Whoever trains must say which moment it was."""
    with pytest.raises(ValueError, match="expected a time with its zone, found 2026-03-04"):
        record_weights(weights, [], created=CREATED.replace(tzinfo=None))


def flip(file: Path) -> None:
    """Change one bit."""
    content = bytearray(file.read_bytes())
    content[3] ^= 1
    file.write_bytes(content)


def truncate(file: Path) -> None:
    """Drop the last byte."""
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    """Drop all bytes."""
    file.write_bytes(b"")


def swap(file: Path) -> None:
    """Put the other file in its place."""
    file.write_bytes(SECOND)


@pytest.mark.fault("G1")
@pytest.mark.parametrize("harm", [flip, truncate, empty, swap])
def test_a_changed_file_is_refused(weights: Path, harm: Callable[[Path], None]) -> None:
    """Any other content is noticed; the message gives both digests."""
    harm(weights / "first.bin")
    found = sha256((weights / "first.bin").read_bytes())
    with pytest.raises(WeightsMismatch) as caught:
        WeightsRecord.read(weights).verified("first.bin")
    assert str(caught.value) == (
        f"`first.bin` is not the recorded file: expected sha256 {sha256(FIRST)}, found {found}"
    )


def flips_refused(directory: Path) -> int:
    """Flip each of 100 bytes of recorded weights, and count how often they are refused by name."""
    content = random.Random(1).randbytes(50_000)
    file = directory / "first.bin"
    file.write_bytes(content)
    record_weights(directory, ["first.bin"], created=CREATED)
    refused = 0
    for place in random.Random(2).sample(range(len(content)), 100):
        harmed = bytearray(content)
        harmed[place] ^= 1 << place % 8
        file.write_bytes(harmed)
        try:
            WeightsRecord.read(directory).verified("first.bin")
        except WeightsMismatch as error:
            refused += str(error).startswith("`first.bin` is not the recorded file: ")
    return refused


@pytest.mark.fault("G1")
def test_every_flipped_byte_is_refused(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """It does not matter where the harm is."""
    refused = flips_refused(tmp_path)
    figure(f"{refused} of 100 flipped bytes refused, and truncated, emptied and swapped files")
    assert refused == 100


@pytest.mark.control("G1")
def test_flips_pass_a_check_that_looks_at_the_start_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights whose digest covers their first half only are accepted where the rest is harmed."""

    def half(path: Path) -> str:
        return sha256(path.read_bytes()[:25_000])

    monkeypatch.setattr("stevedore_core.weights._sha256", half)
    assert flips_refused(tmp_path) == 42


def test_a_link_is_refused(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Weights are files of the package, even where a link leads to the same bytes."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "first.bin"
    (weights / "first.bin").rename(elsewhere)
    (weights / "first.bin").symlink_to(elsewhere)
    with pytest.raises(WeightsMismatch) as caught:
        WeightsRecord.read(weights).verified("first.bin")
    assert str(caught.value).startswith("`first.bin` cannot be read: ")


def test_a_missing_file_is_refused(weights: Path) -> None:
    """A recorded file that is gone is named."""
    (weights / "first.bin").unlink()
    with pytest.raises(WeightsMismatch) as caught:
        WeightsRecord.read(weights).verified("first.bin")
    assert str(caught.value) == "`first.bin` cannot be read: No such file or directory"


@pytest.mark.parametrize("name", ["third.bin", "../first.bin", "./first.bin", "", RECORD])
def test_a_file_that_is_not_recorded_is_refused(weights: Path, name: str) -> None:
    """Only names that the record holds are looked at."""
    (weights / "third.bin").write_bytes(b"unknown")
    with pytest.raises(WeightsMismatch) as caught:
        WeightsRecord.read(weights).verified(name)
    assert str(caught.value) == f"`{name}` is not among the files that `weights.toml` records"


def test_a_missing_record_says_how_to_make_one(tmp_path: Path) -> None:
    """Without a record nothing is loaded."""
    with pytest.raises(WeightsMismatch) as caught:
        WeightsRecord.read(tmp_path)
    assert str(caught.value) == "`weights.toml` is missing: run `train.py`, which writes it"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"created = ",
        b"\xff",
        b"created = 2026-03-04T05:06:07Z",
        b"[sha256]",
        b'created = "2026-03-04T05:06:07Z"\n[sha256]',
        b"created = 2026-03-04\n[sha256]",
        b"created = 2026-03-04T05:06:07\n[sha256]",
        b"created = 2026-03-04T05:06:07Z\nsha256 = 5",
        b'created = 2026-03-04T05:06:07Z\nsha256 = "text"',
    ],
)
def test_a_garbled_record_says_what_it_needs(tmp_path: Path, text: bytes) -> None:
    """Whatever is wrong with the record, the message says what it must hold."""
    (tmp_path / RECORD).write_bytes(text)
    with pytest.raises(WeightsMismatch) as caught:
        WeightsRecord.read(tmp_path)
    assert str(caught.value).startswith(
        "`weights.toml` needs `created` (a date and time) and a table `[sha256]`: "
    )


def test_a_digest_of_another_kind_matches_nothing(tmp_path: Path) -> None:
    """A record whose digest is no text refuses the file."""
    (tmp_path / "first.bin").write_bytes(FIRST)
    (tmp_path / RECORD).write_text('created = 2026-03-04T05:06:07Z\n[sha256]\n"first.bin" = 5\n')
    with pytest.raises(WeightsMismatch) as caught:
        WeightsRecord.read(tmp_path).verified("first.bin")
    assert str(caught.value) == (
        f"`first.bin` is not the recorded file: expected sha256 5, found {sha256(FIRST)}"
    )


@pytest.fixture
def fetched(tmp_path: Path) -> Path:
    """A directory whose record names a file that is fetched; it lies in `fetched/` beside."""
    (tmp_path / "package").mkdir()
    (tmp_path / "fetched").mkdir()
    file = tmp_path / "fetched" / "large.npy"
    file.write_bytes(FIRST)
    large = FetchedFile.of(file, url="https://files.example.test/large.npy")
    record_weights(tmp_path / "package", [], created=CREATED, fetched=[large])
    return tmp_path / "package"


def test_a_record_of_fetched_files_is_written_and_read(fetched: Path) -> None:
    """It gives each with its size, its sha256 and where it comes from."""
    text = (
        "# Written by train.py.\n"
        "created = 2026-03-04T05:06:07Z\n"
        "\n"
        "[sha256]\n"
        "\n"
        "[[weights]]\n"
        'file = "large.npy"\n'
        f'sha256 = "{sha256(FIRST)}"\n'
        f"size_bytes = {len(FIRST)}\n"
        'url = "https://files.example.test/large.npy"\n'
    )
    assert (fetched / RECORD).read_text() == text
    record = WeightsRecord.read(fetched)
    assert record.text == text
    assert list(record.fetched) == ["large.npy"]


def test_a_fetched_file_is_found_where_it_was_fetched_to(fetched: Path) -> None:
    """Beside the record it need not lie; if it does, it is taken from there."""
    elsewhere = fetched.parent / "fetched"
    record = WeightsRecord.read(fetched)
    found = record.verified("large.npy", fetched_into=elsewhere)
    assert found == elsewhere / "large.npy"
    (fetched / "large.npy").write_bytes(FIRST)
    assert record.verified("large.npy") == fetched / "large.npy"


def test_a_file_that_was_not_fetched_is_told(fetched: Path) -> None:
    """A package alone, outside of a layout, cannot be loaded; no path is told."""
    for place in (None, fetched.parent / "nowhere"):
        with pytest.raises(WeightsMismatch) as caught:
            WeightsRecord.read(fetched).verified("large.npy", fetched_into=place)
        assert str(caught.value) == (
            "`large.npy` is not here: it is no part of the package, and is fetched when a layout "
            "or an image is made; load the model from one of those, such as `make serve` makes"
        )


def test_a_changed_fetched_file_is_refused(fetched: Path) -> None:
    """By its sha256, and where the size differs without being read."""
    elsewhere = fetched.parent / "fetched"
    record = WeightsRecord.read(fetched)
    flip(elsewhere / "large.npy")
    found = sha256((elsewhere / "large.npy").read_bytes())
    with pytest.raises(WeightsMismatch) as caught:
        record.verified("large.npy", fetched_into=elsewhere)
    assert str(caught.value) == (
        f"`large.npy` is not the recorded file: expected sha256 {sha256(FIRST)}, found {found}"
    )
    truncate(elsewhere / "large.npy")
    with pytest.raises(WeightsMismatch) as caught:
        record.verified("large.npy", fetched_into=elsewhere)
    assert str(caught.value) == (
        f"`large.npy` is not the recorded file: expected {len(FIRST)} bytes, found {len(FIRST) - 1}"
    )


def test_a_link_in_place_of_a_fetched_file_is_refused(fetched: Path) -> None:
    """As for packaged ones."""
    elsewhere = fetched.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "large.npy").symlink_to(fetched.parent / "fetched" / "large.npy")
    with pytest.raises(WeightsMismatch) as caught:
        WeightsRecord.read(fetched).verified("large.npy", fetched_into=elsewhere)
    assert str(caught.value).startswith("`large.npy` cannot be read: ")


def test_a_file_is_packaged_or_fetched(fetched: Path) -> None:
    """A record that says both is refused."""
    text = (fetched / RECORD).read_text()
    both = text.replace("[sha256]\n", f'[sha256]\n"large.npy" = "{"a" * 64}"\n')
    (fetched / RECORD).write_text(both)
    with pytest.raises(WeightsMismatch) as caught:
        WeightsRecord.read(fetched)
    assert str(caught.value) == (
        "`weights.toml`: `large.npy` is in `[sha256]`, as a file of the package, and in "
        "`[[weights]]`, as one that is fetched; remove one of the two"
    )


def test_what_is_wrong_with_a_table_is_told(fetched: Path) -> None:
    """With its key, as for any document."""
    text = (fetched / RECORD).read_text()
    (fetched / RECORD).write_text(text.replace("size_bytes", "size_byte"))
    with pytest.raises(WeightsMismatch) as caught:
        WeightsRecord.read(fetched)
    assert str(caught.value) == (
        "`weights.toml`: 2 problems\n"
        "  `weights[1].size_bytes`: missing; expected a whole number from 1 to 1099511627776\n"
        "  `weights[1].size_byte`: unknown key; did you mean `size_bytes`?"
    )
