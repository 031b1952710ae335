"""Whether the tests of a module notice that it was changed.

Each mutant has a process of its own, forked from one that has imported the slow things, in which
whoever imports the module gets the mutant. `mutation_table` is the caller.
"""

import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

import pytest
from code_mutants import CodeMutant

__all__ = ["Subject", "TestsFailed", "judge"]

_OPTIONS: Final = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=ci"]
"""The first failure is enough, and Hypothesis draws the same for every mutant."""

_IMPORTED_ONCE: Final = (
    "fastapi",
    "httpx",
    "hypothesis.strategies",
    "jsonschema_rs",
    "msgspec",
    "numpy",
    "orjson",
)
"""What tests and code import of others, and no mutant changes."""

_SERVED: Final = {"serve", "shared"}
"""The fixtures that start a server: a process that imports the code as it is."""

_SLOWER: Final = 5.0
"""How many times longer than the unchanged module a mutant may take; then it counts as noticed."""
_MAX_BYTES: Final = 4 << 30
"""What a mutant that never ends may fill."""
_LOOK_S: Final = 0.01


class TestsFailed(Exception):
    """The tests of a module fail as it is, so they cannot judge mutants."""

    __test__ = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A module, and the tests that judge it."""

    module: str
    """As it is imported, such as `stevedore_core.frames`."""
    file: Path
    tests: Sequence[Path]


def judge(
    subject: Subject, mutants: Sequence[CodeMutant], jobs: int = 1, least_limit_s: float = 5.0
) -> list[CodeMutant]:
    """Return the mutants that no test noticed. Raises `TestsFailed`."""
    with tempfile.TemporaryDirectory() as place:
        court = _Court(subject, mutants, jobs, least_limit_s, Path(place))
        # Not the tests' own place: what their `conftest` imports must not be there too early.
        arguments = [*_OPTIONS, str(Path(__file__).parent)]
        status: int = pytest.ExitCode.INTERNAL_ERROR
        try:
            status = pytest.main(arguments, plugins=[court])
        finally:
            if court.is_child:
                os._exit(status)  # what this process was forked from does not go on in it
            for pid in court.running:  # whoever interrupts leaves nothing behind
                os.killpg(pid, signal.SIGKILL)
    if status:
        named = ", ".join(map(str, subject.tests))
        raise TestsFailed(f"the tests in {named} fail, or there are none: mend them first")
    return [mutant for number, mutant in enumerate(mutants) if number in court.survivors]


class _Court:
    """A plugin of pytest that forks once all plugins are there, before any test is looked for."""

    def __init__(
        self,
        subject: Subject,
        mutants: Sequence[CodeMutant],
        jobs: int,
        least_limit_s: float,
        place: Path,
    ) -> None:
        self.is_child = False
        self.running: dict[int, tuple[int, float]] = {}
        """By process: which mutant it judges, and until when."""
        self.survivors: set[int] = set()
        self._subject = subject
        self._mutants = mutants
        self._jobs = jobs
        self._least_limit_s = least_limit_s
        self._place = place

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int | None:
        """Judge all; in a child return nothing, for then pytest goes on as ever."""
        for name in _IMPORTED_ONCE:
            importlib.import_module(name)
        begun = time.monotonic()
        report = self._place / "took.json"
        if not (pid := self._fork(config, None, report)):
            return None
        if status := os.waitpid(pid, 0)[1]:
            return status
        limit_s = self._least_limit_s + _SLOWER * (time.monotonic() - begun)
        took = json.loads(report.read_text())
        left = list(range(len(self._mutants)))[::-1]
        while left or self.running:
            while left and len(self.running) < self._jobs:
                number = left.pop()
                if not (pid := self._fork(config, self._mutants[number].code, report, took)):
                    return None
                self.running[pid] = (number, time.monotonic() + limit_s)
            for pid, (number, until) in list(self.running.items()):
                if (status_or_none := _end(pid, until)) is not None:
                    del self.running[pid]
                    shutil.rmtree(self._place / str(pid), ignore_errors=True)
                    self.survivors |= {number} if status_or_none == 0 else set()
            time.sleep(_LOOK_S)
        return 0

    def _fork(
        self,
        config: pytest.Config,
        code: CodeType | None,
        report: Path,
        took: Mapping[str, float] | None = None,
    ) -> int:
        """Prepare a process of its own for the tests, the fastest first; 0 if this is it."""
        if pid := os.fork():
            return pid
        self.is_child = True
        os.setsid()
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # what pytest writes to
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_BYTES, _MAX_BYTES))
        if code is not None:
            sys.meta_path.insert(0, _MutantFinder(self._subject, code))
        config.pluginmanager.register(_Tests(took, report))
        config.args[:] = map(str, self._subject.tests)
        config.option.basetemp = str(self._place / str(os.getpid()))
        return 0


def _end(pid: int, until: float) -> int | None:
    """Return the status of a process, which is killed when its time is up; nothing if it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        return status
    if time.monotonic() < until:
        return None
    os.killpg(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


class _MutantFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives a mutant to whoever imports its module."""

    def __init__(self, subject: Subject, code: CodeType) -> None:
        self._subject = subject
        self._code = code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Know one module (called by the import system)."""
        del path, target
        if fullname != self._subject.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._subject.file, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant (called by the import system)."""
        exec(self._code, module.__dict__)  # noqa: S102  # our own code, but for one change


class _Tests:
    """Chooses the tests, puts them in order, and notes how long each takes."""

    def __init__(self, took: Mapping[str, float] | None, report: Path) -> None:
        self._is_first = took is None
        self._took = took or {}
        self._report = report
        self._seen: dict[str, float] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what cannot see a mutant."""
        seeing = [i for i in items if _SERVED.isdisjoint(getattr(i, "fixturenames", ()))]
        items[:] = sorted(seeing, key=lambda item: self._took.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of a test."""
        self._seen[report.nodeid] = self._seen.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        """Write down what was seen, for the order of the runs to come."""
        if self._is_first:
            self._report.write_text(json.dumps(self._seen))
