"""`python -m benchmarks`: run workloads against servers, side by side, and print what came out."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.errors import BenchmarkError
from benchmarks.growth import Growth, compare_three, grow
from benchmarks.measuring import Failed, Measured, Plan, measure
from benchmarks.prepare import HERE, ROOT, Preparation
from benchmarks.report import summary, write_documents
from benchmarks.results import Results, this_machine
from benchmarks.workloads import chosen

_STORED = HERE / "results.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit status, 1 if anything failed."""
    asked = _parser().parse_args(arguments)
    if asked.documents_only:
        write_documents(Results.read(_STORED), ROOT / "docs")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # stop the server too
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})  # the load generator's; the next is the server's
    plan = Plan(
        rounds=asked.rounds,
        seconds=asked.seconds,
        warm_up_s=asked.warm_up,
        server_cores=cores[1:2] or cores,
    )
    preparation = Preparation(checkout=asked.checkout.resolve())
    measured, failed = measure(
        [CONTENDERS[name] for name in asked.servers.split(",")],
        chosen(asked.workloads.split(",")),
        plan,
        preparation=preparation,
        tell=_tell,
    )
    print(summary(measured))  # noqa: T201  # what was asked for
    growth: tuple[Growth, ...] = ()
    if asked.growth:
        try:
            growth = grow(plan, preparation=preparation, tell=_tell_growth)
            growth += compare_three(plan, preparation=preparation, tell=_tell_growth)
        except BenchmarkError as error:
            _say(f"error: how cost grows: {error}")
            return 1
    if not asked.write:
        return 1 if failed else 0
    date, machine = this_machine()
    results = Results(
        date=date,
        machine=machine,
        rounds=plan.rounds,
        seconds=plan.seconds,
        measured=tuple(measured),
        failed=tuple(failed),
        growth=growth,
    )
    results.write(_STORED)
    write_documents(Results.read(_STORED), ROOT / "docs")
    return 1 if "ours" in {entry.server for entry in failed} else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--servers", default=",".join(CONTENDERS), help="%(default)s")
    parser.add_argument("--workloads", default="W1,W2,W3", help="such as W1 or W1/64: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="%(default)s")
    parser.add_argument("--seconds", type=float, default=5, help="of each round: %(default)s")
    parser.add_argument("--warm-up", type=float, default=1, help="seconds before: %(default)s")
    parser.add_argument(
        "--checkout", type=Path, default=ROOT, help="where core and api are taken from: this one"
    )
    parser.add_argument("--growth", action="store_true", help="also how our cost grows")
    parser.add_argument("--write", action="store_true", help="write the results and the documents")
    parser.add_argument(
        "--documents-only", action="store_true", help="write the documents from the results"
    )
    return parser


def _tell(m: Measured | Failed) -> None:
    if isinstance(m, Failed):
        _say(f"{m.workload:6} {m.server} failed: {m.reason}")
        return
    _say(
        f"round {m.round}  {m.workload:6} {m.server:13} {m.per_second:9.1f}/s"
        f"  p50 {m.p50_s * 1e3:8.2f} ms  p99 {m.p99_s * 1e3:8.2f} ms"
        f"  server {m.server_cpu:4.2f} generator {m.generator_cpu:4.2f} of a core"
        f"  {m.memory_bytes / (1 << 20):6.1f} MiB"
    )


def _tell_growth(g: Growth) -> None:
    _say(
        f"{g.amount:6} {g.what:8} {g.per_second:9.1f}/s  p50 {g.p50_s * 1e3:8.2f} ms"
        f"  {g.memory_bytes / (1 << 20):6.1f} MiB"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
