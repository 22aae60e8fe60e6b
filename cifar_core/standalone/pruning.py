"""Removal of what a program no longer uses once a recipe's values are in it: parameters, names, fields."""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from cifar_core.standalone.folding import UNKNOWN, assigned, entries_of, function_of, value_of
from cifar_core.standalone.linking import Piece, names_in
from cifar_core.standalone.source_text import Edit, SourceText

__all__ = ["MAIN", "Calls", "pruned"]

Known = Mapping[str, object]

MAIN = "main"
"""The function that the program is run by."""
USED_BY_OTHERS = {"forward", "find_class"}
"""Methods that PyTorch and Python call by themselves."""
RESUMING = {"state_dict", "load_state_dict"}
"""Methods by which an interrupted training goes on, which is not what a program can do."""


class Calls:
    """All calls of a program's definitions by their names.

    Args:
        pieces: The program.
    """

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._calls: dict[str, list[tuple[Piece, ast.Call]]] = {}
        mentions: Counter[str] = Counter()
        for piece in pieces:
            calls, mentioned = _calls_in(piece)
            mentions += mentioned
            for call in calls:
                self._calls.setdefault(call.func.id, []).append((piece, call))  # type: ignore[attr-defined]
        # What is handed on as a value may be called in any way.
        self._open = {name for name, count in mentions.items() if count > len(self.of(name))} | {
            name
            for name, calls in self._calls.items()
            if any(_has_stars(call) for _, call in calls)
        }

    def of(self, name: str) -> list[tuple[Piece, ast.Call]]:
        """Return the calls of a definition, each with the piece that it is in."""
        return self._calls.get(name, [])

    def are_all_known(self, name: str) -> bool:
        """Return whether a definition is only ever called, and nothing else is done with it."""
        return name not in self._open and (name in self._calls or name == MAIN)

    def values(self, piece: Piece, known: Mapping[Piece, Known]) -> dict[str, object]:
        """Return the parameters of a definition that have the same known value in all calls.

        Args:
            piece: The definition.
            known: What is known inside of each piece.
        """
        function = function_of(piece)
        (name, *_) = piece.names
        if function is None or not self.are_all_known(name) or not self.of(name):
            return {}
        found: dict[str, object] = {}
        for index, parameter in enumerate(parameters_of(function)):
            given = [
                _given(call, function, index, parameter.arg, known[caller])
                for caller, call in self.of(name)
            ]
            first = given[0]
            if first is not UNKNOWN and all(
                one is not UNKNOWN and type(one) is type(first) and one == first for one in given
            ):
                found[parameter.arg] = first
        return found


@lru_cache(maxsize=10_000)
def _calls_in(piece: Piece) -> tuple[list[ast.Call], Counter[str]]:
    """Return the calls of plain names in a definition, and how often it reads which name."""
    nodes = list(_without_annotations(piece.tree))
    calls = [one for one in nodes if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)]
    return calls, Counter(
        one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
    )


def pruned(pieces: list[Piece]) -> list[Piece]:
    """Return a program without what it has no use for; nothing changes if all of it has one."""
    calls = Calls(pieces)
    edits: dict[Piece, list[Edit]] = {piece: [] for piece in pieces}
    words = Counter(word for piece in pieces for word in _words_in(piece))
    mentioned = {name for piece in pieces for name in _mentioned_in(piece)}
    for piece in pieces:
        edits[piece] += _unused_locals(piece)
        edits[piece] += _unused_members(piece, mentioned)
        edits[piece] += _unused_entries(piece, words)
    # Parameters by themselves: none of the edits of their calls must be lost inside of a larger one.
    for piece in [] if any(edits.values()) else pieces:
        if (function := function_of(piece)) is not None and calls.are_all_known(piece.names[0]):
            for place, edit in _unused_parameter(piece, function, calls):
                edits[place].append(edit)
    return [piece.changed(piece.text.edited(edits[piece])) for piece in pieces]


def parameters_of(function: ast.FunctionDef) -> list[ast.arg]:
    """Return a function's parameters without `self`, in order."""
    every = [*function.args.args, *function.args.kwonlyargs]
    return [one for one in every if one.arg != "self"]


def _given(
    call: ast.Call, function: ast.FunctionDef, index: int, name: str, known: Known
) -> object:
    """Return the known value of one argument of a call, or `UNKNOWN`."""
    node = argument_of(call, index, name)
    if node is None:
        node = _defaults(function).get(name)
    return UNKNOWN if node is None else value_of(node, known)


def argument_of(call: ast.Call, index: int, name: str) -> ast.expr | None:
    """Return the argument of a call for a parameter, or None if it is left to its default."""
    if index < len(call.args):
        return call.args[index]
    return next((one.value for one in call.keywords if one.arg == name), None)


def _defaults(function: ast.FunctionDef) -> dict[str, ast.expr]:
    own, last = function.args.args, function.args.defaults
    found = {one.arg: value for one, value in zip(own[len(own) - len(last) :], last, strict=True)}
    for one, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if value is not None:
            found[one.arg] = value
    return found


def _unused_parameter(
    piece: Piece, function: ast.FunctionDef, calls: Calls
) -> Iterator[tuple[Piece, Edit]]:
    """Yield the edits that take one unused parameter out of a function and of all its calls."""
    used = {name for statement in function.body for name in names_in(statement)} | {"self"}
    every, defaults = [*function.args.args, *function.args.kwonlyargs], _defaults(function)
    unused = next((index for index, one in enumerate(every) if one.arg not in used), None)
    if unused is None:
        return
    text, name = piece.text, every[unused].arg
    spans = [(text.start(one), text.end(defaults.get(one.arg, one))) for one in every]
    star = len(function.args.args) if function.args.kwonlyargs else 0
    yield piece, _taken_out(spans, unused, star=star)
    unused -= every[0].arg == "self"
    for place, call in calls.of(piece.names[0]):
        arguments = [*call.args, *(one.value for one in call.keywords)]
        given = argument_of(call, unused, name)
        if given is not None:
            spans = [(place.text.start(one), place.text.end(one)) for one in call.args]
            spans += [(place.text.start(one), place.text.end(one)) for one in call.keywords]
            index = next(index for index, one in enumerate(arguments) if one is given)
            yield place, _taken_out(spans, index, star=0)


def _taken_out(spans: list[tuple[int, int]], index: int, *, star: int) -> Edit:
    """Return the edit that takes one of several arguments, and a comma, out.

    Args:
        spans: The places of all of them.
        index: Which one.
        star: Number of arguments before a star that must stay, if arguments follow it; 0 for none.
    """
    start, end = spans[index]
    if index + 1 < len(spans) and index + 1 != star:
        return Edit(start, spans[index + 1][0], "")
    if index:
        return Edit(spans[index - 1][1], end, "")
    return Edit(start, end + len(", ") if star and len(spans) > 1 else end, "")


@lru_cache(maxsize=10_000)
def _unused_locals(piece: Piece) -> list[Edit]:
    functions = (one for one in ast.walk(piece.tree) if isinstance(one, ast.FunctionDef))
    return [edit for one in functions for edit in _unused_in(piece.text, one)]


def _unused_in(text: SourceText, function: ast.FunctionDef) -> Iterator[Edit]:
    """Yield the edits that take out names that nothing reads, where nothing is done to set them."""
    read = Counter(
        one.id
        for one in ast.walk(function)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
    )
    for statement in ast.walk(function):
        pairs = list(assigned(statement))
        useless = [
            (target, value)
            for target, value in pairs
            if not read[target.id] and not any(isinstance(one, ast.Call) for one in ast.walk(value))
        ]
        if not useless or not isinstance(statement, ast.Assign):
            continue
        if len(useless) == len(pairs):
            yield Edit(*text.lines_of([statement], comments=True), "")
            continue
        kept = [pair for pair in pairs if pair not in useless]
        targets = ", ".join(target.id for target, _ in kept)
        values = ", ".join(text.of(value) for _, value in kept)
        yield Edit(text.start(statement), text.end(statement), f"{targets} = {values}")


def _unused_members(piece: Piece, mentioned: set[str]) -> Iterator[Edit]:
    """Yield the edits that take out methods, and fields with defaults, that nothing mentions."""
    if not isinstance(piece.tree, ast.ClassDef):
        return
    for one in piece.tree.body:
        match one:
            case ast.FunctionDef(name=name) if not name.startswith("__"):
                useless = name not in (mentioned - RESUMING) | USED_BY_OTHERS
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                useless = name not in mentioned
            case _:
                useless = False
        if useless:
            yield Edit(*piece.text.lines_of([one], comments=True), "")


def _unused_entries(piece: Piece, words: Counter[str]) -> Iterator[Edit]:
    """Yield the edits that take a function out of a table, if nothing else has its key as a text."""
    table = entries_of(piece)
    for one, value in zip(table.keys, table.values, strict=True):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and words[one.value] == 1:
            lines = piece.text.lines_at(piece.text.start(one), piece.text.end(value))
            yield Edit(*lines, "")


@lru_cache(maxsize=10_000)
def _mentioned_in(piece: Piece) -> set[str]:
    """Return the names of attributes and keywords in a definition."""
    nodes = list(ast.walk(piece.tree))
    return {one.attr for one in nodes if isinstance(one, ast.Attribute)} | {
        one.arg for one in nodes if isinstance(one, ast.keyword) and one.arg
    }


@lru_cache(maxsize=10_000)
def _words_in(piece: Piece) -> list[str]:
    """Return the texts in a definition."""
    constants = (one.value for one in ast.walk(piece.tree) if isinstance(one, ast.Constant))
    return [one for one in constants if isinstance(one, str)]


def _has_stars(call: ast.Call) -> bool:
    return any(isinstance(one, ast.Starred) for one in call.args) or any(
        one.arg is None for one in call.keywords
    )


def _without_annotations(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, value in ast.iter_fields(node):
        if name not in {"annotation", "returns"}:
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, ast.AST):
                    yield from _without_annotations(one)
