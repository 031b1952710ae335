"""Mutants of our own code: which there are, that tests can notice them, and what is written."""

import sys
from pathlib import Path
from textwrap import dedent

import mutation_table
import pytest
from code_mutants import CodeMutant, make_code_mutants
from judging import Subject, TestsFailed, judge
from mutation_table import Accepted, Row

SOURCE = """
def is_small(number: int) -> bool:
    while number < 0:
        number += 2
    return number < 10
"""


def changes(source: str) -> list[str]:
    """Return each change of a source as one line."""
    return [f"{m.was} → {m.now}" for m in make_code_mutants(dedent(source), "sample.py")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["a < b → pass", "a < b → a <= b", "a < b → a >= b"]),
        ("x = a >= b", ["x = a >= b → x = a > b", "x = a >= b → x = a < b"]),
        ("x = a == b", ["x = a == b → x = a != b"]),
        ("x = a is b", ["x = a is b → x = a is not b"]),
        ("x = a not in b", ["x = a not in b → x = a in b"]),
        ("x = a < b < c", [f"x = a < b < c → x = a {o} c" for o in
                           ("<= b <", ">= b <", "< b <=", "< b >=")]),
        ("x = a and b", ["x = a and b → x = a or b"]),
        ("x = not a", ["x = not a → x = a"]),
        ("x = -a", ["x = -a → x = a"]),
        ("x = a + b", ["x = a + b → x = a - b"]),
        ("x += y", ["x += y → x -= y", "x += y → pass"]),
        ("x = 7", ["x = 7 → x = 8", "x = 7 → x = 6"]),
        ("x = 0.5", ["x = 0.5 → x = 2.0"]),
        ("x = True", ["x = True → x = False"]),
        ("x = 'a'", ["x = 'a' → x = 'aX'"]),
        ("x = b''", ["x = b'' → x = b'X'"]),
        ("x = f'a{b}'", ["x = f'a{b}' → x = f'aX{b}'"]),
        ("x = None", []),
        ("x.y = z", ["x.y = z → pass"]),
        ("del x", ["del x → pass"]),
        ("raise x", ["raise x → pass"]),
        ("if x:\n    y", ["if x: → if not x:", "y → pass"]),
        ("x = y if z else 0", ["x = y if z else 0 → x = y if not z else 0",
                               "x = y if z else 0 → x = y if z else 1",
                               "x = y if z else 0 → x = y if z else -1"]),
        ("x = [y for y in z if y]", ["for y in z if y → for y in z if not y"]),
        ("for x in y:\n    continue", ["continue → break"]),
        ("for x in y:\n    break", ["break → continue"]),
        ("def f(x=1):\n    return x", ["def f(x=1): → def f(x=2):", "def f(x=1): → def f(x=0):",
                                       "return x → return None"]),
        ("match x:\n    case 1 if y: pass", ["case 1 if y: → case 1 if not y:",
                                             "case 1 if y: → case 2 if y:",
                                             "case 1 if y: → case 0 if y:"]),
    ],
)  # fmt: skip
def test_changes(source: str, expected: list[str]) -> None:
    """Each thing that can be written wrong is written wrong in each way, and one at a time."""
    assert sorted(changes(source)) == sorted(expected)


def test_what_is_no_code_is_left_alone() -> None:
    """Words for people, types, decorators, assertions and exports are not mutated."""
    source = '''
    """A module."""
    __all__ = ["a"]
    Json: TypeAlias = "int | str"

    @decorator(frozen=True)
    class A:
        """A class."""

        x: Literal["a"]

        def f(self, x: "int | str") -> Literal[1]:
            """Do nothing."""
            assert x > 1
            y = cast("int", x)
            return
    '''
    assert changes(source) == []


def test_where_a_mutant_is() -> None:
    """It is known by its function, by what is around it, and by its number where that is taken."""
    source = """
    class A:
        def f(self):
            call_with_many_words(first, [0, 1])
            x = True
            x = True
    """
    found = make_code_mutants(dedent(source), "sample.py")
    assert {mutant.where for mutant in found} == {"A.f"}
    assert [(mutant.line, *mutant.key[1:]) for mutant in found if mutant.now != "pass"] == [
        *((4, "call_with_many_words(first, [0, 1])", f"call_with_many_words(first, [{numbers}])")
          for numbers in ("1, 1", "-1, 1", "0, 2", "0, 0")),
        (5, "x = True", "x = False"),
        (6, "x = True (2)", "x = False"),
    ]  # fmt: skip


def test_a_mutant_is_the_module_with_one_change() -> None:
    """What is compiled differs in one place; the next mutant does not keep the change."""
    found = make_code_mutants("x = 1\ny = 1\n", "sample.py")
    values = []
    for mutant in found:
        names: dict[str, object] = {}
        exec(mutant.code, names)  # noqa: S102  # two assignments
        values.append((names["x"], names["y"]))
    assert values == [(2, 1), (0, 1), (1, 2), (1, 0)]


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A module of one function, with a test that looks at one value only."""
    file = tmp_path / "mutated_sample.py"
    file.write_text(SOURCE)
    tests = tmp_path / "test_mutated_sample.py"
    tests.write_text(
        "from mutated_sample import is_small\n\n\n"
        "def test_is_small() -> None:\n    assert is_small(9) and not is_small(11)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return Subject(module="mutated_sample", file=file, tests=[tests])


def mutants_of(subject: Subject) -> list[CodeMutant]:
    """Return the mutants of the module."""
    return make_code_mutants(subject.file.read_text(), str(subject.file))


@pytest.mark.parametrize("jobs", [1, 3])
def test_survivors(subject: Subject, jobs: int) -> None:
    """What a test sees is killed, what none looks at survives, and nothing of it stays."""
    survivors = judge(subject, mutants_of(subject), jobs)
    assert [f"{mutant.was} → {mutant.now}" for mutant in survivors] == [
        "while number < 0: → while number <= 0:",
        "while number < 0: → while number < 1:",
        "while number < 0: → while number < -1:",
        "number += 2 → number -= 2",
        "number += 2 → pass",
        "number += 2 → number += 3",
        "number += 2 → number += 1",
        "return number < 10 → return number <= 10",
        "return number < 10 → return number < 11",
    ]
    assert subject.module not in sys.modules


def test_a_mutant_that_never_ends_is_killed(subject: Subject) -> None:
    """Its time is bounded, and that counts as noticed."""
    with subject.tests[0].open("a") as file:
        file.write("\n\ndef test_negative() -> None:\n    assert is_small(-3)\n")
    endless = [m for m in mutants_of(subject) if m.now in {"number -= 2", "pass"}]
    assert len(endless) == 2
    assert judge(subject, endless, least_limit_s=0.5) == []


@pytest.mark.parametrize("test", ["assert not is_small(1)", "import absent", None])
def test_tests_that_fail_judge_nothing(subject: Subject, test: str | None) -> None:
    """If the module as it is fails its tests, or has none, every mutant would look killed."""
    subject.tests[0].write_text(
        "from mutated_sample import is_small\n\n\ndef test_x() -> None:\n" + f"    {test}\n"
        if test
        else ""
    )
    with pytest.raises(TestsFailed) as caught:
        judge(subject, mutants_of(subject))
    assert str(caught.value) == (
        f"the tests in {subject.tests[0]} fail, or there are none: mend them first"
    )


def test_tests_that_start_a_server_do_not_count(subject: Subject) -> None:
    """Whoever leaves judging to a process that imports the module as it is learns nothing."""
    with subject.tests[0].open("a") as file:
        file.write(
            "\n\nimport pytest\n\n\n@pytest.fixture\ndef serve() -> None:\n    pass\n\n\n"
            "def test_served(serve: None) -> None:\n    assert not is_small(10)\n"
        )
    ten = [m for m in mutants_of(subject) if m.now == "return number <= 10"]
    assert judge(subject, ten) == ten


def mutant(now: str) -> CodeMutant:
    """Return a mutant of one line."""
    return CodeMutant(where="f", was="a", now=now, line=7, code=compile("", "", "exec"))


def accepted(now: str, reason: str = "it may") -> Accepted:
    """Return an entry of the list of survivors."""
    return Accepted(module="m", where="f", was="a", now=now, reason=reason)


def test_survivors_and_their_list_agree() -> None:
    """A survivor without a reason is named, and so is a reason without a survivor."""
    assert mutation_table.objections("m", [mutant("b")], [
        accepted("b"), Accepted(module="n", where="", was="", now="", reason="")
    ]) == []  # fmt: skip
    entry = '[[survivor]]\nmodule = "m"\nwhere = "f"\nwas = "a"\nnow = "%s"\nreason = ""\n'
    assert mutation_table.objections("m", [mutant('"b"')], [accepted("c")]) == [
        f"# line 7: kill this mutant by a test, or say why it may survive\n{entry}" % '\\"b\\"',
        f"# does not survive any more: take it out of survivors.toml\n{entry}" % "c",
    ]


def test_document() -> None:
    """Each module has its figures, each survivor its reason; both can be read again."""
    rows = {"m": Row(mutants=8, killed=6), "n": Row(mutants=2, killed=2)}
    text = mutation_table.render(rows, [accepted("a | b")])
    assert text.partition(mutation_table.HEAD)[2] == (
        "| m | 8 | 6 | 2 | 75.0 % |\n| n | 2 | 2 | 0 | 100.0 % |\n"
        "\n## Survivors of m\n\n| where | was | is | why it may |\n|---|---|---|---|\n"
        "| `f` | `a` | `a \\| b` | it may |\n"
    )
    assert mutation_table.read_rows(text) == rows


@pytest.mark.parametrize(
    ("name", "module", "tests"),
    [
        ("frames", "stevedore_core.frames", ["core/tests/test_frames.py"]),
        ("group", "stevedore_api.group", ["api/tests/test_dispatching.py"]),
        ("locks/markers", "stevedore_build.locks.markers", ["build/tests/locks/test_markers.py"]),
    ],
)
def test_a_module_and_its_tests(name: str, module: str, tests: list[str]) -> None:
    """Both go by the path in the rules, and the tests by another name where the rules say so."""
    packages = mutation_table.ROOT / "packages"
    package, *rest = module.split(".")
    assert mutation_table.subjects()[name] == Subject(
        module=module,
        file=packages.joinpath(package.partition("_")[2], "src", package, *rest).with_suffix(".py"),
        tests=[packages / test for test in tests],
    )


def test_the_document_is_in_step() -> None:
    """It has every module of the rules and every survivor of the list, as they are now."""
    text = mutation_table.DOCUMENT.read_text(encoding="utf-8")
    rows = mutation_table.read_rows(text)
    assert text == mutation_table.render(rows, mutation_table.read_accepted())
    assert list(rows) == list(mutation_table.subjects())


def test_every_survivor_is_a_mutant_of_the_code_as_it_is() -> None:
    """Who changes a line that a reason is about looks at the reason again."""
    listed = mutation_table.read_accepted()
    known = {
        (name, *found.key)
        for name, subject in mutation_table.subjects().items()
        for found in mutation_table.code_mutants(subject)
    }
    keys = [(entry.module, *entry.key) for entry in listed]
    assert [key for key in keys if key not in known] == []
    assert len(set(keys)) == len(keys)
    assert [entry.key for entry in listed if len(entry.reason) < 10] == []
