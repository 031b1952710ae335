"""Files of weights that a record names and its package does not hold."""

import hashlib
from pathlib import Path

import pytest

from stevedore_core.errors import DocumentInvalid
from stevedore_core.fetched_files import FetchedFile, digest_of, read_fetched

SHA256 = "a" * 64
URL = "https://files.example.test/models/large-1.2+b.npy"
ENTRY = {"file": "large.npy", "sha256": SHA256, "size_bytes": 5, "url": URL}


def read(*entries: dict[str, object]) -> tuple[FetchedFile, ...]:
    """Read a record with these tables."""
    return read_fetched({"weights": list(entries)}, file="record")


def test_a_record_without_tables_names_nothing() -> None:
    """Most models pack all their weights."""
    assert read_fetched({"created": 1, "sha256": {}}, file="record") == ()


def test_tables_are_read_by_name() -> None:
    """Each comes from an address or from the model's directory."""
    other = {**ENTRY, "file": "a.bin", "path": "large/a.bin"}
    del other["url"]
    assert read(ENTRY, other) == (
        FetchedFile(name="a.bin", sha256=SHA256, size_bytes=5, path="large/a.bin"),
        FetchedFile(name="large.npy", sha256=SHA256, size_bytes=5, url=URL),
    )


def test_a_file_is_described(tmp_path: Path) -> None:
    """Its name, size and sha256 are taken from the file."""
    file = tmp_path / "large.npy"
    file.write_bytes(b"12345")
    sha256 = hashlib.sha256(b"12345").hexdigest()
    described = FetchedFile.of(file, url=URL)
    assert described == FetchedFile(name="large.npy", sha256=sha256, size_bytes=5, url=URL)
    assert described.text == (
        f'[[weights]]\nfile = "large.npy"\nsha256 = "{sha256}"\nsize_bytes = 5\nurl = "{URL}"\n'
    )
    assert described.source == URL
    assert FetchedFile.of(file, path="large/x.npy").source == "large/x.npy"


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("a b", {"url": URL}, "`weights[1].file`: expected a file name of letters, digits, "),
        ("a", {"url": "ftp://x/y"}, "`weights[1].url`: expected an address without user, "),
        ("a", {"path": "../y"}, "`weights[1].path`: expected a path inside the model's "),
        ("a", {}, "`weights[1].url`: expected either `url` or `path`, found neither"),
    ],
)
def test_what_a_record_cannot_hold_is_not_described(
    tmp_path: Path, name: str, source: dict[str, str], problem: str
) -> None:
    """What is written can be read again."""
    file = tmp_path / name
    file.write_bytes(b"1")
    with pytest.raises(DocumentInvalid) as caught:
        FetchedFile.of(file, **source)
    assert str(caught.value).startswith(f"{file}: {problem}")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"file": "weights/a.npy"}, "a file name of letters, digits, `.`, `_`, `+` and `-`"),
        ({"file": ".."}, "a file name of letters, digits, `.`, `_`, `+` and `-`"),
        ({"sha256": "A" * 64}, "a sha256 of 64 hexadecimal digits"),
        ({"size_bytes": 0}, "a whole number from 1 to 1099511627776"),
        ({"size_bytes": (1 << 40) + 1}, "a whole number from 1 to 1099511627776"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, object], problem: str) -> None:
    """The message says where, what was expected and what was found."""
    with pytest.raises(DocumentInvalid) as caught:
        read({**ENTRY, **change})
    ((key, value),) = change.items()
    found = value if isinstance(value, str) else repr(value)
    assert str(caught.value) == (
        f"record: `weights[1].{key}`: expected {problem}, found "
        f"`{found if len(found) <= 60 else found[:57] + '…'}`"
    )


@pytest.mark.parametrize(
    "url",
    [
        "ftp://files.example.test/a.npy",
        "file:///etc/passwd",
        "https://user:secret@files.example.test/a.npy",
        "https://files.example.test/a.npy?token=secret",
        "https://files.example.test/a.npy#part",
        "https://files.example.test",
        "https:///a.npy",
        "https://files.example.test/a b",
        'https://files.example.test/a"b',
        "https://files.example.test/a\nb",
        "",
    ],
)
def test_an_address_that_holds_more_or_less_is_refused(url: str) -> None:
    """It is committed and shipped, so it holds no secret; and it names one file."""
    with pytest.raises(DocumentInvalid) as caught:
        read({**ENTRY, "url": url})
    assert str(caught.value).startswith(
        "record: `weights[1].url`: expected an address without user, password and query, such as "
        "`https://…/model.npy`, found "
    )


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "..", "../a", "a/../b", "a/..", "./a", "a/", "a//b", "a\\b", "a b", ""]
)
def test_a_path_stays_in_the_models_directory(path: str) -> None:
    """It leads neither up nor to a place on one machine."""
    entry = {key: value for key, value in ENTRY.items() if key != "url"}
    with pytest.raises(DocumentInvalid, match="expected a path inside the model's directory"):
        read({**entry, "path": path})
    for good in ("a", "large/a.npy", ".hidden/..a", "a..b/c"):
        assert read({**entry, "path": good})[0].path == good


def test_all_problems_are_told_at_once() -> None:
    """Two sources, a name that is listed twice, a key that nobody knows."""
    with pytest.raises(DocumentInvalid) as caught:
        read_fetched(
            {"weights": [ENTRY, {**ENTRY, "path": "a", "sha265": SHA256}], "creatde": 1},
            file="record",
        )
    assert str(caught.value) == (
        "record: 4 problems\n"
        "  `weights[2].url`: expected either `url` or `path`, found both\n"
        "  `weights[2].sha265`: unknown key; did you mean `sha256`?\n"
        "  `weights[2].file`: `large.npy` is listed twice\n"
        "  `creatde`: unknown key; did you mean `created`?"
    )


def test_tables_that_are_none_are_refused() -> None:
    """A table in place of an array of tables."""
    with pytest.raises(DocumentInvalid) as caught:
        read_fetched({"weights": {}}, file="record")
    assert str(caught.value) == "record: `weights`: expected an array of tables, found `{}`"


def test_the_digest_is_of_names_and_contents() -> None:
    """Where files come from has no say in it, nor has their order."""
    (one,) = read(ENTRY)
    (other,) = read({**ENTRY, "file": "b", "sha256": "b" * 64})
    (elsewhere,) = read({**ENTRY, "url": "http://127.0.0.1:8001/x"})
    assert digest_of([one, other]) == digest_of([other, elsewhere])
    (renamed,) = read({**ENTRY, "file": "c"})
    (changed,) = read({**ENTRY, "sha256": "c" * 64})
    assert len({digest_of([file]) for file in (one, renamed, changed)}) == 3
