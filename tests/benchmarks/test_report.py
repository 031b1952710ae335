"""The report of the benchmark: ratios are taken within a round, and failures are told."""

from pathlib import Path

import pytest
from benchmarks.growth import Growth
from benchmarks.measuring import Failed, Measured, ratios
from benchmarks.report import exponent, write_documents
from benchmarks.results import Results

MIB = 1 << 20


def measured(server: str, number: int, per_second: float) -> Measured:
    """Return a figure of one round."""
    return Measured(
        server=server,
        workload="W1/64",
        round=number,
        per_second=per_second,
        p50_s=1 / per_second,
        p99_s=2 / per_second,
        server_cpu=1.0,
        generator_cpu=0.1,
        memory_bytes=100 * MIB,
        requests=1_000,
    )


ROUNDS = (
    measured("ceiling", 1, 100.0),
    measured("ours", 1, 400.0),
    measured("ceiling", 2, 10.0),
    measured("ours", 2, 50.0),
)


def test_ratios_are_taken_within_a_round() -> None:
    """A round that was slow for everybody changes no ratio much."""
    found = ratios(ROUNDS, "ours", "W1/64", lambda m: m.per_second, to="ceiling")
    assert found == [4.0, 5.0]


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_exponent_is_the_slope(power: float) -> None:
    """Latency that grows with a power of the rows has that power as its exponent."""
    rows = [
        Growth(what="rows", amount=n, per_second=1.0, p50_s=3.0 * n**power, memory_bytes=0)
        for n in (1, 10, 100)
    ]
    assert exponent(rows) == pytest.approx(power)


def test_what_failed_stands_in_the_document(tmp_path: Path) -> None:
    """A server without figures has a cell and a reason, without what it logged."""
    pytest.importorskip("matplotlib")
    failed = Failed(server="peer", workload="W1/64", reason="did not start: no answer\nlogged")
    results = Results(
        date="2026-01-01",
        machine="a machine",
        rounds=2,
        seconds=1.0,
        measured=ROUNDS,
        failed=(failed,),
        growth=(),
    )
    results.write(tmp_path / "results.json")
    write_documents(Results.read(tmp_path / "results.json"), tmp_path)
    text = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "| `ours` | 4.50 (4.00 to 5.00) |" in text
    assert "| `peer` | failed |" in text
    assert "- `peer`, W1/64: did not start: no answer\n" in text
    assert "logged" not in text
    assert (tmp_path / "benchmarks.svg").stat().st_size > 0
