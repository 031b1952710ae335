"""`docs/http.md` and `docs/python.md`: routes, reasons and modules, held against the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from assembled import exposition_of
from fastapi.routing import APIRoute

from stevedore_api import health
from stevedore_api.catalogue import Catalogue
from stevedore_api.docs_page import docs_router
from stevedore_api.health import Health
from stevedore_api.routes import routers
from stevedore_api.settings import Settings
from stevedore_core.errors import DeadlinePassed, PackageError, PredictorError, WorkerDied
from stevedore_core.verdicts import PASSED

ROOT: Final = Path(__file__).parents[2]
HTTP: Final = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
VERSION: Final = "/versions/{version}"
BY_THE_HOT_PATH: Final = {("POST", "/predict"), ("POST", "/score")}
BY_THE_APP: Final = {("GET", "/openapi.json")}


def test_every_route_is_documented() -> None:
    """Each route of the server stands in a table, and each that stands there is a route.

    Below a version are the same routes as below the model, which the document says once.
    """
    served = {*BY_THE_HOT_PATH, *BY_THE_APP}
    served |= {(method, path.replace(VERSION, "")) for method, path in _served()}
    documented = {(method, path.replace(VERSION, "")) for method, path in _documented()}
    assert documented == {route for route in served if not route[1].startswith("/docs/")}


def _served() -> Iterator[tuple[str, str]]:
    catalogue = Catalogue(())
    state = Health(catalogue, Settings.read({}), "all", {})
    served = routers(catalogue, state, {}, exposition_of(catalogue))
    for route in (route for router in (*served, docs_router("sample")) for route in router.routes):
        if isinstance(route, APIRoute):
            yield from ((method, route.path) for method in route.methods or ())


def _documented() -> Iterator[tuple[str, str]]:
    for row in re.findall(r"^\| ((?:GET|POST) .+?) \|", HTTP, flags=re.MULTILINE):
        method = ""
        for word in re.findall(r"GET|POST|`/[^`]*`", row):
            if word in {"GET", "POST"}:
                method = word
            else:
                yield method, word.strip("`")


def test_every_reason_is_documented() -> None:
    """The table of reasons holds each code that readiness may give, and no other."""
    tree = ast.parse(Path(health.__file__).read_text(encoding="utf-8"))
    deciding = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in {"reason", "_note"}
    ]
    constants = [node for node in tree.body if isinstance(node, ast.Assign)]
    literals = {
        node.value
        for part in (*deciding, *constants)
        for node in ast.walk(part)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    own = {literal for literal in literals if re.fullmatch(r"[a-z]+(-[a-z]+)*", literal)}
    errors = {e.code for e in (*PackageError.__subclasses__(), *PredictorError.__subclasses__())}
    failed = {f"self-test-{error.code}" for error in (DeadlinePassed, WorkerDied)}
    table = HTTP.split("| reason | when |")[1].split("\n\n")[0]
    first = " ".join(line.split("|")[1] for line in table.splitlines()[2:])
    assert set(re.findall(r"`([a-z-]+)`", first)) == own | errors | failed | {PASSED}


def test_every_module_that_models_import_is_documented() -> None:
    """What a model package takes from core stands on the page about Python."""
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"automodule:: stevedore_core\.([a-z_.]+)", page))
    sources = [path.read_text(encoding="utf-8") for path in ROOT.glob("models/**/*.py")]
    imported = {
        module
        for source in sources
        for module in re.findall(r"^from stevedore_core\.([a-z_.]+) import", source, re.MULTILINE)
    }
    assert imported
    assert {module.replace("testing", "testing.conformance") for module in imported} <= documented
