"""Mutants of our code: the source of a module with one small change, for every change there is.

What is no code is left alone: words for people, types, decorators, `assert`, which here tells the
type checker something, and `__all__`. `judging` shows the mutants to tests.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Final

__all__ = ["CodeMutant", "make_code_mutants"]

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
_NO_CODE: Final = {"annotation", "returns", "decorator_list", "type_params"}
_SHORTEST: Final = 16
"""A change of less text than this is shown with what is around it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeMutant:
    """One change: in which function, what stood there, and what stands there now."""

    where: str
    was: str
    now: str
    line: int
    code: CodeType

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from the others of its module, and outlives changes elsewhere."""
        return (self.where, self.was, self.now)


@dataclass(frozen=True, slots=True)
class _Place:
    """A node, what holds it, and the classes and functions around it."""

    node: ast.AST
    owner: ast.AST
    field: str
    number: int | None
    shown: ast.AST
    where: str

    def put(self, node: ast.AST) -> None:
        if self.number is None:
            setattr(self.owner, self.field, node)
        else:
            getattr(self.owner, self.field)[self.number] = node


def make_code_mutants(source: str, file: str) -> list[CodeMutant]:
    """Return every mutant of a module's source, in the order of its lines."""
    tree = ast.parse(source)
    seen: Counter[tuple[str, str, str]] = Counter()
    mutants = []
    for place in list(_places(tree, tree, "")):
        was = _text(place.shown)
        for changed in _changes(place):
            place.put(ast.fix_missing_locations(ast.copy_location(changed, place.node)))
            shown = changed if place.shown is place.node else place.shown
            key = (place.where, was, _text(shown))
            seen[key] += 1
            mutants.append(
                CodeMutant(
                    where=place.where,
                    was=was if seen[key] == 1 else f"{was} ({seen[key]})",
                    now=key[2],
                    line=getattr(place.node, "lineno", 0),
                    code=compile(tree, file, "exec"),
                )
            )
            place.put(place.node)
    return mutants


def _places(owner: ast.AST, shown: ast.AST, where: str) -> Iterator[_Place]:
    """Go through all code below a node."""
    for field, value in ast.iter_fields(owner):
        if field in _NO_CODE:
            continue
        for number, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or _is_no_code(node):
                continue
            mine = node if _is_shown_alone(node) else shown
            yield _Place(node, owner, field, number, mine, where)
            inner = where
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{where}.{node.name}".lstrip(".")
            yield from _places(node, mine, inner)


def _is_no_code(node: ast.AST) -> bool:
    match node:
        case ast.Assert() | ast.Expr(ast.Constant()):
            return True
        case ast.Assign([ast.Name("__all__")]):
            return True
        case ast.AnnAssign(annotation=ast.Name("TypeAlias")):
            return True
        case ast.Call(ast.Name("cast")):
            return True
    return False


def _is_shown_alone(node: ast.AST) -> bool:
    """Tell whether a node says enough of where it stands: a short one is shown with its parent."""
    if isinstance(node, ast.stmt | ast.match_case | ast.ExceptHandler | ast.comprehension):
        return True
    return isinstance(node, ast.expr) and len(_text(node)) >= _SHORTEST


def _text(node: ast.AST) -> str:
    """Return a node as it would be written; of a statement with a body the first line."""
    return next(line for line in ast.unparse(node).split("\n") if line[:1] not in {"", "@"}).strip()


def _changes(place: _Place) -> Iterator[ast.AST]:  # noqa: C901, PLR0912  # a case for each node
    """Return what may stand in a place instead."""
    node = place.node
    match node:
        case ast.Compare(left, operators, others):
            for number, operator in enumerate(operators):
                for other in _COMPARISONS[type(operator)]:
                    mixed = [*operators[:number], other(), *operators[number + 1 :]]
                    yield ast.Compare(left, mixed, others)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            yield ast.BinOp(left, _OPERATORS[type(operator)](), right)
        case ast.AugAssign(target, operator, value):
            yield ast.AugAssign(target, _OPERATORS[type(operator)](), value)
            yield ast.Pass()
        case ast.Constant(value):
            yield from (ast.Constant(other) for other in _other_values(value))
        case ast.Return(value) if value is not None and ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.Expr() | ast.Raise() | ast.Delete():
            yield ast.Pass()
        case ast.Assign(targets) if not all(isinstance(t, ast.Name | ast.Tuple) for t in targets):
            yield ast.Pass()
    # A comparison and a `not` are turned round above.
    is_test = place.field in {"test", "ifs", "guard"}
    turned = ast.Compare | ast.UnaryOp | ast.Constant
    if is_test and isinstance(node, ast.expr) and not isinstance(node, turned):
        yield ast.UnaryOp(ast.Not(), node)


def _other_values(value: object) -> Iterator[bool | float | str | bytes]:
    match value:
        case bool():
            yield not value
        case int():
            yield from (value + 1, value - 1)
        case float():
            yield value * 2 + 1
        case str():
            yield f"{value}X"
        case bytes():
            yield value + b"X"
