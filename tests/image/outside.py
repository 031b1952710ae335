"""Callers of a container, for tests that do something to it meanwhile."""

import threading
import time
from typing import Self

import httpx


class Outside:
    """Callers of every model of a container, one each, from `with` to its end."""

    def __init__(self, address: str, payloads: dict[str, str], expected: dict[str, str]) -> None:
        self.sent = dict.fromkeys(payloads, 0)
        self.failures: list[str] = []
        self._address = address
        self._payloads, self._expected = payloads, expected
        self._are_told = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(model,)) for model in payloads]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._are_told.set()
        for thread in self._threads:
            thread.join()

    def await_all(self) -> None:
        """Wait until every model has answered some more."""
        before, begun = dict(self.sent), time.monotonic()
        while any(self.sent[model] < before[model] + 5 for model in before):
            assert time.monotonic() - begun < 60, self.sent
            time.sleep(0.02)

    def _run(self, model: str) -> None:
        path = f"/models/{model.replace('@', '/versions/')}/predict"
        headers = {"Content-Type": "application/json"}
        with httpx.Client(base_url=self._address, timeout=30, headers=headers) as client:
            while not self._are_told.is_set():
                try:
                    answer = client.post(path, content=self._payloads[model])
                except httpx.TransportError as error:
                    self.failures.append(f"{model}: {error!r}")
                else:
                    if answer.text != self._expected[model]:
                        self.failures.append(f"{model}: {answer.status_code}")
                self.sent[model] += 1
