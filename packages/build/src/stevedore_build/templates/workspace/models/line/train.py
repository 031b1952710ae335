"""Trains `line` and writes its weights and examples into the package.

People run it: `.venv/bin/python models/line/train.py`. Two runs leave the same weights.
"""

import json
import random
import statistics
from datetime import UTC, datetime
from pathlib import Path

from stevedore_core.weights import record_weights

PACKAGE = Path(__file__).parent / "src" / "stevedore_model_line"
SEED = 0
SEEN, HELD_OUT = 40, 10


def train(package: Path) -> None:
    """Fit on all but the held-out points and write `weights/` and `examples/` of `package`."""
    draw = random.Random(SEED)  # noqa: S311 - no secret, the same points each time
    xs = [round(draw.uniform(0, 10), 2) for _ in range(SEEN + HELD_OUT)]
    ys = [round(2 * x + 1 + draw.gauss(0, 0.5), 2) for x in xs]
    slope, intercept = statistics.linear_regression(xs[:SEEN], ys[:SEEN])
    weights = {"slope": slope, "intercept": intercept}
    (package / "weights" / "line.json").write_text(f"{json.dumps(weights)}\n", "utf-8")
    record_weights(package / "weights", ["line.json"], created=datetime.now(UTC))
    points = [{"x": x, "y": y} for x, y in zip(xs[SEEN:], ys[SEEN:], strict=True)]
    (package / "examples" / "score.json").write_text(f"{json.dumps(points)}\n", "utf-8")
    (package / "examples" / "predict.json").write_text(f"{json.dumps(xs[SEEN:])}\n", "utf-8")
    apart = [abs(slope * point["x"] + intercept - point["y"]) for point in points]
    print(f"y = {slope:.4f} x + {intercept:.4f}")
    print(f"mae on {HELD_OUT} held-out points: {sum(apart) / HELD_OUT:.4f}")


if __name__ == "__main__":
    train(PACKAGE)
