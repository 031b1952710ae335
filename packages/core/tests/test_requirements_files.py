"""A requirements file survives being written and read, and may hold nothing but pins."""

import pytest

from stevedore_core.errors import DocumentInvalid
from stevedore_core.requirements_files import Pin, format_pins, parse_pins

A, B = "a" * 64, "b" * 64

PINS = (
    Pin(name="numpy", version="2.2.6", marker=None, sha256s=(A, B)),
    Pin(name="uvloop", version="0.21.0", marker="sys_platform != 'win32'", sha256s=(B,)),
)

TEXT = f"""\
numpy==2.2.6 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
uvloop==0.21.0 ; sys_platform != 'win32' \\
    --hash=sha256:{B}
"""


def test_there_and_back() -> None:
    """What is written is read as it was."""
    assert format_pins(PINS) == TEXT
    assert parse_pins(TEXT, file="default.txt") == PINS


def test_what_a_resolver_writes() -> None:
    """Comments and empty lines are passed over, and hashes have an order of their own."""
    text = f"# by uv\n\nnumpy==2.2.6   --hash=sha256:{B}  \\\n  --hash=sha256:{A}\n    # via x\n"
    assert parse_pins(text, file="out.txt") == PINS[:1]


@pytest.mark.parametrize(
    "line",
    [
        "numpy>=2",
        "numpy==2.2.6",
        f"numpy --hash=sha256:{A}",
        f"numpy==2.2.6 --hash=sha256:{A[1:]}",
        f"numpy==2.2.6 --hash=md5:{A}",
        f"Num.Py==2.2.6 --hash=sha256:{A}",
        "--index-url https://index.example/simple",
        "numpy @ https://files.example/numpy-2.2.6.whl",
    ],
)
def test_no_pin(line: str) -> None:
    """A line without an exact version and a hash, or that says where to get files, is refused."""
    with pytest.raises(DocumentInvalid) as caught:
        parse_pins(f"{TEXT}{line}\n", file="default.txt")
    assert str(caught.value) == (
        f"default.txt: expected a pin such as `numpy==2.2.6 --hash=sha256:…`, found `{line[:60]}`"
    )


def test_a_long_line_is_shown_in_part() -> None:
    """Sixty characters are enough to find it."""
    with pytest.raises(DocumentInvalid) as caught:
        parse_pins("a" * 61, file="default.txt")
    assert str(caught.value).endswith(f"found `{'a' * 60}`")
