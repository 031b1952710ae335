"""`Settings`: what an operator may change, read once at start-up.

A `STEVEDORE_*` variable goes before the manifest's table of a model, that before `[serve]`, and
that before the default.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from stevedore_core.errors import DocumentInvalid
from stevedore_core.frames import MAX_FOLLOWING
from stevedore_core.served_settings import AUTO, Setting
from stevedore_core.spelling import closest

__all__ = ["PREFIX", "Settings"]

PREFIX = "STEVEDORE_"

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


def _count_or_auto(value: object) -> object:
    if value == AUTO or (str(value).isdecimal() and int(str(value)) > 0):
        return value if value == AUTO else int(str(value))
    raise PydanticCustomError("count", "input should be a whole number from 1 on, or `auto`")


CountOrAuto = Annotated[int | Literal["auto"], BeforeValidator(_count_or_auto)]


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
    write_deadline_s: Seconds = Field(
        60, description="Seconds for a client to read an answer; then it is cut off."
    )
    max_connections: Count = Field(
        10_000,
        description="How many connections may be open, files permitting; idle ones go first.",
    )
    keep_alive_s: int = Field(75, gt=0, description="Seconds an idle connection is kept open.")
    max_queued: Count = Field(256, description="How many requests may wait for one model.")
    max_queued_bytes: Count = Field(
        64 << 20,
        description="How many bytes of bodies may wait, over all models; as many may arrive.",
    )
    max_batch: Annotated[int, Field(gt=0, le=MAX_FOLLOWING + 1)] = Field(
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
    max_load_tries: Count = Field(
        5,
        description="How often loading may fail; if it does for all models, the server gives up.",
    )
    max_worker_rss_bytes: int = Field(
        0,
        ge=0,
        description="Memory in bytes from which a worker is replaced between two calls; 0: never.",
    )
    max_memory_share: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Share of the container's memory from which only one request at a time is "
        "taken; 1: never.",
    )
    replace_grace_s: Seconds = Field(
        30, description="Seconds a worker's replacement may take before its models count as gone."
    )
    self_test_interval_s: Seconds = Field(10, description="Seconds between two self-tests.")
    self_test_limit_s: Seconds = Field(5, description="Seconds a self-test may take.")
    score_interval_s: Seconds = Field(
        3_600, description="Seconds between two scores on the packaged examples."
    )
    score_limit_s: Seconds = Field(60, description="Seconds such a score may take.")
    drain_delay_s: float = Field(
        3,
        ge=0,
        allow_inf_nan=False,
        description="Seconds after SIGTERM in which new requests are still served.",
    )
    drain_s: int = Field(
        20, gt=0, description="Seconds that accepted requests get to finish when stopping."
    )
    workers: CountOrAuto = Field(
        1, description="Workers of each group; `auto`: one for each core that may be used."
    )
    spare_workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Workers of each group beside those, loaded and idle until one of them ends.",
    )
    threads: CountOrAuto = Field(
        "auto",
        description="Threads of a numeric library in one worker; `auto`: its share of the cores.",
    )

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can connect."""
        return self.host in _LOOPBACK_HOSTS

    def filled(self, given: Mapping[str, Setting]) -> "Settings":
        """Return these settings with what is `given` where no variable and no earlier filling said.

        The manifest has checked the values: see `stevedore_core.served_settings`.
        """
        unset = {name: v for name, v in given.items() if name not in self.model_fields_set}
        return self.model_copy(update=unset)

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
    meant = closest(field, Settings.model_fields)
    hint = "" if meant is None else f"; did you mean `{PREFIX}{meant.upper()}`?"
    return f"`{variable}` is not a setting{hint}"
