"""What headers say."""

import pytest
from served_layout import Server

from stevedore_api.request_head import trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "value",
    [
        f"00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-00",
        f"cc-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
    ],
)
def test_a_valid_trace(value: str) -> None:
    """The id of the trace is taken from any version's header that begins like today's."""
    assert trace_id([(b"host", b"x"), (b"traceparent", value.encode())]) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
    ],
)
def test_an_invalid_trace(value: str) -> None:
    """It is ignored, as the standard demands."""
    assert trace_id([(b"traceparent", value.encode())]) is None


def test_no_trace_or_two() -> None:
    """Without one there is none, and of two nobody knows which counts."""
    header = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
    assert trace_id([]) is None
    assert trace_id([header, header]) is None


def test_a_trace_is_logged(shared: Server) -> None:
    """Whoever follows a trace finds its requests, by whichever way they were answered."""
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "x-request-id": "traced"}
    shared.client.post("/models/one/predict", json={"do": "echo"}, headers=headers)
    shared.client.get("/list", headers=headers)
    shared.client.get("/list", headers={"x-request-id": "traced"})
    lines = shared.await_lines(3, request_id="traced")
    assert [line.get("trace_id") for line in lines] == [TRACE, TRACE, None]
