"""A breach of the contract for each line of `breaches.toml`, and which rules of the suite find it.

A breach makes exactly the named rules fail, the first of them with the named words; its clean twin
passes all of them. Breaches that need a process of their own are whole packages.
"""

import builtins
import decimal
import importlib
import inspect
import json
import locale
import logging
import math
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from stevedore_core.discovery import load_model
from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_core.testing.witness import witness
from stevedore_core.weights import record_weights

LISTED: Final = {
    name
    for table in tomllib.loads(
        (Path(__file__).parent / "breaches.toml").read_text(encoding="utf-8")
    ).values()
    for name in table
}
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
ROW: Final[dict[str, Json]] = {
    "type": "object",
    "required": ["size"],
    "additionalProperties": False,
    "properties": {
        "size": {"type": "number", "minimum": 0, "maximum": 100},
        "note": {"type": "string", "maxLength": 9},
    },
}
SCHEMA: Final[dict[str, Json]] = {
    "$schema": DRAFT, "type": "array", "minItems": 1, "maxItems": 20, "items": ROW,
}  # fmt: skip
ROWS: Final[Json] = [
    {"size": 1.0, "note": "a"}, {"size": 2.5, "note": ""}, {"size": 0.5, "note": "b"}
]  # fmt: skip


class Doubler(Predictor):
    """Doubles sizes, and keeps every rule."""

    batchable = True

    def convert_prediction_input(self, payload: Any) -> Any:
        """Return the sizes."""
        return [row["size"] for row in payload]

    def run_predict(self, X: Any) -> Any:  # noqa: N803  # as in core
        """Return them doubled."""
        return [2.0 * x for x in X]

    def convert_score_input(self, payload: Any) -> tuple[Any, Any]:
        """Return the sizes, and what they should be doubled."""
        sizes = self.convert_prediction_input(payload)
        return sizes, [2.0 * size for size in sizes]

    def run_scores(self, X: Any, y: Any) -> Any:  # noqa: N803  # as in core
        """Return the largest error."""
        errors = [abs(2.0 * a - b) for a, b in zip(X, y, strict=True)]
        return {"worst": {"value": max(errors), "direction": "lower"}}


class Suite(Conformance):
    """The suite as a model package has it."""

    model = "fake"


BOUNDS: Final = "test_payloads_at_the_bounds_are_answered"
REFUSED: Final = "test_invalid_payloads_are_refused"
INPUT: Final = "test_input_is_not_changed"
SAME: Final = "test_same_input_gives_the_same_answer"
LENGTH: Final = "test_prediction_is_as_long_as_the_payload"
BATCH: Final = "test_batch_equals_one_by_one"
JSON: Final = "test_prediction_is_strict_json"
SCORES: Final = "test_scores_are_finite_and_directed"
SELF_TEST: Final = "test_self_test_passes"
WRITTEN: Final = "test_nothing_is_written"
STARTED: Final = "test_nothing_is_started"
CHANGED: Final = "test_the_process_stays_as_it_was"
MEMORY: Final = "test_memory_does_not_grow"
VERSION: Final = "test_version_is_that_of_the_package"
RECORDED: Final = "test_weights_are_recorded"
TYPES: Final = "test_schema_files_are_what_their_types_give"
WEIGHTS: Final = "test_changed_weights_are_refused"
LOADING: Final = "test_loading_leaves_the_process_alone"
ELSEWHERE: Final = "test_answers_are_the_same_elsewhere"

FOLLOWING: Final = (BATCH, BOUNDS, LENGTH, MEMORY, SAME, SELF_TEST)
"""Where a prediction has no JSON form, these have nothing to go by, and fail too."""

ANY_ANSWER: Final = (*FOLLOWING, INPUT, JSON, STARTED, WRITTEN, CHANGED)
"""Where there is no prediction at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Breach:
    """Methods of a Doubler that are others, the rules that find it, and what the first says."""

    rules: tuple[str, ...]
    says: str
    methods: Mapping[str, Callable[..., Any]]


def predicting(run: Callable[..., Any], says: str, *rules: str) -> Breach:
    """Return a breach of which `run_predict` is another."""
    return Breach(rules=rules, says=says, methods={"run_predict": run})


def beside(deed: Callable[[], object], says: str, *rules: str) -> Breach:
    """Return a breach that does something beside predicting."""

    def run(_: Predictor, sizes: Any) -> Any:
        deed()
        return [2.0 * size for size in sizes]

    return predicting(run, says, *rules)


def scoring(said: object, says: str, *rules: str) -> Breach:
    """Return a breach that says something else for a score."""
    return Breach(rules=rules, says=says, methods={"run_scores": lambda *_: said})


def _pops(_: Predictor, payload: Any) -> Any:
    return [row.pop("size") for row in payload]


def _unchecked(self: Predictor, payload: Any) -> Any:
    return self.predict_checked(payload)


def _counted(self: Any, sizes: Any) -> Any:
    self.calls = getattr(self, "calls", 0) + 1
    return [size + self.calls for size in sizes]


def _after_another(self: Any, sizes: Any) -> Any:
    last, self.last = getattr(self, "last", sizes), sizes
    return [2.0 * size + (last != sizes) for size in sizes]


def _noted(row: dict[str, Any]) -> Any:
    return row["size"] if len(row["note"]) < 99 else 0.0


def _no_zero(_: Predictor, sizes: Any) -> Any:
    return [size * size / size for size in sizes]


def _leave_a_thread() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True, name="left").start()


def _leave_a_process() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def _leave_a_file() -> None:
    descriptor, path = tempfile.mkstemp()
    os.close(descriptor)
    LEFT.append(path)


def _leave_open() -> None:
    OPEN.append(Path(__file__).open("rb"))  # noqa: SIM115  # left open on purpose


def _connect() -> None:
    with socket.socket() as one:
        one.settimeout(0.1)
        one.connect_ex(("127.0.0.1", 9))


def _write_below() -> None:
    os.write(2, b"trouble\n")


def _count_up_builtin() -> None:
    setattr(builtins, "stray", None)  # noqa: B010  # mypy knows all that is there


LEFT: Final[list[str]] = []
OPEN: Final[list[Any]] = []
GROWN: Final[list[Any]] = []

NO_NUMBER: Final = "the output holds NaN or Infinity"

BREACHES: Final[Mapping[str, Breach]] = {
    "changes the payload": Breach(
        methods={"convert_prediction_input": _pops},
        says="`predict` changes the payload that it is given",
        rules=(INPUT, BOUNDS, LENGTH),
    ),
    "refuses what the schema admits": predicting(
        _no_zero, "the prediction schema admits all numbers smallest, the", BOUNDS
    ),
    "accepts what the schema refuses": Breach(
        methods={"predict": _unchecked},
        says="the prediction schema refuses ",
        rules=(REFUSED,),
    ),
    "needs an optional property": Breach(
        methods={"convert_prediction_input": lambda _, rows: [_noted(row) for row in rows]},
        says="the prediction schema admits no `note` at `/0`, the Predictor: KeyError",
        rules=(BOUNDS,),
    ),
    "another length": predicting(
        lambda _, sizes: sizes[1:], "expected a prediction of 3 elements, found 2", LENGTH, BATCH
    ),
    "another order": predicting(
        lambda _, sizes: sizes[::-1], "a batch in order differs from its instances alone", BATCH
    ),
    "depends on its neighbours": predicting(
        lambda _, sizes: [size - max(sizes) for size in sizes], "a batch in order differs", BATCH
    ),
    "counts its calls": predicting(_counted, "the same payload gets another answer", SAME, BATCH),
    "depends on what was asked before": predicting(
        _after_another, "the answer depends on what was asked before it", SAME, BATCH
    ),
    "depends on chance": predicting(
        lambda _, sizes: [size + random.SystemRandom().random() for size in sizes],
        "the same payload gets another answer when it is sent again",
        SAME,
        BATCH,
    ),
    "not a number": predicting(
        lambda _, sizes: [math.nan for _ in sizes], NO_NUMBER, JSON, *FOLLOWING
    ),
    "infinite": predicting(
        lambda _, sizes: [math.inf for _ in sizes], NO_NUMBER, JSON, *FOLLOWING
    ),
    "no JSON": predicting(lambda _, sizes: set(sizes), "the output has no", JSON, *FOLLOWING),
    "not finite": scoring(
        math.nan, "the output holds NaN or Infinity", SCORES, BOUNDS, MEMORY, SAME, SELF_TEST
    ),
    "without direction": scoring(
        {"worst": {"value": 1.0, "direction": "sideways"}}, "`run_scores` gave", SCORES, SELF_TEST
    ),
    "without name": scoring({" ": 1.0}, "every score must have a name", SCORES),
    "no score": scoring({}, "`run_scores` returned no score", SCORES, SELF_TEST),
    "prints": beside(
        lambda: print("done"),  # noqa: T201
        "answering: it writes to standard output: `done`",
        WRITTEN,
    ),
    "complains": beside(_write_below, "answering: it writes to standard error: `trouble", WRITTEN),
    "changes the directory": beside(
        lambda: os.chdir("/"), "answering: it changes the working directory: expected `", CHANGED
    ),
    "writes a file": beside(_leave_a_file, "answering: it opens `", WRITTEN, MEMORY),
    "starts a thread": beside(
        _leave_a_thread, "answering: it leaves the thread `left` behind", STARTED, MEMORY
    ),
    "starts a process": beside(
        _leave_a_process, "answering: it starts a process: `os.fork`", STARTED
    ),
    "opens a connection": beside(
        _connect, "answering: it makes a connection: `socket.connect`", STARTED
    ),
    "leaves a file open": beside(
        _leave_open, "answering: it leaves the open file `test_breaches.py` behind", STARTED, MEMORY
    ),
    "changes the environment": beside(
        lambda: os.environ.update(STRAY="1"), "answering: it changes the environment", CHANGED
    ),
    "changes the locale": beside(
        lambda: locale.setlocale(locale.LC_ALL, "C"), "answering: it changes the locale", CHANGED
    ),
    "changes decimals": beside(
        lambda: setattr(decimal.getcontext(), "prec", 7),
        "answering: it changes the context of decimals",
        CHANGED,
    ),
    "changes warnings": beside(
        lambda: warnings.simplefilter("ignore"), "answering: it changes the filters of", CHANGED
    ),
    "changes logging": beside(
        lambda: logging.getLogger().setLevel(5), "answering: it changes the root logger", CHANGED
    ),
    "changes chance": beside(
        lambda: random.seed(1),
        "answering: it changes the numbers that `random` draws, which all share",
        CHANGED,
    ),
    "changes the import path": beside(
        lambda: sys.path.append("/stray"), "answering: it changes the import path", CHANGED
    ),
    "changes signals": beside(
        lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
        "answering: it changes the handlers of signals: `SIGUSR1`",
        CHANGED,
    ),
    "changes builtins": beside(
        _count_up_builtin, "answering: it changes the builtins: `stray`", CHANGED
    ),
    "changes the recursion limit": beside(
        lambda: sys.setrecursionlimit(4321), "answering: it changes the limit of recursion", CHANGED
    ),
    "ends the process": beside(
        lambda: sys.exit(3),
        "the self-test says `predictor-failed`: model `fake` failed on this payload: SystemExit: 3",
        SELF_TEST,
        *ANY_ANSWER,
    ),
    "grows": beside(
        lambda: GROWN.append([object()]), "each call of `predict` leaves ", MEMORY
    ),
}  # fmt: skip


def made(methods: Mapping[str, Callable[..., Any]]) -> Predictor:
    """Return a Doubler of which some methods are others."""
    kind: type[Predictor] = type("Changed", (Doubler,), dict(methods))
    return kind(None, "fake", ROWS, SCHEMA, ROWS, SCHEMA, "1.0.0")


@contextmanager
def kept() -> Iterator[None]:
    """Put back what breaches change."""
    place, variables, path = Path.cwd(), dict(os.environ), list(sys.path)
    chance, limit, level = random.getstate(), sys.getrecursionlimit(), logging.getLogger().level
    where, precision = locale.setlocale(locale.LC_ALL), decimal.getcontext().prec
    handler = signal.getsignal(signal.SIGUSR1)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(variables)
        sys.path[:] = path
        random.setstate(chance)
        sys.setrecursionlimit(limit)
        logging.getLogger().setLevel(level)
        locale.setlocale(locale.LC_ALL, where)
        decimal.getcontext().prec = precision
        signal.signal(signal.SIGUSR1, handler)
        vars(builtins).pop("stray", None)
        for path_left in LEFT:
            Path(path_left).unlink(missing_ok=True)
        for file in OPEN:
            file.close()
        for collected in (LEFT, OPEN, GROWN):
            collected.clear()


def rules_of_predictors() -> dict[str, Callable[..., None]]:
    """Return the rules that need nothing but a Predictor."""
    return {
        name: rule
        for name, rule in inspect.getmembers(Suite, inspect.isfunction)
        if name.startswith("test_")
        and list(inspect.signature(rule).parameters)[1:] == ["predictor"]
    }


def objections(make: Callable[[], Predictor]) -> dict[str, str]:
    """Return what the rules say that a Predictor breaks; each gets a Predictor of its own."""
    found = {}
    for name, rule in rules_of_predictors().items():
        if name == VERSION:
            continue
        with kept():
            try:
                rule(Suite(), make())
            except pytest.fail.Exception as failure:
                found[name] = str(failure)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # pytest would report it
                found[name] = repr(error)
    return found


PACKAGE: Final = """
import datetime
import os
import time
from pathlib import Path

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

LOADS = []
MADE = []


class Doubler(Predictor):
    batchable = True

    def convert_prediction_input(self, payload):
        return [row["size"] for row in payload]

    def run_predict(self, X):
        return [float(self.model) * x + (ADDED) for x in X]

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return {"rows": {"value": len(y), "direction": "higher"}}


def load():
    LOADED
    package = ModelPackage(__name__)
    LOADS.append(1)
    predictor = Doubler.from_package(package, package.weights("factor.txt").read_text())
    MADE.append(predictor)
    return predictor
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageBreach:
    """A package that breaks a rule: what it adds to predictions, what it does when loaded."""

    rules: tuple[str, ...]
    says: str
    added: str = "0"
    loaded: str = "pass"
    replaced: tuple[str, str] = ("", "")
    """A piece of its code, and what stands there."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files beside the code that are not recorded."""


OTHERWISE: Final = (
    "a fresh process, with other hashes, variables, directory, clock and time zone, answers "
    "otherwise at `/0/0`: expected "
)
ALONE: Final = "loading the model in a fresh process: "
PACKAGE_BREACHES: Final[Mapping[str, PackageBreach]] = {
    "depends on the time": PackageBreach(
        added="int(time.time()) // 1_000_000", says=OTHERWISE, rules=(ELSEWHERE,)
    ),
    "depends on the time zone": PackageBreach(
        added="time.localtime(0).tm_min", says=OTHERWISE, rules=(ELSEWHERE,)
    ),
    "depends on the seed of hashes": PackageBreach(
        added="hash('size') % 1_000_003", says=OTHERWISE, rules=(ELSEWHERE,)
    ),
    "depends on the directory": PackageBreach(
        added="len(Path.cwd().name)", says=OTHERWISE, rules=(ELSEWHERE,)
    ),
    "depends on a variable": PackageBreach(
        added="len(os.environ['HOME'])", says=OTHERWISE, rules=(ELSEWHERE,)
    ),
    "two loads differ": PackageBreach(
        added="self is not MADE[0]",
        says="a second Predictor in it, with other hashes",
        rules=(ELSEWHERE,),
    ),
    "two Predictors share": PackageBreach(
        added="self is not MADE[-1]",
        says="a first Predictor after it, with other hashes",
        rules=(ELSEWHERE,),
    ),
    "another version": PackageBreach(
        replaced=("return predictor", "predictor.version = 'v1'; return predictor"),
        says="the Predictor calls for the distribution `stevedore-model-fake v1`",
        rules=(VERSION,),
    ),
    "weights without a record": PackageBreach(
        files={"other.txt": "3"}, says="`weights.toml` records ['factor.txt']", rules=(RECORDED,)
    ),
    "weights unchecked": PackageBreach(
        replaced=(
            'package.weights("factor.txt")', '(Path(__file__).parent / "weights" / "factor.txt")'
        ),
        says="weights `factor.txt` with a flipped bit must be refused, found: loaded",
        rules=(WEIGHTS,),
    ),
    "speaks when imported": PackageBreach(
        loaded="print('training')",
        says=f"{ALONE}it writes to standard output: `training`",
        rules=(LOADING,),
    ),
    "acts when imported": PackageBreach(
        loaded="os.umask(0o77); os.chdir('/')",
        says=f"{ALONE}it changes the working directory: ",
        rules=(LOADING,),
    ),
}  # fmt: skip


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install the model package `fake` 1.0.0 with a breach."""
    site = tmp_path / "site"
    package, metadata = site / "stevedore_model_fake", site / "stevedore_model_fake-1.0.0.dist-info"

    def write(breach: PackageBreach) -> None:
        for directory in (package / "examples", package / "weights", metadata):
            directory.mkdir(parents=True)
        code = PACKAGE.replace("ADDED", breach.added).replace("LOADED", breach.loaded)
        (package / "__init__.py").write_text(code.replace(*breach.replaced, 1))
        for kind in ("predict", "score"):
            (package / f"{kind}.schema.json").write_text(json.dumps(SCHEMA))
            (package / "examples" / f"{kind}.json").write_text(json.dumps(ROWS))
        (package / "weights" / "factor.txt").write_text("2.0")
        record_weights(package / "weights", ["factor.txt"], created=datetime.now(UTC))
        for name, text in breach.files.items():
            (package / "weights" / name).write_text(text)
        (metadata / "METADATA").write_text("Name: stevedore-model-fake\nVersion: 1.0.0\n")
        (metadata / "entry_points.txt").write_text(
            "[ml_py_stevedore.models]\nfake = stevedore_model_fake:load\n"
        )
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(site)
    yield write
    sys.modules.pop("stevedore_model_fake", None)


def objections_to_package(place: Path) -> dict[str, str]:
    """Return what the rules about packages say of the installed one."""
    suite, predictor, told = Suite(), load_model("fake"), witness("fake")
    rules: dict[str, Callable[[], None]] = {
        VERSION: lambda: suite.test_version_is_that_of_the_package(predictor),
        RECORDED: suite.test_weights_are_recorded,
        TYPES: suite.test_schema_files_are_what_their_types_give,
        WEIGHTS: lambda: suite.test_changed_weights_are_refused(place),
        LOADING: lambda: suite.test_loading_leaves_the_process_alone(told),
        ELSEWHERE: lambda: suite.test_answers_are_the_same_elsewhere(predictor, told),
    }
    found = {}
    for name, rule in rules.items():
        try:
            rule()
        except pytest.fail.Exception as failure:
            found[name] = str(failure)
    return found


def test_every_breach_on_the_list_is_made() -> None:
    """The list and the breaches are the same; more than thirty."""
    assert {*BREACHES, *PACKAGE_BREACHES} == LISTED
    assert len(LISTED) > 30


def test_every_rule_is_asked() -> None:
    """What is asked of breaches is the whole suite."""
    rules = {name for name, _ in inspect.getmembers(Suite, inspect.isfunction)}
    of_packages = {VERSION, RECORDED, TYPES, WEIGHTS, LOADING, ELSEWHERE}
    asked = {*rules_of_predictors(), *of_packages}
    assert asked == {name for name in rules if name.startswith("test_")}


def test_what_breaks_nothing_passes() -> None:
    """The clean twin of the breaches has nothing to be found."""
    assert objections(lambda: made({})) == {}


def test_a_package_that_breaks_nothing_passes(install: Callable[..., None], tmp_path: Path) -> None:
    """The clean twin of the packages has nothing to be found either."""
    install(PackageBreach(rules=(), says=""))
    assert objections(lambda: load_model("fake")) == {}
    assert objections_to_package(tmp_path / "copies") == {}


@pytest.mark.parametrize("name", BREACHES)
def test_breach_is_found(name: str) -> None:
    """A breach makes exactly its rules fail, and the first says what it is."""
    breach = BREACHES[name]
    found = objections(lambda: made(breach.methods))
    assert set(found) == set(breach.rules)
    assert found[breach.rules[0]].startswith(breach.says)


@pytest.mark.parametrize("name", PACKAGE_BREACHES)
def test_breach_of_a_package_is_found(
    name: str, install: Callable[..., None], tmp_path: Path
) -> None:
    """The same for what only shows in a process of its own."""
    breach = PACKAGE_BREACHES[name]
    install(breach)
    with kept():
        found = objections_to_package(tmp_path / "copies")
    assert set(found) == set(breach.rules)
    assert found[breach.rules[0]].startswith(breach.says)
