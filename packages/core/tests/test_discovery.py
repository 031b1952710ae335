"""Discovery: absent, broken inside and wrong kind are three different errors."""

import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from stevedore_core.discovery import load_model, model_names
from stevedore_core.errors import ModelAbsent, ModelBroken, ModelWrongKind, SchemaInvalid
from stevedore_core.model_package import GROUP

InstallModel = Callable[..., Path]


def test_installed_models_are_listed_in_order(install_model: InstallModel) -> None:
    """Names come from the entry points, each once; nothing is imported for it."""
    before = model_names()
    install_model("zoo", "raise SystemExit")
    install_model("ant")
    install_model("ant", distribution="another")
    assert model_names() == sorted([*before, "ant", "zoo"])


def test_a_model_is_loaded_by_its_name(install_model: InstallModel) -> None:
    """The entry point's function gives the Predictor."""
    install_model("sum")
    predictor = load_model("sum")
    assert (predictor.name, predictor.version) == ("sum", "1.0.0")
    assert predictor.predict([1, 2, 3]) == 6


def test_types_that_a_package_declares_are_not_imported(install_model: InstallModel) -> None:
    """Whoever loads a model pays nothing for what its `payloads.py` imports."""
    (install_model("sum") / "payloads.py").write_text("raise SystemExit")
    assert load_model("sum").predict([1, 2, 3]) == 6
    with pytest.raises(SystemExit):
        import_module("stevedore_model_sum.payloads")


def test_an_absent_model_is_told_from_what_is_there(install_model: InstallModel) -> None:
    """The message lists what is installed."""
    install_model("ant")
    install_model("bee")
    listed = ", ".join(f"`{name}`" for name in model_names())
    with pytest.raises(ModelAbsent) as caught:
        load_model("cow")
    assert str(caught.value) == (
        f"no installed package provides the model `cow`; installed: {listed}"
    )
    assert "`ant`" in listed


@pytest.mark.skipif(bool(entry_points(group=GROUP)), reason="models are installed here")
def test_without_any_model_the_message_says_so() -> None:
    """An empty environment is named as such."""
    with pytest.raises(ModelAbsent) as caught:
        load_model("cow")
    assert str(caught.value) == "no installed package provides the model `cow`; installed: none"


@pytest.mark.parametrize("module", ["stevedore_model_gone", "stevedore_model_ant.gone"])
def test_a_module_that_does_not_exist_is_absent(install_model: InstallModel, module: str) -> None:
    """The entry point names a module that nobody installed."""
    install_model("ant", entry=f"{module}:load")
    with pytest.raises(ModelAbsent) as caught:
        load_model("ant")
    assert str(caught.value) == (f"model `ant` names the module `{module}`, which does not exist")


UNSPEAKABLE = """
class Unspeakable(Exception):
    def __str__(self):
        raise ValueError
    __repr__ = __str__
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import gone", "ModuleNotFoundError: No module named 'gone'"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise ModuleNotFoundError", "ModuleNotFoundError"),
        (
            "import math; math.gone",
            "AttributeError: module 'math' has no attribute 'gone'",
        ),
        ("''.gone", "AttributeError: 'str' object has no attribute 'gone'"),
        ("raise AttributeError", "AttributeError"),
        (
            UNSPEAKABLE + "raise Unspeakable",
            "stevedore_model_ant.Unspeakable: <exception str() failed>",
        ),
    ],
)
def test_a_module_that_raises_is_broken(
    install_model: InstallModel, source: str, said: str
) -> None:
    """Whatever importing raises, the message says what, and the cause is kept."""
    install_model("ant", source)
    with pytest.raises(ModelBroken) as caught:
        load_model("ant")
    assert str(caught.value) == f"importing model `ant` raised `{said}`"
    assert caught.value.__cause__ is not None


def test_a_syntax_error_shows_the_line(install_model: InstallModel) -> None:
    """A module that does not parse is broken, and the message shows where."""
    install_model("ant", "def load(:\n")
    with pytest.raises(ModelBroken, match=r"raised `(?s:.*)def load\(:(?s:.*)SyntaxError: "):
        load_model("ant")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("raise SystemExit", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise Unspeakable", "stevedore_model_ant.Unspeakable: <exception str() failed>"),
        ("load()", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_a_loader_that_raises_is_broken(install_model: InstallModel, body: str, said: str) -> None:
    """Whatever the function raises, one model is broken and nothing else."""
    install_model("ant", f"{UNSPEAKABLE}\ndef load():\n    {body}\n")
    with pytest.raises(ModelBroken) as caught:
        load_model("ant")
    assert str(caught.value) == f"`stevedore_model_ant:load` of model `ant` raised `{said}`"
    assert "in load" in "".join(traceback.format_exception(caught.value))


def test_an_error_of_the_package_keeps_its_class(install_model: InstallModel) -> None:
    """What the contract's own checks found is more precise than `broken`."""
    source = """
from stevedore_core.predictor import Predictor

def load():
    return Predictor(None, NAME, 1, {"type": 5}, 1, True)
"""
    install_model("ant", source)
    with pytest.raises(SchemaInvalid):
        load_model("ant")


UNMADE = """
from stevedore_core.predictor import Predictor

class Unmade(Predictor):
    def __init__(self):
        self.name = "ant"

load = Unmade
"""


@pytest.mark.parametrize(
    ("source", "entry", "message"),
    [
        (
            "other = 1",
            "stevedore_model_ant:load",
            "model `ant`: `stevedore_model_ant` has no `load`",
        ),
        (
            "load = 1",
            "stevedore_model_ant:load",
            "`stevedore_model_ant:load` of model `ant` must be a function, found `int`",
        ),
        (
            "",
            "stevedore_model_ant",
            "`stevedore_model_ant` of model `ant` must be a function, found `module`",
        ),
        (
            "def load(): return 1",
            "stevedore_model_ant:load",
            "`stevedore_model_ant:load` of model `ant` must return a `Predictor`, found `int`",
        ),
        (
            "def load(): pass",
            "stevedore_model_ant:load",
            (
                "`stevedore_model_ant:load` of model `ant` must return a `Predictor`, "
                "found `NoneType`"
            ),
        ),
        (
            (
                "from stevedore_core.predictor import Predictor\n"
                "def load(): return Predictor(None, 'bee', 1, True, 1, True)"
            ),
            "stevedore_model_ant:load",
            "the Predictor of model `ant` must have that name, found `bee`",
        ),
        (
            UNMADE,
            "stevedore_model_ant:load",
            "`Unmade.__init__` of model `ant` must call `super().__init__`",
        ),
    ],
    ids=["attribute", "value", "module", "number", "nothing", "name", "unmade"],
)
def test_what_the_contract_does_not_ask_for_is_of_the_wrong_kind(
    install_model: InstallModel, source: str, entry: str, message: str
) -> None:
    """It loads, and is something else: the message says what was expected and found."""
    install_model("ant", source, entry=entry)
    with pytest.raises(ModelWrongKind) as caught:
        load_model("ant")
    assert str(caught.value) == message


def test_a_model_provided_twice_is_refused(install_model: InstallModel) -> None:
    """Which of two would be served is nobody's guess; both owners are named."""
    install_model("ant", distribution="stevedore_model_ant")
    install_model("ant", distribution="another_ant")
    with pytest.raises(ModelWrongKind) as caught:
        load_model("ant")
    assert str(caught.value) == (
        "model `ant` is provided more than once, by `another_ant`, `stevedore_model_ant`"
    )
