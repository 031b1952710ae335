"""`Settings`: what an operator may change, read once at start-up from `STEVEDORE_*` variables."""

import difflib
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stevedore_core.errors import DocumentInvalid

__all__ = ["PREFIX", "Settings"]

PREFIX = "STEVEDORE_"

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class Settings(BaseModel):
    """Every setting with its default. The variable is the name in capitals after `STEVEDORE_`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: str = Field("/opt/stevedore", description="The directory of the layout to serve.")
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="The port to listen on; 0 takes any.")
    max_body_bytes: Count = Field(8 << 20, description="The longest body that is read, in bytes.")
    max_header_bytes: Count = Field(
        64 << 10, description="The longest request line and headers, in bytes."
    )
    max_headers: Count = Field(100, description="How many headers a request may have.")
    header_deadline_s: Seconds = Field(10, description="Seconds for the headers to arrive.")
    body_deadline_s: Seconds = Field(30, description="Seconds for the body to arrive.")
    keep_alive_s: int = Field(75, gt=0, description="Seconds an idle connection is kept open.")
    max_queued: Count = Field(256, description="How many requests may wait for one model.")
    max_queued_bytes: Count = Field(
        64 << 20,
        description="How many bytes of bodies may wait, over all models; as many may arrive.",
    )
    max_batch: Annotated[int, Field(gt=0, le=1 << 16)] = Field(
        64,
        description="How many requests for a batchable model go to a worker at once.",
    )
    max_batch_bytes: Count = Field(
        64 << 10,
        description="How many bytes of bodies go to a worker at once; a longer body goes alone.",
    )
    deadline_s: Seconds = Field(
        30, description="Seconds from admission to the answer; then the caller gets 504."
    )
    call_limit_s: Seconds = Field(
        30, description="Seconds a worker may spend on one call; then it is killed and replaced."
    )
    load_limit_s: Seconds = Field(300, description="Seconds a worker may take to load its models.")
    replace_grace_s: Seconds = Field(
        30, description="Seconds a worker's replacement may take before its models count as gone."
    )
    self_test_interval_s: Seconds = Field(10, description="Seconds between two self-tests.")
    self_test_limit_s: Seconds = Field(5, description="Seconds a self-test may take.")
    score_interval_s: Seconds = Field(
        3_600, description="Seconds between two scores on the packaged examples."
    )
    score_limit_s: Seconds = Field(60, description="Seconds such a score may take.")
    drain_s: int = Field(
        20, gt=0, description="Seconds that accepted requests get to finish when stopping."
    )
    threads: Count = Field(
        1, description="Threads that a numeric library may use inside one worker."
    )

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can connect."""
        return self.host in _LOOPBACK_HOSTS

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings from the `STEVEDORE_*` variables in `environ`.

        Raises:
            DocumentInvalid: Variables are unknown or have values that make no sense; lists all.
        """
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(PREFIX)
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            problems = [
                _problem(str(problem["loc"][0]), problem["type"], problem["msg"], given)
                for problem in error.errors(include_url=False)
            ]
            raise DocumentInvalid("\n".join(problems)) from None


def _problem(field: str, kind: str, message: str, given: Mapping[str, str]) -> str:
    variable = f"{PREFIX}{field.upper()}"
    if kind != "extra_forbidden":
        return f"`{variable}` is `{given[field]}`: {message.lower()}"
    close = difflib.get_close_matches(field, Settings.model_fields, n=1)
    meant = f"; did you mean `{PREFIX}{close[0].upper()}`?" if close else ""
    return f"`{variable}` is not a setting{meant}"
