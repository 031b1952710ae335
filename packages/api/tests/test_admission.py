"""Admission: how much may wait."""

import pytest

from stevedore_api.admission import Admission
from stevedore_core.errors import QueueFull


def test_admission() -> None:
    """Calls are counted for each model, bytes over all; what leaves makes room."""
    admission = Admission({"a": 2, "b": 2}, 100)
    admission.enter("a", 40)
    admission.enter("a", 40)
    with pytest.raises(QueueFull) as caught:
        admission.enter("a", 1)
    assert str(caught.value) == "2 requests wait for the model already"
    with pytest.raises(QueueFull) as caught:
        admission.enter("b", 21)
    assert str(caught.value) == "the requests that wait hold 80 bytes already"
    admission.enter("b", 20)
    admission.leave("a", 40)
    assert (admission.queued("a"), admission.queued("b")) == (1, 1)
    admission.enter("a", 40)
    assert admission.queued("a") == 2
