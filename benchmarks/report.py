"""What was measured, as text and as a picture: medians over rounds, ratios within a round."""

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.growth import Growth
from benchmarks.measuring import Measured, median, ratios
from benchmarks.results import Results

__all__ = ["exponent", "summary", "write_documents"]

CEILING, OURS = "ceiling", "ours"
_HEAD = (
    "workload  server        per s of ceiling              per CPU s of ceiling"
    "                 p50 ms of ceiling                 p99 ms"
)


def summary(found: Sequence[Measured]) -> str:
    """Return a table for people: each workload and server in a line."""
    lines = [_HEAD]
    servers = list(dict.fromkeys(m.server for m in found))
    for workload in dict.fromkeys(m.workload for m in found):
        for server in servers:
            cells = [f"{workload:9} {server:9}"]
            for value, factor in (
                (lambda m: m.per_second, 1),
                (lambda m: m.per_cpu_second, 1),
                (lambda m: m.p50_s, 1e3),
            ):
                cells.append(f"{median(found, server, workload, value) * factor:9.2f}")
                if CEILING in servers:
                    cells.append(_relative(ratios(found, server, workload, value, to=CEILING)))
            cells.append(f"{median(found, server, workload, lambda m: m.p99_s) * 1e3:9.2f}")
            lines.append(" ".join(cells))
    return "\n".join(lines)


def write_documents(results: Results, docs: Path) -> None:
    """Write `benchmarks.md` and its picture into `docs`."""
    picture = docs / "benchmarks.svg"
    _draw(results, picture)
    (docs / "benchmarks.md").write_text(_document(results, picture.name), encoding="utf-8")


def _document(results: Results, picture: str) -> str:
    workloads = list(dict.fromkeys(m.workload for m in results.measured))
    failed = [entry.server for entry in results.failed]
    servers = list(dict.fromkeys([*(m.server for m in results.measured), *failed]))
    parts = [
        "# Benchmarks",
        (
            "Written by `nox -s bench` from `benchmarks/results.json`; "
            "[benchmarks](../benchmarks/README.md) says what is measured and how."
        ),
        (
            f"Measured on {results.date}: {results.machine}. {results.rounds} rounds of "
            f"{results.seconds:g} s each; the figures are medians over the rounds."
        ),
        "## Requests per second, relative to the ceiling of the same round",
        f"![Requests per second of each server, relative to the ceiling]({picture})",
        _table(results, servers, workloads, _throughput),
        "## Latency at the middle (p50), relative to the ceiling of the same round",
        _table(results, servers, workloads, _latency),
        "## Absolute: requests per second; p50 / p99 in ms",
        _table(results, servers, workloads, _absolute),
        "## Memory in MiB after the load, shared pages counted in parts",
        _table(results, servers, workloads, _memory),
    ]
    if results.failed:
        lines = [f"- `{f.server}`, {f.workload}: {f.reason}" for f in results.failed]
        parts += ["## Without figures", "\n".join(lines)]
    if results.growth:
        parts += ["## How our cost grows", *_growth(results.growth)]
    return "\n\n".join(parts) + "\n"


Cell = Callable[[Sequence[Measured], str, str], str]


def _table(results: Results, servers: Sequence[str], workloads: Sequence[str], cell: Cell) -> str:
    lines = ["| server | " + " | ".join(workloads) + " |", "|---" * (len(workloads) + 1) + "|"]
    there = {(m.server, m.workload) for m in results.measured}
    for server in servers:
        cells = [
            cell(results.measured, server, workload) if (server, workload) in there else "failed"
            for workload in workloads
        ]
        lines.append(f"| `{server}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _throughput(measured: Sequence[Measured], server: str, workload: str) -> str:
    return _with_spread(ratios(measured, server, workload, lambda m: m.per_second, to=CEILING))


def _latency(measured: Sequence[Measured], server: str, workload: str) -> str:
    return _with_spread(ratios(measured, server, workload, lambda m: m.p50_s, to=CEILING))


def _absolute(measured: Sequence[Measured], server: str, workload: str) -> str:
    per_second = median(measured, server, workload, lambda m: m.per_second)
    p50 = median(measured, server, workload, lambda m: m.p50_s) * 1e3
    p99 = median(measured, server, workload, lambda m: m.p99_s) * 1e3
    return f"{per_second:.0f}; {p50:.1f} / {p99:.1f}"


def _memory(measured: Sequence[Measured], server: str, workload: str) -> str:
    return f"{median(measured, server, workload, lambda m: m.memory_bytes) / (1 << 20):.0f}"


def _with_spread(values: Sequence[float]) -> str:
    if not values:
        return "no ceiling"
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _growth(growth: Sequence[Growth]) -> Sequence[str]:
    lines = ["| what | amount | requests per second | p50 in ms | MiB |", "|---|---|---|---|---|"]
    lines += [
        f"| {g.what} | {g.amount:,} | {g.per_second:.1f} | {g.p50_s * 1e3:.2f} "
        f"| {g.memory_bytes / (1 << 20):.0f} |"
        for g in growth
    ]
    models, rows, workers = (
        [g for g in growth if g.what == what] for what in ("models", "rows", "workers")
    )
    change = models[-1].per_second / models[0].per_second - 1
    added = models[-1].amount - models[0].amount
    per_model = (models[-1].memory_bytes - models[0].memory_bytes) / added / (1 << 20)
    per_worker = (workers[-1].memory_bytes - workers[0].memory_bytes) / (1 << 20)
    facts = [
        (
            f"- {models[-1].amount} models instead of {models[0].amount}: {change:+.1%} "
            f"requests per second (W1/64); {per_model:.2f} MiB per added model"
        ),
        f"- payload: p50 grows with rows to the power of {exponent(rows):.2f}",
        (
            f"- {workers[-1].amount} workers on as many cores, without batching (W3/64): "
            f"{workers[-1].per_second / workers[0].per_second:.2f} times the requests of one; "
            f"{per_worker:.1f} MiB per added worker"
        ),
    ]
    three = {g.what: g.memory_bytes for g in growth if g.what in {OURS, "mlserver"}}
    if len(three) > 1:
        share = three[OURS] / three["mlserver"]
        facts.append(f"- three models: {share:.2f} times the memory of MLServer with the same")
    return ["\n".join(lines), "\n".join(facts)]


def exponent(rows: Sequence[Growth]) -> float:
    """Return the slope of latency over rows, both as logarithms: 1 is linear, less is better."""
    fit = statistics.linear_regression(
        [math.log(g.amount) for g in rows], [math.log(g.p50_s) for g in rows]
    )
    return fit.slope


def _draw(results: Results, picture: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415  # only documents need it

    workloads = list(dict.fromkeys(m.workload for m in results.measured))
    servers = list(dict.fromkeys(m.server for m in results.measured))
    figure = Figure(figsize=(9, 1 + 1.3 * len(workloads)), layout="constrained")
    grid = figure.subplots(len(workloads), 1, squeeze=False)
    for place, workload in enumerate(workloads):
        axes = grid[place][0]
        values = [
            statistics.median(found) if found else 0.0
            for found in (
                ratios(results.measured, server, workload, lambda m: m.per_second, to=CEILING)
                for server in servers
            )
        ]
        colours = ["tab:orange" if server == OURS else "tab:blue" for server in servers]
        bars = axes.barh(servers[::-1], values[::-1], color=colours[::-1])
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=7)
        axes.set_title(f"{workload}: requests per second, ceiling = 1", fontsize=9, loc="left")
        axes.axvline(1, linewidth=0.8, color="grey")
        axes.tick_params(labelsize=7)
    figure.savefig(picture, metadata={"Date": None})


def _relative(values: Sequence[float]) -> str:
    return f"{statistics.median(values):6.2f} ({min(values):.2f} - {max(values):.2f})".ljust(23)
