"""`python -m benchmarks`: run workloads against servers, side by side, and print what came out."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.errors import BenchmarkError
from benchmarks.measuring import Measured, Plan, measure
from benchmarks.prepare import ROOT, Preparation
from benchmarks.report import summary
from benchmarks.workloads import chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit status."""
    asked = _parser().parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})  # the load generator's; the rest is the servers'
    plan = Plan(
        rounds=asked.rounds,
        seconds=asked.seconds,
        warm_up_s=asked.warm_up,
        server_cores=cores[1:2] or cores,
    )
    try:
        found = measure(
            [CONTENDERS[name] for name in asked.servers.split(",")],
            chosen(asked.workloads.split(",")),
            plan,
            preparation=Preparation(checkout=asked.checkout.resolve()),
            on_measured=_tell,
        )
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(summary(found))  # noqa: T201  # what was asked for
    return 0


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
    return parser


def _tell(m: Measured) -> None:
    print(  # noqa: T201
        f"round {m.round}  {m.workload:6} {m.server:8} {m.per_second:9.1f}/s"
        f"  p50 {m.p50_s * 1e3:8.2f} ms  p99 {m.p99_s * 1e3:8.2f} ms"
        f"  server {m.server_cpu:4.2f} generator {m.generator_cpu:4.2f} of a core"
        f"  {m.memory_bytes / (1 << 20):6.1f} MiB",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
