"""What is wrong in the `pyproject.toml` of a model package. `model_files` asks.

A build backend takes what it does not know for somebody else's, and tells of a wrong value in its
own words.
"""

import ast
import re
import sys
import tomllib
from functools import lru_cache
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from stevedore_build.workspace import OWN_PREFIX, Package
from stevedore_core.fields import VERSION, Fields, Grammar, normalise, quote
from stevedore_core.model_package import GROUP
from stevedore_core.spelling import closest, did_you_mean

__all__ = ["project_problems"]

_CORE: Final = f"{OWN_PREFIX}core"
_MINORS: Final = range(11, 30)
"""The minors of Python 3 that a composition may have, and a few more."""

_TEXT: Final = Grammar(pattern=re.compile(r".*", re.DOTALL), expected="a text")
_PYTHONS: Final = Grammar(
    pattern=_TEXT.pattern, expected="the versions of Python that will do, such as `>=3.11`"
)
_BACKEND: Final = Grammar(
    pattern=re.compile(r"hatchling\.build"), expected="`hatchling.build`, which builds our wheels"
)
_TEXTS: Final = ("classifiers", "dynamic", "keywords", "license-files")
_TABLES: Final = ("gui-scripts", "optional-dependencies", "scripts", "urls")
_ARRAYS_OF_TABLES: Final = ("authors", "maintainers")
_ELSEWHERE: Final = ("import-names", "import-namespaces", "license", "name", "readme")
"""Keys of `project` that are looked at by others, or may be of several types."""

_WHEEL: Final = ("hatch", "build", "targets", "wheel", "packages")
_NEIGHBOURS: Final = frozenset({"sdist", "version", "metadata", "envs", "hooks"})
"""Keys of hatch that are near to those above, and right."""


def project_problems(package: Package) -> list[str]:
    """Return all that is wrong, each with the file and the key."""
    file = package.directory / "pyproject.toml"
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    fields = Fields(table=document, file=file.name)
    _check_system(fields.within("build-system"))
    project = fields.within("project")
    _check_texts(project)
    _check_version(project)
    _check_python(project)
    _check_readme(project, package)
    _check_dependencies(project, package)
    _check_entry_points(project, package)
    project.close()
    _check_wheel(fields, package)
    fields.has("dependency-groups")
    fields.close()
    return [f"{file.name}: {problem}" for problem in fields.problems]


def _check_system(system: Fields) -> None:
    for key in ("requires", "backend-path"):  # the first was read when the package was found
        system.has(key)
    system.text("build-backend", _BACKEND)
    system.close()


def _check_texts(project: Fields) -> None:
    """Look at the keys that need no more than to be of their type."""
    for key in _ELSEWHERE:
        project.has(key)
    if project.has("description"):
        project.text("description", _TEXT)
    for key in _TEXTS:
        if project.has(key):
            project.texts(key, _TEXT)
    for key in _TABLES:
        project.within(key, required=False)
    for key in _ARRAYS_OF_TABLES:
        if project.has(key):
            project.each(key)
    found = project.raw("license")
    is_licence = isinstance(found, str) or (
        isinstance(found, dict) and bool(found.keys() & {"file", "text"})
    )
    if project.has("license") and not is_licence:
        project.note("license", f"expected a text, such as `MIT`, found {quote(found)}")


def _check_version(project: Fields) -> None:
    dynamic = project.raw("dynamic")
    if "version" not in (dynamic if isinstance(dynamic, list) else []):
        project.text("version", VERSION)


def _check_python(project: Fields) -> None:
    found = project.text("requires-python", _PYTHONS)
    wrong = f"expected {_PYTHONS.expected}, found {quote(found)}"
    try:
        versions = SpecifierSet(found)
    except InvalidSpecifier:
        project.note("requires-python", wrong)
        return
    if not any(versions.contains(f"3.{minor}.99") for minor in _MINORS):
        project.note(
            "requires-python", f"{wrong}, which no Python fits that a composition may have"
        )


def _check_readme(project: Fields, package: Package) -> None:
    readme = project.raw("readme")
    if "readme" not in project.table:
        return
    if isinstance(readme, dict) and readme.keys() & {"file", "text"}:
        return
    there = [path.name for path in package.directory.iterdir() if path.is_file()]
    if not isinstance(readme, str):
        project.note("readme", f"expected a file's name, found {quote(readme)}")
    elif "/" not in readme and readme not in there:
        project.note(
            "readme",
            f"expected a file beside it, found {quote(readme)}{did_you_mean(readme, there)}",
        )


def _check_dependencies(project: Fields, package: Package) -> None:
    names = {}
    for position, text in enumerate(project.texts("dependencies", _TEXT), start=1):
        key = f"dependencies[{position}]"
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            expected = "a distribution and its versions, such as `numpy>=2`"
            project.note(key, f"expected {expected}, found {quote(text)}")
            continue
        names[normalise(requirement.name)] = key
        if requirement.url is not None:
            project.note(
                key,
                f"expected a released version, as a lock holds versions and hashes, found the "
                f"address `{requirement.url}`",
            )
    if "dependencies" not in project.table:
        return
    imported = {normalise(name) for name in _imports(package)}
    for name in [_CORE, *sorted(imported - {*names, _CORE})]:
        meant = closest(name, set(names) - imported)
        if name not in names and meant is not None:
            why = "every model needs it" if name == _CORE else "the package imports it"
            project.note(
                names[meant], f"expected `{name}`, as {why}, found `{meant}`; did you mean that?"
            )


def _imports(package: Package) -> frozenset[str]:
    """Return the names of others that the package imports, wherever in its files."""
    own = {*sys.stdlib_module_names, package.import_name, "stevedore_core"}
    files = (package.directory / "src" / package.import_name).rglob("*.py")
    return frozenset(name for file in files for name in _imported(file.read_bytes())) - own


@lru_cache(maxsize=256)
def _imported(source: bytes) -> frozenset[str]:
    found = set()
    for node in ast.walk(_parsed(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [str(node.module)]
        found |= {name.partition(".")[0] for name in names}
    return frozenset(found)


def _parsed(source: bytes) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):  # its tests will tell
        return ast.Module(body=[], type_ignores=[])


def _check_entry_points(project: Fields, package: Package) -> None:
    groups = project.within("entry-points")
    key = f'"{GROUP}"'
    for group in groups.table:
        if group != GROUP and closest(group, [GROUP]):
            groups.note(f'"{group}"', f"unknown group; did you mean `{GROUP}`?")
            return
    entries = groups.raw(GROUP)
    if "entry-points" not in project.table:
        return
    if not isinstance(entries, dict):
        groups.note(key, f"expected a table with one entry, `{package.folder}`")
        return
    if list(entries) != [package.folder]:
        found = ", ".join(f"`{name}`" for name in sorted(entries)) or "none"
        groups.note(
            key,
            f"expected exactly one entry, `{package.folder}`, as the folder is named; "
            f"found {found}",
        )
        return
    value = entries[package.folder]
    if problem := _entry_problem(value, package):
        groups.note(f"{key}.{package.folder}", problem)


def _entry_problem(value: object, package: Package) -> str:
    """Say why an entry point does not lead to a function of the package; nothing if it does."""
    expected = f"a function of the package, such as `{package.import_name}:load`"
    module, separator, function = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not separator or not function:
        return f"expected {expected}, found {quote(value)}"
    source = package.directory / "src"
    places = {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (source / package.import_name).rglob("*.py")
    }
    if module not in places:
        return (
            f"expected {expected}, found {quote(value)}: there is no module `{module}`"
            f"{did_you_mean(module, places)}"
        )
    names = _names(places[module].read_bytes())
    if function in names or "*" in names or names <= {"__all__", "__version__"}:
        return ""
    return (
        f"expected {expected}, found {quote(value)}: `{module}` has no `{function}`"
        f"{did_you_mean(function, names)}"
    )


@lru_cache(maxsize=256)
def _names(source: bytes) -> frozenset[str]:
    """Return what a module defines or imports, `*` for whatever another has."""
    found = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return frozenset(found)


def _check_wheel(fields: Fields, package: Package) -> None:
    """Follow `tool.hatch.build.targets.wheel.packages`; on the way, find what is nearly it.

    Without it hatchling finds `src/<import name>` by itself.
    """
    table, expected = fields.within("tool", required=False), [f"src/{package.import_name}"]
    for key in _WHEEL:
        if key not in table.table:
            near = closest(key, [name for name in table.table if name not in _NEIGHBOURS])
            if near is not None:
                table.note(near, f"unknown key; did you mean `{key}`?")
            return
        if key != _WHEEL[-1]:
            table = table.within(key)
        elif (found := table.raw(key)) != expected:
            table.note(key, f"expected `{expected}`, found {quote(found)}")
