"""What was measured, as text: medians over the rounds, and ratios within a round."""

import statistics
from collections.abc import Sequence

from benchmarks.measuring import Measured, median, ratios

__all__ = ["summary"]

CEILING = "ceiling"
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


def _relative(values: Sequence[float]) -> str:
    return f"{statistics.median(values):6.2f} ({min(values):.2f} - {max(values):.2f})".ljust(23)
