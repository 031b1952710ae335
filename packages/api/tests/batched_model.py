"""The source of a batchable model whose instances say how it shall behave."""

__all__ = ["batched"]

_SOURCE = """
import os, signal, time
from stevedore_core.predictor import Predictor

class Batched(Predictor):
    batchable = True

    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        return [self.run_one(do) for do in X]

    def run_one(self, do):
        verb, _, value = do.partition(" ")
        if verb == "bad":
            raise ValueError("a bad row")
        if verb == "sleep":
            time.sleep(float(value))
        if verb == "pid":
            return str(os.getpid())
        if verb == "note":
            with open(value, "a") as file:
                file.write(".")
        return do.upper()

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return 1.0


def load():
    texts = {"type": "array", "items": {"type": "string"}}
    return Batched(None, NAME, ["a", "b"], texts, ["a"], texts, "1.0.0")
"""


def batched(name: str) -> str:
    """Return the source of a batchable model of that name, which answers in capitals."""
    return _SOURCE.replace("NAME", repr(name))
