"""The walls inside build: a package imports from those above it in one list, never from below."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
SOURCE: Final = Path(__file__).parents[1] / "src" / "stevedore_build"
MODULES: Final = sorted(
    path
    for path in SOURCE.rglob("*.py")
    if "templates" not in path.parts and path.name != "__main__.py"
)

PICTURE: Final = (
    "",  # the modules at the top, which anyone may call
    "wheels",
    "weights",
    "locks",
    "inventory",
    "layouts",
    "schemas",
    "checks",
    "images",
    "releases",
    "scaffolds",
    "originals",
    "cli",
)


def package_of(module: str) -> str:
    """Return the package that a module is in, nothing if it stands at the top."""
    return module.rpartition(".")[0]


def imported(file: Path) -> Iterator[str]:
    """Yield each module of build that a file imports, wherever in the file, as `wheels.pins`."""
    names = {_name(path) for path in MODULES}
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            full = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            full = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in full:
            own, _, inner = name.partition(".")
            if own == "stevedore_build":
                # What is imported is a module, or a name in one.
                yield inner if inner in names else package_of(inner)


def _name(file: Path) -> str:
    return ".".join(file.relative_to(SOURCE).with_suffix("").parts)


def test_every_package_has_its_place() -> None:
    """The list names the packages that there are, each with a docstring and nothing else."""
    found = [path.parent for path in MODULES if path.name == "__init__.py"]
    assert {path.name for path in found} == {SOURCE.name, *PICTURE[1:]}
    for directory in found:
        body = ast.parse((directory / "__init__.py").read_bytes()).body
        version = directory == SOURCE
        assert [type(node) for node in body] == [ast.Expr] + [ast.Assign] * version, directory


def test_no_arrow_points_down() -> None:
    """Whoever reads the list from the top meets nothing that was not there before."""
    wrong = [
        f"{_name(file)} imports {name}"
        for file in MODULES
        for name in imported(file)
        if PICTURE.index(package_of(name)) > PICTURE.index(package_of(_name(file)))
    ]
    assert wrong == []


def test_no_modules_import_each_other() -> None:
    """Within a package, too, there is an order."""
    arrows = {_name(file): set(imported(file)) for file in MODULES}
    assert sum(map(len, arrows.values())) > len(MODULES)
    TopologicalSorter(arrows).prepare()


def test_the_map_shows_this_order() -> None:
    """`docs/architecture.md` lists the packages as they stand here."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.split("## packages/build")[1].split("\n### ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)) == PICTURE[1:]
