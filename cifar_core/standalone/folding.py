"""A recipe's values put into source text, and what they decide decided (constant folding).

The text keeps its names, comments and layout: only fields of records become numbers, and only branches that
the recipe does not take disappear.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from pydantic import BaseModel

from cifar_core.standalone.linking import Piece, names_in, value_in
from cifar_core.standalone.source_text import Edit

__all__ = ["UNKNOWN", "folded", "known_inside", "value_of"]

UNKNOWN = object()
"""The value of what is known only when the program runs."""
Known = Mapping[str, object]

LITERALS = (bool, int, float, str, type(None))
CALCULATED = (
    ast.expr_context, ast.Constant, ast.Name, ast.Attribute, ast.Compare, ast.cmpop, ast.BoolOp, ast.boolop,
    ast.UnaryOp, ast.unaryop, ast.BinOp, ast.operator, ast.IfExp, ast.Tuple, ast.keyword,
)  # fmt: skip


def entries_of(piece: Piece) -> ast.Dict:
    """Return a definition's dictionary of functions; an empty one for other definitions."""
    match piece.tree:
        case ast.Assign(value=ast.Dict() as entries) | ast.AnnAssign(value=ast.Dict() as entries):
            if all(isinstance(one, ast.Name) for one in entries.values):
                return entries
    return ast.Dict([], [])


def is_record(value: object) -> bool:
    """Return whether a value has fields that are put in one by one, and is not put in itself."""
    return isinstance(value, BaseModel) or hasattr(value, "_fields")


def is_plain(value: object) -> bool:
    """Return whether a value can be written down."""
    if type(value) is tuple:
        return all(is_plain(one) for one in value)
    return isinstance(value, LITERALS)


def value_of(node: ast.expr, known: Known) -> object:
    """Calculate an expression of known names, or return `UNKNOWN`."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            kind = known.get(part.func.id) if isinstance(part.func, ast.Name) else None
            if not (isinstance(kind, type) and hasattr(kind, "_fields")):
                return UNKNOWN
        elif not isinstance(part, CALCULATED) or (
            isinstance(part, ast.Name) and part.id not in known
        ):
            return UNKNOWN
    try:
        code = compile(ast.Expression(node), "<expression>", "eval")
        return eval(code, {"__builtins__": {}}, dict(known))  # noqa: S307 - the project's own source
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        return UNKNOWN


def known_inside(piece: Piece, parameters: Known) -> dict[str, object]:
    """Return what is known inside of a function or of a class's `__init__`.

    Args:
        piece: The definition.
        parameters: The known values of its parameters.

    Returns:
        Values by name: parameters, local names that are set once, and the module's records and numbers.
    """
    inside = _inside(piece)
    known = inside.constants | {
        name: value for name, value in parameters.items() if not inside.stored[name]
    }
    for name, value in inside.assigned:
        found = value_of(value, known)
        if found is not UNKNOWN:
            known[name] = found
    return known


class _Inside(NamedTuple):
    """The names that a definition's function uses.

    Attributes:
        stored: How often each is set.
        constants: The module's numbers, texts and kinds of records among them.
        assigned: Local names that are set once, and to what.
    """

    stored: Counter[str]
    constants: dict[str, object]
    assigned: list[tuple[str, ast.expr]]


@lru_cache(maxsize=10_000)
def _inside(piece: Piece) -> _Inside:
    function = function_of(piece)
    if function is None:
        return _Inside(Counter(), {}, [])
    nodes = list(ast.walk(function))
    stored = Counter(
        one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
    )
    arguments = {one.arg for one in nodes if isinstance(one, ast.arg)}
    constants: dict[str, object] = {}
    for name in names_in(function) - stored.keys() - arguments:
        value = value_in(name, piece.module)
        if isinstance(value, LITERALS[:-1]) or (isinstance(value, type) and is_record(value)):
            constants[name] = value
    pairs = [
        (target.id, value)
        for node in nodes
        for target, value in assigned(node)
        if stored[target.id] == 1 and target.id not in arguments
    ]
    return _Inside(stored, constants, pairs)


def function_of(piece: Piece) -> ast.FunctionDef | None:
    """Return the function that is run when a piece is called, if it has one of its own."""
    if isinstance(piece.tree, ast.FunctionDef):
        return piece.tree
    body = piece.tree.body if isinstance(piece.tree, ast.ClassDef) else []
    return next(
        (one for one in body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None
    )


def assigned(statement: ast.AST) -> Iterator[tuple[ast.Name, ast.expr]]:
    """Yield what an assignment gives to which names, each by itself."""
    match statement:
        case ast.Assign(targets=[ast.Name() as target], value=value):
            yield target, value
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            for one, its in zip(targets, values, strict=True):
                if isinstance(one, ast.Name):
                    yield one, its


def folded(piece: Piece, known: Known, tables: Mapping[str, Piece]) -> Piece:
    """Return a piece with what is known put in.

    Args:
        piece: The definition.
        known: Values of names, inside of its function.
        tables: The program's tables of functions, by name: a look-up by a known key is replaced by the
            function that is there.
    """
    function = function_of(piece)
    if function is None:
        return piece
    used = {tables[name].module for name in names_in(function) & tables.keys()}
    text = piece.text.edited(_Fold(piece, known, tables).inside(function.body))
    return piece.changed(text, also=used)


class _Fold:
    """Finds what can be replaced; what is in a replacement is left for the next time."""

    def __init__(self, piece: Piece, known: Known, tables: Mapping[str, Piece]) -> None:
        self._text = piece.text
        self._known = known
        self._tables = tables

    def inside(self, statements: list[ast.stmt]) -> Iterator[Edit]:
        """Yield the edits of a block."""
        for index, one in enumerate(statements):
            if isinstance(one, ast.Return | ast.Raise) and statements[index + 1 :]:
                start, end = self._text.lines_of(statements[index + 1 :], comments=True)
                yield Edit(start, end, "")
                statements = statements[: index + 1]
                break
        for one in statements:
            yield from self._statement(one, alone=len(statements) == 1)

    def _statement(self, node: ast.stmt, *, alone: bool) -> Iterator[Edit]:
        taken: list[ast.stmt] | None = None
        match node:
            case ast.If():
                value = value_of(node.test, self._known)
                if value is not UNKNOWN and not self._text.of(node).startswith("elif"):
                    taken = node.body if value else node.orelse
            case ast.Match():
                subject = value_of(node.subject, self._known)
                if subject is not UNKNOWN:
                    taken = next(one.body for one in node.cases if _fits(one.pattern, subject))
            case ast.Assert():
                taken = []  # what they assert is for the type checker
        if taken is None:
            yield from self._children(node)
            return
        start, end = self._text.lines_of([node], comments=not taken)
        column = node.col_offset
        if not taken:
            yield Edit(start, end, f"{' ' * column}pass\n" if alone else "")
        elif isinstance(node, ast.If) and taken is node.orelse and len(taken) == 1:
            block = self._text.block(taken, column)
            yield Edit(start, end, block.replace(" elif ", " if ", 1) if "elif" in block else block)
        else:
            yield Edit(start, end, self._text.block(taken, column))

    def _children(self, node: ast.AST) -> Iterator[Edit]:
        for name, value in ast.iter_fields(node):
            if name in {"annotation", "returns", "decorator_list"}:
                continue
            values = value if isinstance(value, list) else [value]
            statements = [one for one in values if isinstance(one, ast.stmt)]
            if statements:
                yield from self.inside(statements)
            for one in values:
                if isinstance(one, ast.expr):
                    yield from self._expression(one)
                elif isinstance(one, ast.AST) and not isinstance(one, ast.stmt):
                    yield from self._children(one)
        if isinstance(node, ast.Call):
            yield from self._spliced(node.args)
        elif isinstance(node, ast.List):
            yield from self._spliced(node.elts)

    def _expression(self, node: ast.expr) -> Iterator[Edit]:
        text = self._replacement(node)
        if text is not None:
            yield Edit(self._text.start(node), self._text.end(node), text)
        elif isinstance(node, ast.Name | ast.Attribute) or not isinstance(node, ast.Constant):
            yield from self._children(node)

    def _replacement(self, node: ast.expr) -> str | None:
        match node:
            case ast.IfExp():
                value = value_of(node.test, self._known)
                if value is not UNKNOWN:
                    return self._text.of(node.body if value else node.orelse)
            case ast.BoolOp():
                return self._decided(node)
            case ast.Subscript(value=ast.Name(id=name)) if name in self._tables:
                return self._looked_up(name, value_of(node.slice, self._known))
            case ast.Name(id=name) if name in self._known and self._known[name] is None:
                return "None"
            case ast.Tuple():
                return None  # its parts, one by one
        value = value_of(node, self._known)
        if value is UNKNOWN or not self._has_records(node):
            return None
        return repr(value) if is_plain(value) else None

    def _has_records(self, node: ast.expr) -> bool:
        return any(is_record(self._known.get(one)) for one in names_in(node))

    def _looked_up(self, table: str, key: object) -> str | None:
        entries = entries_of(self._tables[table])
        for one, value in zip(entries.keys, entries.values, strict=True):
            if isinstance(one, ast.Constant) and one.value == key:
                return ast.unparse(value)
        return None

    def _decided(self, node: ast.BoolOp) -> str | None:
        """Return `and` and `or` without what is known of them."""
        ends = isinstance(node.op, ast.Or)  # a part of this value decides it all
        parts = []
        for one in node.values:
            value = value_of(one, self._known)
            if value is UNKNOWN:
                parts.append(self._text.of(one))
            elif bool(value) is ends:
                return repr(ends)
        if len(parts) == len(node.values):
            return None
        return (" or " if ends else " and ").join(parts) or repr(not ends)

    def _spliced(self, values: list[ast.expr]) -> Iterator[Edit]:
        """Yield the edit that puts the elements of a list ``*[...]`` in its place, or takes it out."""
        for index, one in enumerate(values):
            if isinstance(one, ast.Starred) and isinstance(one.value, ast.List):
                start, end = self._text.start(one), self._text.end(one)
                if one.value.elts:
                    inner = self._text.between(
                        self._text.start(one.value.elts[0]), self._text.end(one.value.elts[-1])
                    )
                    yield Edit(start, end, inner)
                elif index + 1 < len(values):
                    yield Edit(start, self._text.start(values[index + 1]), "")
                elif index:
                    yield Edit(self._text.end(values[index - 1]), end, "")


def _fits(pattern: ast.pattern, subject: object) -> bool:
    match pattern:
        case ast.MatchClass(cls=ast.Name(id=name)):
            return type(subject).__name__ == name
        case ast.MatchOr(patterns=patterns):
            return any(_fits(one, subject) for one in patterns)
    return True
