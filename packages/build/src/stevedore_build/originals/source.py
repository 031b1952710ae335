"""What a class in an original-style `model.py` consists of, without what trains its model.

`package` copies it: the class, and of its module whatever it refers to, in the order it stands
there. The import of `Predictor` becomes ours.
"""

import ast
import symtable
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from stevedore_build.errors import OriginalRefused

__all__ = ["ClassSource", "class_source"]

_OURS = "from stevedore_core.predictor import Predictor"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassSource:
    """The text of a class and of what it refers to, and the modules that it imports, top level."""

    text: str
    modules: tuple[str, ...]


def class_source(text: str, name: str, *, file: str) -> ClassSource:
    """Return the source of one class. Raises `OriginalRefused` for what training leaves behind."""
    tree = ast.parse(text)
    bound = {found: node for node in tree.body for found in _bound(node)}
    if not isinstance(bound.get(name), ast.ClassDef):
        raise OriginalRefused(
            f"{file}: expected `class {name}` at the top level of the file, found none"
        )
    needed: dict[ast.stmt, set[str]] = {}
    waiting = [name]
    while waiting:
        asked = waiting.pop()
        node = bound[asked]
        if asked in needed.setdefault(node, set()):
            continue
        needed[node].add(asked)
        _refuse_computed(asked, node, name, file)
        waiting += sorted(_used(node) & bound.keys())
    kept = [node for node in tree.body if node in needed]
    blocks = list(filter(None, (_written(node, needed[node], text) for node in kept)))
    imports = [block for block in blocks if block.startswith(("import ", "from "))]
    others = [block for block in blocks if block not in imports]
    return ClassSource(
        text="\n".join([*imports, _OURS, "", "", "\n\n\n".join(others)]) + "\n",
        modules=tuple(sorted(_modules(kept, needed))),
    )


def _bound(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement at the top level gives a meaning."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.split(".")[0]
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    else:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                yield inner.id


def _used(node: ast.stmt) -> set[str]:
    """Return the names that a statement takes from the top level: a method's own are not among."""
    return set(_global_names(symtable.symtable(ast.unparse(node), "original", "exec")))


def _global_names(table: symtable.SymbolTable) -> Iterator[str]:
    at_top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() if at_top else symbol.is_global():
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _global_names(inner)


def _refuse_computed(name: str, node: ast.stmt, owner: str, file: str) -> None:
    """Refuse a value that only running the file gives: it would be gone, or trained anew."""
    whole = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if isinstance(node, whole):
        return
    if isinstance(node, ast.Assign | ast.AnnAssign):
        computed = (ast.Call, ast.Await, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
        if not any(isinstance(inner, computed) for inner in ast.walk(node)):
            return
    raise OriginalRefused(
        f"{file}, line {node.lineno}: `{owner}` uses `{name}`, which is computed there when the "
        "file runs; keep it in the `model` that is given to the class, or write it as a literal"
    )


def _written(node: ast.stmt, names: set[str], text: str) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        aliases = [a for a in node.names if (a.asname or a.name.split(".")[0]) in names]
        if _is_predictor(node):
            return (
                "" if isinstance(node, ast.ImportFrom) else "from stevedore_core import predictor"
            )
        module = getattr(node, "module", None)
        copy = ast.ImportFrom(module, aliases, 0) if module else ast.Import(aliases)
        return ast.unparse(copy)
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _is_predictor(node: ast.stmt) -> bool:
    """Tell whether a statement imports the original's `predictor`, or `Predictor` from it."""
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[-1] == "predictor"
    return isinstance(node, ast.Import) and [a.name for a in node.names] == ["predictor"]


def _modules(kept: Iterable[ast.stmt], needed: Mapping[ast.stmt, set[str]]) -> set[str]:
    found = set()
    for top in kept:
        for node in ast.walk(top):
            if isinstance(node, ast.ImportFrom) and not _is_predictor(node):
                found.add("." if node.level else (node.module or "").split(".")[0])
            elif isinstance(node, ast.Import) and not _is_predictor(node):
                names = needed[top] if node is top else None
                found |= {
                    alias.name.split(".")[0]
                    for alias in node.names
                    if names is None or (alias.asname or alias.name.split(".")[0]) in names
                }
    return found - sys.stdlib_module_names
