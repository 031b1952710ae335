"""Models that change what their process has: output, directory, variables, handlers, logging."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from callers import Callers, order
from served_layout import MakeLayout, Model, Serve, Server, obedient

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

MEDDLING = """
import locale
import logging


def print_much():
    print("printed " * 1_250_000)


def write_without_an_end():
    sys.stderr.write("no end of line")
    sys.stderr.flush()


def change_directory():
    os.chdir("/")


def change_variables():
    os.environ.clear()
    os.environ["PATH"] = "/nowhere"


def change_locale():
    locale.setlocale(locale.LC_ALL, "C")
    os.umask(0o777)


def change_handlers():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.alarm(3600)


def change_path():
    sys.path.clear()
    sys.modules.pop("json", None)
    sys.setrecursionlimit(200)


def silence_logging():
    logging.disable(logging.CRITICAL)
    logging.getLogger().handlers.clear()


class Meddling(Obedient):
    def run_predict(self, X):
        match X["do"]:
            case "meddle":
                return globals()[X["value"]]()
            case "reveal":
                return [
                    os.getcwd(), dict(os.environ), sys.path, locale.setlocale(locale.LC_ALL),
                    [repr(signal.getsignal(n)) for n in (2, 13, 15, 17)], sys.getrecursionlimit(),
                    logging.root.manager.disable, len(logging.root.handlers),
                ]
        return super().run_predict(X)


Obedient = Meddling
"""
DEEDS = (
    *("print_much", "write_without_an_end", "change_directory", "change_variables"),
    *("change_locale", "change_handlers", "change_path", "silence_logging"),
)
LASTING = ("change_directory", "change_variables", "change_handlers", "change_path")
"""What another model of the same process can see afterwards."""


@pytest.fixture
def server(make_layout: MakeLayout, serve: Serve) -> Server:
    """A server of `one` and `two`, which share a worker, and of `own`, which has its own."""
    sources = {}
    for name in ("one", "two", "own"):
        before, load, after = obedient(name).partition("\ndef load()")
        sources[name] = before + MEDDLING + load + after
    layout = make_layout(
        one=Model(source=sources["one"]),
        two=Model(source=sources["two"]),
        own=Model(source=sources["own"], workers=1),
    )
    server = serve(layout)
    server.wait_until("/readyz")
    return server


def seen_by(server: Server, model: str) -> object:
    """Return what a model sees of its process."""
    answer = server.post(f"/models/{model}/predict", {"do": "reveal"})
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.fault("A7")
def test_what_a_model_changes_no_other_group_sees(server: Server, figure: Figure) -> None:
    """After each deed both neighbours answer as before, the other group's process is untouched."""
    untouched = seen_by(server, "own")
    for deed in DEEDS:
        answer = server.post("/models/one/predict", {"do": "meddle", "value": deed})
        assert (answer.status_code, answer.json()) == (200, None), deed
        for name in ("one", "two", "own"):
            payload = {"do": "echo", "value": [deed, 0.1]}
            assert server.post(f"/models/{name}/predict", payload).json() == [deed, 0.1]
        assert seen_by(server, "own") == untouched, deed
    payload = {"do": "raise", "value": "ValueError"}
    assert server.post("/models/one/predict", payload).status_code == 500
    assert "ValueError: secret" in server.errors.read_text()  # although its log was silenced
    assert server.await_lines(1, message="request")
    assert all("printed" not in str(line) for line in server.lines())
    assert server.get("/readyz").status_code == 200
    assert server.stop() == 0
    figure(f"{len(DEEDS)} of {len(DEEDS)} deeds left another group's process as it was")


@pytest.mark.control("A7")
def test_in_one_process_it_is_seen(server: Server) -> None:
    """A neighbour in the same worker sees it: the isolation is that of the process."""
    for deed in LASTING:
        before = seen_by(server, "two")
        server.post("/models/one/predict", {"do": "meddle", "value": deed})
        assert seen_by(server, "two") != before, deed


ALONE = """
class Alone(Obedient):
    inside = 0

    def run_predict(self, X):
        self.inside += 1
        found = self.inside
        time.sleep(0.0005)
        self.inside -= 1
        return found


Obedient = Alone
"""
"""Answers how many calls were running when its own began, itself included."""


def counting() -> str:
    """Return the source of the model `one` that counts its running calls."""
    before, load, after = obedient("one").partition("\ndef load()")
    return before + ALONE + load + after


@pytest.mark.fault("A11")
def test_one_call_at_a_time(
    make_layout: MakeLayout, serve: Serve, scale: Scale, figure: Figure
) -> None:
    """However many call, each worker runs one call: a model need not be safe for threads."""
    server = serve(make_layout(one=Model(source=counting(), workers=2)), max_queued="1000")
    server.wait_until("/readyz")
    calls = scale(500, 10_000)
    with Callers(server.url, 16, lambda _: order("one", {"do": "count"}, 1)) as callers:
        callers.await_sent("one", calls, limit_s=300)
    assert callers.failures == []
    figure(f"0 overlaps in {callers.sent['one']} calls of 16 callers")


@pytest.mark.control("A11")
def test_calls_in_threads_overlap() -> None:
    """The same model, called from several threads, does tell."""
    names: dict[str, Callable[[], object]] = {}
    exec(counting(), names)  # noqa: S102  # the source that the test above serves
    model = names["load"]()
    run: Callable[[Mapping[str, str]], int] = model.run_predict  # type: ignore[attr-defined]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(run, [{"do": "count"}] * 50))
    assert max(found) > 1
