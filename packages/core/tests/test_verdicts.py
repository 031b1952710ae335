"""A verdict says whether a Predictor works."""

from stevedore_core import self_test
from stevedore_core.verdicts import PASSED, Verdict


def test_passed() -> None:
    """One code means that it works, each other one why not. Callers see it: it never changes."""
    assert PASSED == "passed"
    assert Verdict(reason="passed").passed
    assert not Verdict(reason="predictor-failed", detail="it raised").passed


def test_who_takes_a_verdict_has_it() -> None:
    """`self_test` hands out both names, so that a model's tests need one import."""
    assert (self_test.PASSED, self_test.Verdict) == (PASSED, Verdict)
