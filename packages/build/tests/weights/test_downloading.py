"""Bytes arrive from servers that redirect, break off, go on, and say what is not so."""

import random
import socket
from collections.abc import Iterator
from pathlib import Path

import file_server
import pytest
from file_server import FileServer, Served

from stevedore_build.errors import FetchFailed
from stevedore_build.weights.downloading import download

CONTENT = random.Random(1).randbytes(3_000_000)
SIZE = len(CONTENT)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    """A server of one file, `/large.npy`."""
    file = tmp_path / "served"
    file.write_bytes(CONTENT)
    with file_server.serving() as found:
        found.served["/large.npy"] = Served(file=file)
        yield found


@pytest.fixture(autouse=True)
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this user's passwords would be; there are none."""
    file = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(file))
    return file


def fetch(server: FileServer, into: Path, path: str = "/large.npy") -> list[int]:
    """Download, and return what was shown on the way."""
    shown: list[int] = []
    download(server.url + path, into, size_bytes=SIZE, show=shown.append)
    return shown


def refusal(server: FileServer, into: Path, path: str = "/large.npy") -> str:
    """Return why a download fails, without the address it begins with."""
    with pytest.raises(FetchFailed) as caught:
        fetch(server, into, path)
    return str(caught.value).removeprefix(f"{server.url}{path}")


def test_a_file_arrives(server: FileServer, tmp_path: Path) -> None:
    """Whole, in one request, and how much is there is told on the way."""
    into = tmp_path / "into"
    assert fetch(server, into) == [1 << 20, 2 << 20, SIZE]
    assert into.read_bytes() == CONTENT
    assert server.asked == [("/large.npy", None)]


def test_what_breaks_off_goes_on(server: FileServer, tmp_path: Path) -> None:
    """Each try asks for the rest only."""
    into = tmp_path / "into"
    server.served["/large.npy"].cuts = [1_000_000, 500_000]
    fetch(server, into)
    assert into.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=1000000-", "bytes=1500000-"]


def test_the_next_call_goes_on(server: FileServer, tmp_path: Path) -> None:
    """A server that brings nothing more is not asked forever; what arrived is not lost."""
    into = tmp_path / "into"
    server.served["/large.npy"].cuts = [1_000_000, 0]
    assert refusal(server, into) == (
        ": 1000000 of 3000000 bytes arrived, then the server ended the connection; run this again, "
        "and it goes on from there"
    )
    assert into.read_bytes() == CONTENT[:1_000_000]
    fetch(server, into)
    assert into.read_bytes() == CONTENT


def test_drops_are_not_endless(server: FileServer, tmp_path: Path) -> None:
    """Ten tries are made, also where each of them brings a byte."""
    server.served["/large.npy"].cuts = [1] * 20
    assert refusal(server, tmp_path / "into").startswith(": 10 of 3000000 bytes arrived, then ")
    assert len(server.asked) == 10


def test_a_server_without_ranges_begins_anew(server: FileServer, tmp_path: Path) -> None:
    """What was there is not taken for the beginning of what is sent."""
    into = tmp_path / "into"
    into.write_bytes(b"x" * 1000)
    server.served["/large.npy"].has_ranges = False
    fetch(server, into)
    assert into.read_bytes() == CONTENT


def test_more_than_the_file_is_thrown_away(server: FileServer, tmp_path: Path) -> None:
    """A part that is longer than the whole is no part of it."""
    into = tmp_path / "into"
    into.write_bytes(b"x" * (SIZE + 1))
    fetch(server, into)
    assert into.read_bytes() == CONTENT


def test_a_range_that_is_refused(server: FileServer, tmp_path: Path) -> None:
    """A server with a shorter file than ours is asked from the beginning, and then refused."""
    into = tmp_path / "into"
    into.write_bytes(b"x" * 1000)
    short = tmp_path / "short"
    short.write_bytes(b"y" * 900)
    server.served["/large.npy"].file = short
    assert refusal(server, into) == ": expected 3000000 bytes, found 900"
    assert [asked for _, asked in server.asked] == ["bytes=1000-", None]


def test_a_whole_file_is_not_asked_for(server: FileServer, tmp_path: Path) -> None:
    """Whether it is right is for others to find out."""
    into = tmp_path / "into"
    into.write_bytes(CONTENT)
    fetch(server, into)
    assert server.asked == []


def test_another_length_is_refused_unread(server: FileServer, tmp_path: Path) -> None:
    """A page of a login form is not downloaded as weights."""
    into = tmp_path / "into"
    page = tmp_path / "page"
    page.write_bytes(b"<html>")
    server.served["/large.npy"].file = page
    assert refusal(server, into) == ": expected 3000000 bytes, found 6"
    assert into.read_bytes() == b""


def test_a_lie_about_the_length_is_seen(server: FileServer, tmp_path: Path) -> None:
    """Fewer bytes than told are a connection that broke off."""
    short = tmp_path / "short"
    short.write_bytes(CONTENT[:-1])
    server.served["/large.npy"] = Served(file=short, length_bytes=SIZE, has_ranges=False)
    assert refusal(server, tmp_path / "into").startswith(": 2999999 of 3000000 bytes arrived, ")


def test_more_than_was_told_is_not_written(server: FileServer, tmp_path: Path) -> None:
    """A server that tells no length cannot fill the disk."""
    long = tmp_path / "long"
    long.write_bytes(CONTENT + b"more")
    server.served["/large.npy"] = Served(file=long, length_bytes=-1)
    assert refusal(server, tmp_path / "into") == ": expected 3000000 bytes, found more"
    assert (tmp_path / "into").stat().st_size < SIZE


def test_redirects_are_followed(server: FileServer, tmp_path: Path) -> None:
    """As those who host weights send to another server; the range goes along."""
    into = tmp_path / "into"
    into.write_bytes(CONTENT[:1000])
    server.served["/here"] = Served(status=302, headers={"Location": "/large.npy"})
    fetch(server, into, "/here")
    assert into.read_bytes() == CONTENT
    assert server.asked == [("/here", "bytes=1000-"), ("/large.npy", "bytes=1000-")]


@pytest.mark.parametrize(
    ("scheme", "told"),
    [
        ("ftp", ": redirects from `http` to `ftp`, which is not followed"),
        ("file", " answers 302 Found - Redirection to url 'file:///etc/passwd' is not allowed"),
    ],
)
def test_redirects_elsewhere_are_not(
    server: FileServer, tmp_path: Path, scheme: str, told: str
) -> None:
    """Neither into the file system nor to other protocols."""
    server.served["/here"] = Served(status=302, headers={"Location": f"{scheme}:///etc/passwd"})
    assert refusal(server, tmp_path / "into", "/here") == told


def test_a_circle_of_redirects_ends(server: FileServer, tmp_path: Path) -> None:
    """It is told as what the server answers."""
    server.served["/here"] = Served(status=302, headers={"Location": "/here"})
    assert refusal(server, tmp_path / "into", "/here").startswith(" answers 302 ")


def test_what_is_not_there(server: FileServer, tmp_path: Path) -> None:
    """The server's own words."""
    assert refusal(server, tmp_path / "into", "/absent") == " answers 404 Not Found"


def test_compressed_content_is_refused(server: FileServer, tmp_path: Path) -> None:
    """It would neither have the size nor the sha256."""
    server.served["/large.npy"].headers = {"Content-Encoding": "gzip"}
    assert refusal(server, tmp_path / "into") == (
        ": is sent with the encoding `gzip`; expected it as it is"
    )


def test_another_range_than_asked_for(server: FileServer, tmp_path: Path) -> None:
    """What would be put in the wrong place is not read."""
    longer = tmp_path / "longer"
    longer.write_bytes(CONTENT + b"1")
    server.served["/large.npy"].file = longer
    into = tmp_path / "into"
    into.write_bytes(CONTENT[:1000])
    assert refusal(server, into) == (
        ": expected bytes from 1000 on of 3000000, found `bytes 1000-3000000/3000001`"
    )


def test_nobody_listens(tmp_path: Path) -> None:
    """A host that cannot be reached is told once."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/a"
        with pytest.raises(FetchFailed) as caught:
            download(url, tmp_path / "into", size_bytes=5, show=print)
    assert str(caught.value) == (
        f"{url}: 0 of 5 bytes arrived, then it could not be reached: <urlopen error [Errno 111] "
        "Connection refused>; run this again, and it goes on from there"
    )


def test_credentials_come_from_netrc(server: FileServer, tmp_path: Path, netrc: Path) -> None:
    """They are sent to the host they are for, and not to where it redirects."""
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    server.served["/here"] = Served(status=302, headers={"Location": "/large.npy"})
    fetch(server, tmp_path / "into", "/here")
    assert server.credentials == ["Basic bWU6c2VjcmV0", None]


def test_credentials_of_others_stay(server: FileServer, tmp_path: Path, netrc: Path) -> None:
    """Not even those that are for any other host are sent; a refusal says what to do."""
    netrc.write_text("machine example.test login me password secret\ndefault login a password b\n")
    server.served["/secret"] = Served(status=401)
    assert refusal(server, tmp_path / "into", "/secret") == (
        " answers 401 Unauthorized; where it wants user and password, put those of `127.0.0.1` "
        "into `~/.netrc`"
    )
    assert server.credentials == [None]


def test_credentials_are_not_sent_in_the_clear(netrc: Path) -> None:
    """Over plain HTTP only loopback gets them."""
    from stevedore_build.weights import downloading  # noqa: PLC0415

    netrc.write_text("machine example.test login me password secret\n")
    credentials = getattr(downloading, "_credentials")  # noqa: B009
    assert credentials("http://example.test/a") is None
    assert credentials("https://example.test/a") == "Basic bWU6c2VjcmV0"


def test_a_broken_netrc_is_told(server: FileServer, tmp_path: Path, netrc: Path) -> None:
    """It is not taken for one without credentials."""
    netrc.write_text("machine")
    with pytest.raises(FetchFailed) as caught:
        fetch(server, tmp_path / "into")
    assert str(caught.value).startswith(f"{netrc}: cannot be read: ")
