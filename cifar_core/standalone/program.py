"""The text of a program that trains one recipe, written from the project's own source."""

import re
import sys

from cifar_core.recipe import Recipe
from cifar_core.standalone.docstrings import with_fitting_docstrings
from cifar_core.standalone.folding import entries_of, folded, is_record, known_inside
from cifar_core.standalone.linking import Piece, linked, rank_of
from cifar_core.standalone.pruning import MAIN, Calls, pruned
from cifar_core.standalone.training import Facts

__all__ = ["standalone_program"]

ROOT = f"{__package__}.training"
AT_THE_END = f"{__package__}.held_out"
"""A long table, which nobody reads."""
LINE = 100
BROKEN = re.compile(
    r"^(?P<head>(?P<indent> *)[^#\n]*[(\[])\n(?P<inside> +[^#\n]*[^,\n])\n(?P<tail>(?P=indent)[)\]].*)$",
    re.MULTILINE,
)
"""Brackets whose content is on a line of its own."""
FOR_TOOLS = re.compile(r"  # (noqa|type: ignore).*|, generator=None")


def standalone_program(recipe: Recipe, facts: Facts, title: str) -> str:
    """Write a program that trains a recipe, and needs PyTorch and Python's standard library alone.

    Args:
        recipe: The recipe. All its values are in the program, and nothing of what it does not use.
        facts: What else decides the training.
        title: The program's docstring: what it is and how it is used.

    Returns:
        The text of the program. It has the names of the modules that it was put together from.
    """
    found = linked(MAIN, ROOT)
    assert isinstance(found, Piece)  # noqa: S101 - for the type checker
    pieces, folding = [found], _Folding({"recipe": recipe, "facts": facts})
    # Records first, which lead to the definitions that are needed: what else is known, all calls tell.
    while True:
        again = _reached(folding.of(pieces, records_alone=True))
        more = [] if again != pieces else _missing(again)
        if again == pieces and not more:
            break
        pieces = again + more
    while (again := _reached(pruned(folding.of(pieces, records_alone=False)))) != pieces:
        pieces = again
    return _assembled(pieces, title)


class _Folding:
    """Folds a program again and again; what would not change is left as it is.

    Args:
        given: What `main` is given.
    """

    def __init__(self, given: dict[str, object]) -> None:
        self._given = given
        self._settled: dict[Piece, dict[str, object]] = {}

    def of(self, pieces: list[Piece], *, records_alone: bool) -> list[Piece]:
        """Return the program with what is known put in.

        Args:
            pieces: The program.
            records_alone: Take no other value of a parameter for known: calls may be missing yet.
        """
        calls = Calls(pieces)
        tables = {name: piece for piece in pieces if entries_of(piece).keys for name in piece.names}
        values: dict[Piece, dict[str, object]] = {}
        known: dict[Piece, dict[str, object]] = {piece: {} for piece in pieces}
        while True:
            again = {}
            for piece in pieces:
                given = calls.values(piece, known)
                if records_alone:
                    given = {name: value for name, value in given.items() if is_record(value)}
                again[piece] = given | (self._given if MAIN in piece.names else {})
            if again == values:
                break
            for piece in pieces:
                if again[piece] != values.get(piece):
                    known[piece] = known_inside(piece, again[piece])
            values = again
        found = []
        for piece in pieces:
            if tables.keys().isdisjoint(piece.reads) and self._settled.get(piece) == known[piece]:
                found.append(piece)
                continue
            found.append(folded(piece, known[piece], tables))
            if found[-1] == piece:
                self._settled[piece] = known[piece]
        return found


def _missing(pieces: list[Piece]) -> list[Piece]:
    """Return the definitions that these name and do not have."""
    have = {name: piece for piece in pieces for name in piece.names}
    found: dict[str, Piece] = {}
    for piece in pieces:
        for name in sorted(piece.reads):
            other = piece.meaning(name)
            if not isinstance(other, Piece):
                continue
            before = have.get(name) or found.get(name)
            if before is None:
                found[name] = other
            elif (before.module, before.position) != (other.module, other.position) and (
                before.source.strip() != other.source.strip()
            ):
                raise RuntimeError(
                    f"{name} is one thing in {before.module} and another in {other.module}: a program has "
                    "one name for one thing, so rename one of the two."
                )
    return list(dict.fromkeys(found.values()))


def _reached(pieces: list[Piece]) -> list[Piece]:
    """Return what the program comes to from `main`."""
    have = {name: piece for piece in pieces for name in piece.names}
    names, ahead = {MAIN}, [MAIN]
    while ahead:
        for name in have[ahead.pop()].reads & have.keys() - names:
            names.add(name)
            ahead.append(name)
    return [piece for piece in pieces if names.intersection(piece.names)]


def _assembled(pieces: list[Piece], title: str) -> str:
    imports = {
        line
        for piece in pieces
        for name in piece.reads
        if isinstance(line := piece.meaning(name), str)
    }
    pieces = sorted(
        pieces,
        key=lambda one: (one.module == AT_THE_END, rank_of(one.module, ROOT), one.position),
    )
    blocks = [
        f'"""{title.rstrip()}\n"""',
        _import_lines(imports),
        *(with_fitting_docstrings(one.source) for one in pieces),
        'if __name__ == "__main__":\n    main()',
    ]
    text = blocks[0] + "\n\n" + blocks[1]
    before = ""
    for block in blocks[2:]:
        block = block.strip("\n")
        small = not re.match(r"(@|def|class|if)\b|@", block)
        text += ("\n" if small and before == "small" else "\n\n\n") + block
        before = "small" if small else "large"
    return _joined(FOR_TOOLS.sub("", text)) + "\n"


def _joined(text: str) -> str:
    """Put brackets that fit into a line on one, as a formatter does."""
    return BROKEN.sub(_one_line, text)


def _one_line(found: re.Match[str]) -> str:
    line = f"{found['head']}{found['inside'].strip()}{found['tail'].strip()}"
    return line if len(line) <= LINE else found[0]


def _import_lines(imports: set[str]) -> str:
    """Sort imports, Python's own first, and join those from one module."""
    modules: dict[str, list[str]] = {}
    for line in sorted(imports):
        head, _, names = line.partition(" import ")
        modules.setdefault(head if names else line, []).extend([names] if names else [])
    lines = [
        f"{head} import {', '.join(sorted(names, key=str.lower))}" if names else head
        for head, names in modules.items()
    ]
    own = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    return "\n".join(
        [
            "from __future__ import annotations\n",
            *sorted(own, key=_plain_first),
            "",
            *sorted(set(lines) - set(own), key=_plain_first),
        ]
    )


def _plain_first(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line.split()[1]
