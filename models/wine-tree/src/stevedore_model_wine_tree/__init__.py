"""The model `wine-tree`: names the grape of a wine. Served by way of its entry point, `load`."""

import json
from typing import Any

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

__all__ = ["WineTree", "load"]

Wine = dict[str, float]


class WineTree(Predictor):
    """A tree of questions to a wine's measurements, each of which is known by its name."""

    batchable = True

    def convert_prediction_input(self, payload: list[Wine]) -> list[Wine]:
        """Return the wines as they are."""
        return payload

    def run_predict(self, X: list[Wine]) -> list[dict[str, Any]]:  # noqa: N803  # as in core
        """Return, for each wine, its grape and what was found on the way to it."""
        return [self._answer(wine) for wine in X]

    def convert_score_input(self, payload: list[dict[str, Any]]) -> tuple[list[Wine], list[str]]:
        """Return the wines and the grapes that they are made of."""
        return [row["instance"] for row in payload], [row["label"] for row in payload]

    def run_scores(
        self,
        X: list[Wine],  # noqa: N803  # as in core
        y: list[str],
    ) -> dict[str, dict[str, float | str]]:
        """Return the share of wines named rightly, 0 to 1."""
        named = [answer["grape"] for answer in self.run_predict(X)]
        right = sum(found == grape for found, grape in zip(named, y, strict=True))
        return {"accuracy": {"value": right / len(y), "direction": "higher"}}

    def _answer(self, wine: Wine) -> dict[str, Any]:
        because = []
        node = self.model
        while "grape" not in node:
            name, limit = node["measurement"], node["limit"]
            above = wine[name] > limit
            because.append(f"{name} is {'above' if above else 'at most'} {limit}")
            node = node["above"] if above else node["at_most"]
        return {"grape": node["grape"], "because": because}


def load() -> WineTree:
    """Load the tree."""
    package = ModelPackage(__name__)
    tree = json.loads(package.weights("tree.json").read_text(encoding="utf-8"))
    return WineTree.from_package(package, tree)
