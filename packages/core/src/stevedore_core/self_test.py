"""The self-test: a Predictor run on its own packaged examples, the whole way from bytes to bytes.

It says *works*, or why not; how good is the score's business. The worker and the conformance suite
call it.
"""

import logging

from stevedore_core import calls
from stevedore_core.errors import StevedoreError, describe
from stevedore_core.predictor import Predictor
from stevedore_core.scores import Score, read_scores
from stevedore_core.strict_json import decode, encode
from stevedore_core.verdicts import PASSED, Verdict

__all__ = ["PASSED", "Verdict", "run_self_test", "score_examples"]

_log = logging.getLogger(__name__)


def run_self_test(predictor: Predictor) -> Verdict:
    """Predict and score the packaged examples; never raises."""
    try:
        decode(calls.predict(predictor, encode(predictor.test_input)))
        score_examples(predictor)
    except StevedoreError as error:
        _log.warning("self-test of model `%s` failed", predictor.name, exc_info=True)
        cause = f": {describe(error.__cause__)}" if error.__cause__ else ""
        return Verdict(reason=error.code, detail=f"{error}{cause}")
    return Verdict(reason=PASSED)


def score_examples(predictor: Predictor) -> tuple[Score, ...]:
    """Return the scores on the packaged labelled examples.

    Raises:
        PredictorFailed: One of the Predictor's methods raised.
        OutputNotJson: What it returned is not a score.
    """
    return read_scores(decode(calls.score(predictor, encode(predictor.score_test_input))))
