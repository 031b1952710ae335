"""A base is checked before anything is built on it."""

import time
from collections.abc import Callable

import pytest

from stevedore_build.errors import BaseUnusable
from stevedore_build.images.bases import Base, check_base, find_base
from stevedore_build.images.engines import Engine
from stevedore_build.images.rootfs import RootFilesystem
from stevedore_build.platforms import LINUX_AMD64, LINUX_ARM64
from stevedore_build.store import Store

MakeImage = Callable[[dict[str, bytes]], str]

AMD64_PROGRAM = b"\x7fELF" + bytes(14) + b"\x3e\x00" + bytes(40)
GOOD = {
    "usr/bin/python3.11": AMD64_PROGRAM,
    "usr/lib/x86_64-linux-gnu/libc.so.6": b"",
    "usr/lib/x86_64-linux-gnu/libgomp.so.1": b"",
}


def test_good_base(engine: Engine, make_image: MakeImage, store: Store) -> None:
    """What passes is known by its id and by the libraries it has; the check leaves no container."""
    name = make_image(GOOD)
    base = check_base(engine, reference=name, python="3.11", platform=LINUX_AMD64, store=store)
    assert base == Base(
        reference=name,
        image=engine.find_image(name) or "",
        libraries=("libc.so.6", "libgomp.so.1"),
    )
    exported = engine.run("ps", "--all", "--filter", "name=stevedore-export", "--quiet")
    assert exported == ""


def test_facts_are_kept(engine: Engine, make_image: MakeImage, store: Store) -> None:
    """The same image is not unpacked twice, but is judged each time."""
    name = make_image(GOOD)
    check_base(engine, reference=name, python="3.11", platform=LINUX_AMD64, store=store)
    [known] = store.bases.iterdir()
    known.write_text(known.read_text().replace("libgomp.so.1", "libkept.so.1"))
    base = check_base(engine, reference=name, python="3.11", platform=LINUX_AMD64, store=store)
    assert base.libraries == ("libc.so.6", "libkept.so.1")
    with pytest.raises(BaseUnusable):
        check_base(engine, reference=name, python="3.12", platform=LINUX_AMD64, store=store)


@pytest.mark.fault("G4")
def test_unfit_base(engine: Engine, make_image: MakeImage, store: Store) -> None:
    """All reasons come in one message, within 5 seconds."""
    name = make_image({"usr/bin/python3.9": AMD64_PROGRAM, "lib/ld-musl-x86_64.so.1": b""})
    began = time.monotonic()
    with pytest.raises(BaseUnusable) as unusable:
        check_base(engine, reference=name, python="3.11", platform=LINUX_ARM64, store=store)
    assert time.monotonic() - began < 5
    assert str(unusable.value) == (
        f"base `{name}`: "
        "expected `python3.11` in /usr/local/bin or /usr/bin, found `python3.9`; "
        "expected glibc (`libc.so.6`), which the locked wheels need, found musl "
        "(`ld-musl-x86_64.so.1`); "
        "expected programs for arm64, found amd64; "
        "name another base under `[image] base`, or leave it out to have ours"
    )


@pytest.mark.fault("G4")
def test_absent_base(engine: Engine, store: Store) -> None:
    """A base that is nowhere is refused within 5 seconds, in the engine's own words."""
    began = time.monotonic()
    with pytest.raises(BaseUnusable) as unusable:
        find_base(
            engine,
            reference="localhost:1/nowhere:1",
            python="3.11",
            platform=LINUX_AMD64,
            store=store,
        )
    assert time.monotonic() - began < 5
    assert str(unusable.value).startswith(
        "base `localhost:1/nowhere:1` is neither here nor can it be pulled: "
        f"`{engine.name} pull --platform linux/amd64 localhost:1/nowhere:1` failed: "
    )


ARM64_PROGRAM = AMD64_PROGRAM.replace(b"\x3e", b"\xb7")
GLIBC = {"usr/lib/x86_64-linux-gnu/libc.so.6": b""}
UNFIT = {
    "another Python": {"usr/bin/python3.12": AMD64_PROGRAM, **GLIBC},
    "musl": {"usr/bin/python3.11": AMD64_PROGRAM, "lib/ld-musl-x86_64.so.1": b""},
    "another machine": {"usr/bin/python3.11": ARM64_PROGRAM, **GLIBC},
}
"""Files of bases that cannot carry a composition for Python 3.11 on amd64."""


def took_to_refuse_s(engine: Engine, reference: str, store: Store) -> float | None:
    """Return how long it took until a base was refused; `None` if it was not."""
    began = time.monotonic()
    try:
        find_base(engine, reference=reference, python="3.11", platform=LINUX_AMD64, store=store)
    except BaseUnusable:
        return time.monotonic() - began
    return None


def unfit(made: list[str]) -> list[str]:
    """Return these, one that is nowhere, and the first by the digest that its tag had once."""
    return [*made, "localhost:1/nowhere:1", f"{made[0]}@sha256:{'0' * 64}"]


@pytest.mark.fault("G4")
def test_every_unfit_base(
    engine: Engine, make_image: MakeImage, store: Store, figure: Callable[[str], None]
) -> None:
    """Each is refused within 5 s, thrice that on a busy machine, before anything is put on it."""
    made = [make_image(files) for files in UNFIT.values()]
    took = [took_to_refuse_s(engine, reference, store) for reference in unfit(made)]
    refused = [seconds for seconds in took if seconds is not None]
    figure(
        f"{engine.name}: {len(refused)} of {len(took)} bases refused, the slowest within "
        f"{max(refused, default=0):.1f} s"
    )
    assert len(refused) == len(took)
    assert max(refused) < 5 * 3


@pytest.mark.control("G4")
def test_unfit_bases_pass_where_their_files_are_not_read(
    engine: Engine, make_image: MakeImage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that takes every base for a good one refuses only those that are not there."""
    monkeypatch.setattr(RootFilesystem, "problems", lambda *_, **__: ())
    made = [make_image(UNFIT["musl"])]
    took = [took_to_refuse_s(engine, reference, store) for reference in unfit(made)]
    assert [seconds is None for seconds in took] == [True, False, False]
