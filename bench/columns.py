"""Tables of plain text."""

from collections.abc import Sequence

__all__ = ["in_columns"]


def in_columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A head and rows of as many cells, the first column flush left and the others flush right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
