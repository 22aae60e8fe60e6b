"""Definitions in the project's own modules, found by name: what a program is put together from."""

import ast
import importlib
import inspect
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from types import ModuleType

from pydantic import BaseModel

from cifar_core.standalone.source_text import SourceText

__all__ = ["Piece", "linked", "names_in", "rank_of", "value_in"]

OWN = "cifar_core."
RECORDS = {"cifar_core.recipe", "cifar_core.records", "cifar_core.networks"}
"""Modules of records: no program needs one, as the recipe's values are put in."""


@dataclass(frozen=True)
class Piece:
    """A top-level definition: a function, a class, or a constant with its docstring.

    Attributes:
        module: The module that it is from.
        position: Its place there.
        names: What it defines: one name, or several constants.
        source: Its text, with the comments above it.
        also: Further modules whose names it has.
    """

    module: str
    position: int
    names: tuple[str, ...]
    source: str = field(repr=False)
    also: frozenset[str] = frozenset()

    @cached_property
    def tree(self) -> ast.stmt:
        """The syntax tree."""
        return ast.parse(self.source).body[0]

    @cached_property
    def text(self) -> SourceText:
        """The text, by the tree's places."""
        return SourceText(self.source)

    @cached_property
    def reads(self) -> frozenset[str]:
        """The names that it reads."""
        return frozenset(names_in(self.tree))

    def changed(self, source: str, also: Collection[str] = ()) -> "Piece":
        """Return the same piece with another text, which may have names of these modules."""
        return _first_of(replace(self, source=source, also=self.also.union(also)))

    def meaning(self, name: str) -> "Piece | str | None":
        """Return what a name means here; see `linked`."""
        found = (linked(name, module) for module in (self.module, *sorted(self.also)))
        return next((one for one in found if one is not None), None)


@lru_cache(maxsize=10_000)
def _first_of(piece: Piece) -> Piece:
    """Return the first piece that equals this one, which may have its syntax tree already."""
    return piece


@dataclass(frozen=True)
class _Contents:
    """The contents of a module at its top level.

    Attributes:
        module: The module.
        pieces: Its definitions, by name.
        own: Names that it imports from the project, with their modules.
        foreign: Names that it imports from elsewhere, with the lines that do.
    """

    module: ModuleType
    pieces: dict[str, Piece]
    own: dict[str, str]
    foreign: dict[str, str]


def linked(name: str, module: str) -> Piece | str | None:
    """Find what a name means in a module.

    Returns:
        Its definition, in whichever module it is; or the line that imports it from elsewhere; or None for a
        builtin, a record, or a name that is no global one.
    """
    contents = _contents(module)
    if name in contents.own:
        return linked(name, contents.own[name])
    found = getattr(contents.module, name, None)
    if module in RECORDS or (inspect.isclass(found) and issubclass(found, BaseModel)):
        return None
    return contents.pieces.get(name) or contents.foreign.get(name)


def value_in(name: str, module: str) -> object:
    """Return what a name stands for in a module, wherever that imports it from; None for no global name."""
    return getattr(_contents(module).module, name, None)


def rank_of(module: str, root: str) -> int:
    """Return the place of a module among those that `root` needs: behind all that it imports itself."""
    return _order(root).index(module)


def names_in(node: ast.AST) -> set[str]:
    """Return the names that are read in a piece of a syntax tree."""
    return {
        one.id
        for one in ast.walk(node)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
    }


@cache
def _contents(name: str) -> _Contents:
    module = importlib.import_module(name)
    source = inspect.getsource(module)
    text = SourceText(source)
    contents = _Contents(module, {}, {}, {})
    body = ast.parse(source).body
    for position, statement in enumerate(body):
        names = _defined(statement)
        if names:
            run = [statement]
            if isinstance(statement, ast.Assign | ast.AnnAssign) and body[position + 1 :]:
                run += [one for one in body[position + 1 : position + 2] if _is_text(one)]
            piece = Piece(name, position, names, text.between(*text.lines_of(run, comments=True)))
            contents.pieces.update(dict.fromkeys(names, piece))
        # Imports for annotations stand below `if TYPE_CHECKING`.
        for one in ast.walk(statement):
            if isinstance(one, ast.ImportFrom) and (one.module or "").startswith(OWN):
                contents.own.update({alias.name: one.module or "" for alias in one.names})
            elif isinstance(one, ast.ImportFrom):
                for alias in one.names:
                    line = f"from {one.module} import {ast.unparse(alias)}"
                    contents.foreign[alias.asname or alias.name] = line
            elif isinstance(one, ast.Import):
                for alias in one.names:
                    contents.foreign[alias.asname or alias.name] = f"import {ast.unparse(alias)}"
    return contents


def _defined(statement: ast.stmt) -> tuple[str, ...]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return () if name == "__all__" else (name,)
        case ast.Assign(targets=[ast.Tuple(elts=parts)]):
            return tuple(one.id for one in parts if isinstance(one, ast.Name))
    return ()


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@cache
def _order(root: str) -> tuple[str, ...]:
    found: list[str] = []

    def visit(module: str) -> None:
        for other in dict.fromkeys(_contents(module).own.values()):
            if other not in found:
                visit(other)
        if module not in found:
            found.append(module)

    visit(root)
    return tuple(found)
