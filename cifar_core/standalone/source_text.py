"""Source text by the places that syntax trees name, and edits of it that keep comments and layout."""

import ast
import re
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Edit", "SourceText"]

Node = ast.expr | ast.stmt | ast.arg | ast.keyword | ast.pattern


class Edit(NamedTuple):
    """A replacement.

    Attributes:
        start: First byte that is replaced.
        end: The byte after the last one.
        text: What stands there instead.
    """

    start: int
    end: int
    text: str


class SourceText:
    """A text of Python in bytes, as syntax trees count columns in bytes.

    Args:
        text: The text.
    """

    def __init__(self, text: str) -> None:
        self._content = text.encode()
        self._lines = [0, *(match.end() for match in re.finditer(rb"\n", self._content))]

    def start(self, node: Node) -> int:
        """Return the place of a node's first byte."""
        return self._lines[node.lineno - 1] + node.col_offset

    def end(self, node: Node) -> int:
        """Return the place behind a node's last byte."""
        return self._lines[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)

    def of(self, node: Node) -> str:
        """Return a node's own text."""
        return self.between(self.start(node), self.end(node))

    def between(self, start: int, end: int) -> str:
        """Return the text between two places."""
        return self._content[start:end].decode()

    def lines_of(self, statements: list[ast.stmt], *, comments: bool) -> tuple[int, int]:
        """Return the first place and the place behind the last of the lines that hold some statements.

        Args:
            statements: Neighbours, in order.
            comments: Take comments directly above the first one too.
        """
        first = min(one.lineno for one in _with_decorators(statements[0])) - 1
        while comments and first and self._line(first - 1).lstrip().startswith(b"#"):
            first -= 1
        last = statements[-1].end_lineno or 0
        end = self._lines[last] if last < len(self._lines) else len(self._content)
        return self._lines[first], end

    def lines_at(self, start: int, end: int) -> tuple[int, int]:
        """Return the bounds of the whole lines that hold what is between two places."""
        first = self._content.rfind(b"\n", 0, start) + 1
        return first, self._content.index(b"\n", end) + 1

    def block(self, statements: list[ast.stmt], column: int) -> str:
        """Return the lines of some statements, moved so that they begin in this column."""
        start, end = self.lines_of(statements, comments=True)
        moved = statements[0].col_offset - column
        return "".join(
            line[moved:] if line[:moved].isspace() else line
            for line in self.between(start, end).splitlines(keepends=True)
        )

    def edited(self, edits: Iterable[Edit]) -> str:
        """Return the text with these edits; of two that overlap, the one that starts later is left out."""
        content, done, behind = self._content, b"", 0
        for edit in sorted(edits, key=lambda one: (one.start, -one.end)):
            if edit.start >= behind:
                done += content[behind : edit.start] + edit.text.encode()
                behind = edit.end
        return (done + content[behind:]).decode()

    def _line(self, index: int) -> bytes:
        return self._content[self._lines[index] : self._lines[index + 1]]


def _with_decorators(statement: ast.stmt) -> list[ast.stmt | ast.expr]:
    return [statement, *getattr(statement, "decorator_list", [])]
