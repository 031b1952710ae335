"""Models as they are written for the original library: fitted when this file is imported."""

import lightgbm
import numpy as np
import xgboost
from predictor import Predictor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge

LOWEST = 0


def column(rows, key):
    return np.asarray([row[key] for row in rows], dtype=float)


class Flowers(Predictor):
    def convert_prediction_input(self, x):
        return np.asarray(x, dtype=float)

    def run_predict(self, X):
        return self.model.predict(X)

    def convert_output(self, res):
        return res.tolist()

    def convert_score_input(self, in_object):
        return column(in_object, "x"), column(in_object, "y")

    def run_scores(self, X, y):
        return float(np.mean(self.run_predict(X) == y))


class Progress(Flowers):
    def run_predict(self, X):
        return np.maximum(self.model.predict(X), LOWEST)

    def run_scores(self, X, y):
        return {"mae": {"value": np.mean(np.abs(self.run_predict(X) - y)), "direction": "lower"}}


def array_of(items, most=1000):
    return {"type": "array", "minItems": 1, "maxItems": most, "items": items}


def schemas(low, high, label):
    number = {"type": "number", "minimum": low, "maximum": high}
    row = {**array_of(number, 4), "minItems": 4}
    labelled = {
        "type": "object",
        "properties": {"x": row, "y": label},
        "required": ["x", "y"],
        "additionalProperties": False,
    }
    return array_of(row), array_of(labelled)


X, y = load_iris(return_X_y=True)
flowers = LogisticRegression(max_iter=1000).fit(X, y)
boosted = xgboost.XGBClassifier(n_estimators=5, max_depth=2).fit(X, y)
of_flowers, labelled_flowers = schemas(0, 30, {"enum": [0, 1, 2]})
flower_rows = [{"x": row.tolist(), "y": int(label)} for row, label in zip(X[::10], y[::10])]

X, y = load_diabetes(return_X_y=True)
X = X[:, :4]
progress = Ridge().fit(X, y)
settings = {"verbose": -1, "num_leaves": 4, "num_threads": 1}
leaves = lightgbm.train(settings, lightgbm.Dataset(X, y), num_boost_round=5)
of_people, labelled_people = schemas(-1, 1, {"type": "number", "minimum": 0, "maximum": 1000})
people = [{"x": row.tolist(), "y": float(label)} for row, label in zip(X[:5], y[:5])]

print("fitted")
some_flowers, some_people = [r["x"] for r in flower_rows], [r["x"] for r in people]
predictors = [
    Flowers(flowers, "flowers", some_flowers, of_flowers, flower_rows, labelled_flowers),
    Flowers(boosted, "boosted", some_flowers, of_flowers, flower_rows, labelled_flowers, "v2"),
    Progress(progress, "progress", some_people, of_people, people, labelled_people),
    Progress(leaves, "leaves", some_people, of_people, people, labelled_people),
]
