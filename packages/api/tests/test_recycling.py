"""Workers that leak, that die while they load, and models that cannot be loaded."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from grouped import in_group, loaded
from served_layout import MakeLayout, Model, Serve, Server, obedient

from stevedore_api import slots
from stevedore_api.group import WorkerGroup
from stevedore_api.slots import _LOAD_AGAIN_S, _wait_s
from stevedore_core.frames import Kind

Scale = Callable[[int, int], int]
Figure = Callable[[str], None]

LEAKY = (
    obedient("leaky")
    + """
KEPT = []


class Leaky(Obedient):
    def run_predict(self, X):
        KEPT.append(bytearray(1 << 20))
        return len(KEPT)


def load():
    return Leaky(None, "leaky", EXAMPLE, ANY, [1, 2], {"type": "array"}, "1.0.0")
"""
)
"""A model that keeps 1 MiB of every call."""

DYING = """
import os
from pathlib import Path
COUNT = Path(FILE)
COUNT.write_text(COUNT.read_text() + ".")
if len(COUNT.read_text()) <= DEATHS:
    os._exit(3)
"""
"""Ends its worker at the first loads."""

BROKEN = """
from pathlib import Path
if not Path(FILE).exists():
    raise ValueError("not yet")
"""
"""Cannot be loaded until a file is there."""


def dying(name: str, count: Path, deaths: int) -> str:
    """Return the source of a model that ends its worker at so many loads."""
    count.touch()
    return DYING.replace("FILE", repr(str(count))).replace("DEATHS", str(deaths)) + obedient(name)


def held_mib(server: Server) -> float:
    """Return how much memory the model's worker holds."""
    lines = server.get("/metrics").text.splitlines()
    held = [line for line in lines if line.startswith("stevedore_worker_resident_bytes{")]
    return max((float(line.split()[1]) for line in held), default=0) / (1 << 20)


def call(server: Server, calls: int) -> tuple[list[int], float]:
    """Call the leaky model so often, two at a time; return the statuses and the most it held."""
    most = 0.0
    statuses = []
    with ThreadPoolExecutor(2) as pool:
        for begin in range(0, calls, 10):
            several = [
                pool.submit(server.post, "/models/leaky/predict", {"do": "leak"})
                for _ in range(begin, min(begin + 10, calls))
            ]
            statuses += [one.result().status_code for one in several]
            most = max(most, held_mib(server))
    return statuses, most


@pytest.mark.fault("A5")
def test_a_worker_that_leaks_is_replaced_between_calls(
    make_layout: MakeLayout, serve: Serve, scale: Scale, figure: Figure
) -> None:
    """It never holds more than its limit and a call's worth; no call is lost."""
    calls, limit_mib = scale(120, 10_000), scale(80, 512)
    layout = make_layout(leaky=Model(source=LEAKY))
    server = serve(layout, max_worker_rss_bytes=str(limit_mib << 20))
    server.wait_until("/readyz")
    statuses, most = call(server, calls)
    assert statuses == [200] * calls
    assert most < limit_mib + 2
    text = server.get("/metrics").text
    recycled = next(line for line in text.splitlines() if 'reason="recycled"' in line).split()[1]
    assert float(recycled) >= 1
    figure(
        f"0 of {calls} calls of 1 MiB lost, {float(recycled):.0f} replacements, at most {most:.0f} "
        f"MiB held of {limit_mib}"
    )


@pytest.mark.control("A5")
def test_a_worker_without_a_limit_grows(make_layout: MakeLayout, serve: Serve) -> None:
    """The same calls make the same worker hold what they leak."""
    server = serve(make_layout(leaky=Model(source=LEAKY)))
    server.wait_until("/readyz")
    before = held_mib(server)
    _, most = call(server, 60)
    assert most > before + 55


def test_a_limit_that_models_do_not_fit_in(make_layout: MakeLayout, serve: Serve) -> None:
    """It would have every worker replaced for ever: it is told, and not held."""
    server = serve(make_layout(leaky=Model(source=LEAKY)), max_worker_rss_bytes="1000")
    server.wait_until("/readyz")
    assert call(server, 3)[0] == [200] * 3
    (told,) = [line for line in server.lines() if "`max_worker_rss_bytes`" in str(line["message"])]
    assert told["level"] == "error"
    assert str(told["message"]).endswith("is too low for its models, and is not held")


@pytest.mark.fault("A4")
def test_a_crash_loop_at_load(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path, figure: Figure
) -> None:
    """A model whose worker dies three times while it loads works in the end."""
    count = tmp_path / "count"
    bad = Model(source=dying("bad", count, 3), workers=1)
    server = serve(make_layout("any", bad=bad, good=Model(source=obedient("good"))))
    server.wait_until("/models/good/readyz")
    statuses = []
    begun = time.monotonic()
    while server.get("/models/bad/readyz").status_code != 200:
        statuses.append(server.post("/models/good/predict", {"do": "echo"}).status_code)
        assert time.monotonic() - begun < 30
        time.sleep(0.02)
    assert set(statuses) == {200}
    assert count.read_text() == "...."
    figure(f"0 of {len(statuses)} requests to another model failed while one died 3 times")


@pytest.mark.control("A4")
def test_a_crash_loop_within_a_group(make_layout: MakeLayout, serve: Serve, tmp_path: Path) -> None:
    """Where both share a worker, the other model fails: what is promised holds between groups."""
    bad = Model(source=dying("bad", tmp_path / "count", 3))
    server = serve(make_layout("any", good=Model(source=obedient("good")), bad=bad))
    begun = time.monotonic()
    statuses = set()
    while server.get("/models/bad/readyz").status_code != 200 and time.monotonic() - begun < 30:
        statuses.add(server.post("/models/good/predict", {"do": "echo"}).status_code)
    assert statuses - {200}


@pytest.mark.clock
@pytest.mark.fault("A4")
def test_restarts_become_seldom(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path, scale: Scale, figure: Figure
) -> None:
    """A worker that always dies is started at most seven times in its first minute."""
    seconds, most = scale(4, 60), scale(4, 7)
    count = tmp_path / "count"
    bad = Model(source=dying("bad", count, 1_000), workers=1)
    serve(make_layout("any", bad=bad, good=Model(source=obedient("good"))))
    time.sleep(seconds)
    starts = len(count.read_text())
    assert 2 <= starts <= most
    figure(f"{starts - 1} restarts within {seconds} s")


@pytest.mark.fault("A4")
def test_giving_up(make_layout: MakeLayout, serve: Serve, tmp_path: Path) -> None:
    """Only when nothing at all can be loaded, however often tried, the server ends."""
    layout = make_layout(
        bad=Model(source=dying("bad", tmp_path / "a", 1_000)),
        worse=Model(source=dying("worse", tmp_path / "b", 1_000), workers=1),
    )
    server = serve(layout, max_load_tries="3")
    assert server.process.wait(30) == 1
    assert "giving up: no model could be loaded, however often it was tried" in [
        line["message"] for line in server.lines()
    ]


def test_one_model_is_enough_to_go_on(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path
) -> None:
    """As long as one is loaded, the others are tried for ever."""
    bad = Model(source=dying("bad", tmp_path / "count", 1_000), workers=1)
    layout = make_layout("any", bad=bad, good=Model(source=obedient("good")))
    server = serve(layout, max_load_tries="1")
    server.wait_until("/readyz")
    time.sleep(1.5)
    assert server.process.poll() is None


def test_what_could_not_be_loaded_is_tried_again(
    make_layout: MakeLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that fails to load for now is loaded by the same worker later."""
    mark = tmp_path / "mark"
    monkeypatch.setattr(slots, "_LOAD_AGAIN_S", (0.3,))

    async def run(group: WorkerGroup) -> None:
        begun = time.monotonic()
        while group.load_failure(0) is None:
            assert time.monotonic() - begun < 20
            await asyncio.sleep(0.01)
        pid = group.slots[0].pid
        mark.touch()
        await loaded(group)
        assert group.load_failure(0) is None
        answer = await group.submit(Kind.PREDICT, 0, b'{"do": "pid"}')
        assert int(answer.body) == pid

    source = BROKEN.replace("FILE", repr(str(mark))) + obedient("one")
    in_group(make_layout(one=Model(source=source)), run)


@pytest.mark.parametrize(
    ("earlier", "expected_s"), [(0, 10), (1, 20), (4, 160), (5, 300), (10**6, 300)]
)
def test_when_to_load_again(earlier: int, expected_s: float) -> None:
    """What keeps failing is tried ever more seldom."""
    assert _wait_s(_LOAD_AGAIN_S, earlier) == expected_s
