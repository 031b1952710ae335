"""`Settings`: defaults, and what is said of variables that make no sense."""

import pytest
from pydantic import ValidationError

from stevedore_api.settings import Settings
from stevedore_core.errors import DocumentInvalid

DEFAULTS = {
    "layout": "/opt/stevedore",
    "host": "127.0.0.1",
    "port": 8000,
    "max_body_bytes": 8_388_608,
    "max_header_bytes": 65_536,
    "max_headers": 100,
    "header_deadline_s": 10,
    "body_deadline_s": 30,
    "keep_alive_s": 75,
    "max_queued": 256,
    "max_queued_bytes": 67_108_864,
    "max_batch": 64,
    "max_batch_bytes": 65_536,
    "deadline_s": 30,
    "call_limit_s": 30,
    "load_limit_s": 300,
    "replace_grace_s": 30,
    "self_test_interval_s": 10,
    "self_test_limit_s": 5,
    "score_interval_s": 3_600,
    "score_limit_s": 60,
    "drain_s": 20,
    "threads": 1,
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
        (
            "`STEVEDORE_THREADS` is `many`: input should be a valid integer, "
            "unable to parse string as an integer"
        ),
        "`STEVEDORE_MAX_QUEUE` is not a setting; did you mean `STEVEDORE_MAX_QUEUED`?",
        "`STEVEDORE_XYZZY` is not a setting",
    ]


@pytest.mark.parametrize("name", [n for n, value in DEFAULTS.items() if not isinstance(value, str)])
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
