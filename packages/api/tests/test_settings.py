"""`Settings`: defaults, and what is said of variables that make no sense."""

import pytest
from pydantic import ValidationError

from stevedore_api.settings import Settings
from stevedore_core.errors import DocumentInvalid
from stevedore_core.served_settings import AUTO, SERVED, Setting

DEFAULTS = {
    "layout": "/opt/stevedore",
    "host": "127.0.0.1",
    "port": 8000,
    "max_body_bytes": 8_388_608,
    "max_header_bytes": 65_536,
    "max_headers": 100,
    "header_deadline_s": 10,
    "body_deadline_s": 30,
    "write_deadline_s": 60,
    "max_connections": 10_000,
    "keep_alive_s": 75,
    "max_queued": 256,
    "max_queued_bytes": 67_108_864,
    "max_batch": 64,
    "max_batch_bytes": 64 << 10,
    "deadline_s": 30,
    "call_limit_s": 30,
    "load_limit_s": 300,
    "max_load_tries": 5,
    "max_worker_rss_bytes": 0,
    "max_memory_share": 0.9,
    "replace_grace_s": 30,
    "self_test_interval_s": 10,
    "self_test_limit_s": 5,
    "score_interval_s": 3_600,
    "score_limit_s": 60,
    "drain_delay_s": 3,
    "drain_s": 20,
    "workers": 1,
    "spare_workers": 0,
    "threads": "auto",
}


def test_defaults() -> None:
    """Without variables every setting has its documented default."""
    assert Settings.read({}).model_dump() == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_setting_is_described(name: str) -> None:
    """A setting says in a sentence what it is for, with its unit if its name has one."""
    description = Settings.model_fields[name].description
    assert description is not None
    assert description.endswith(".")
    assert "econds" in description or not name.endswith("_s")
    assert "bytes" in description or not name.endswith("_bytes")


def test_variables_are_read() -> None:
    """A variable is the setting's name in capitals after the prefix; others are not ours."""
    read = Settings.read({"STEVEDORE_PORT": "0", "STEVEDORE_DEADLINE_S": "0.5", "PORT": "x"})
    assert read.model_dump() == {**DEFAULTS, "port": 0, "deadline_s": 0.5}


def test_settings_do_not_change() -> None:
    """What was read at start-up holds until the end."""
    with pytest.raises(ValidationError, match="Instance is frozen"):
        Settings.read({}).port = 1


def test_every_bad_value_is_listed() -> None:
    """One start tells everything that is wrong, with variable and value."""
    environ = {
        "STEVEDORE_PORT": "65536",
        "STEVEDORE_MAX_QUEUED": "0",
        "STEVEDORE_DEADLINE_S": "inf",
        "STEVEDORE_THREADS": "many",
        "STEVEDORE_MAX_QUEUE": "1",
        "STEVEDORE_XYZZY": "1",
    }
    with pytest.raises(DocumentInvalid) as caught:
        Settings.read(environ)
    assert str(caught.value).splitlines() == [
        "`STEVEDORE_PORT` is `65536`: input should be less than or equal to 65535",
        "`STEVEDORE_MAX_QUEUED` is `0`: input should be greater than 0",
        "`STEVEDORE_DEADLINE_S` is `inf`: input should be a finite number",
        "`STEVEDORE_THREADS` is `many`: input should be a whole number from 1 on, or `auto`",
        "`STEVEDORE_MAX_QUEUE` is not a setting; did you mean `STEVEDORE_MAX_QUEUED`?",
        "`STEVEDORE_XYZZY` is not a setting",
    ]


@pytest.mark.parametrize(
    "name", [n for n, value in DEFAULTS.items() if n not in ("layout", "host")]
)
@pytest.mark.parametrize("value", ["-1", "nan", "", "1 s"])
def test_a_number_that_makes_no_sense_is_refused(name: str, value: str) -> None:
    """No limit, time or count can be negative, absent or not a number."""
    variable = f"STEVEDORE_{name.upper()}"
    with pytest.raises(DocumentInvalid, match=f"^`{variable}` is `{value}`: input should be"):
        Settings.read({variable: value})


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104  # only a string here
        ("::", False),
        ("192.0.2.1", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:  # noqa: FBT001  # a case
    """Only the loopback addresses count as such."""
    assert Settings.read({"STEVEDORE_HOST": host}).is_loopback is expected


def test_what_goes_before_what() -> None:
    """Variable, model's table, `[serve]`, default: the first that says something counts."""
    read = Settings.read({"STEVEDORE_DEADLINE_S": "1"})
    model: dict[str, Setting] = {"deadline_s": 2.0, "call_limit_s": 2.0}
    serve: dict[str, Setting] = {"deadline_s": 3.0, "call_limit_s": 3.0, "workers": AUTO}
    filled = read.filled(model).filled(serve)
    assert (filled.deadline_s, filled.call_limit_s, filled.workers) == (1, 2, "auto")
    assert filled.max_queued == DEFAULTS["max_queued"]
    assert read == Settings.read({"STEVEDORE_DEADLINE_S": "1"})


@pytest.mark.parametrize("name", SERVED)
def test_what_a_manifest_may_say_is_a_setting(name: str) -> None:
    """Whatever the manifest lets pass makes sense here too."""
    allowed = SERVED[name]
    for value in (allowed.low, allowed.high):
        exact = int(value) if allowed.is_whole else value
        assert getattr(Settings.read({f"STEVEDORE_{name.upper()}": str(exact)}), name) == exact
    auto = {f"STEVEDORE_{name.upper()}": AUTO}
    if allowed.or_auto:
        assert getattr(Settings.read(auto), name) == AUTO
