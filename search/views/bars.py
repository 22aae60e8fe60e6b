"""Bars of progress in the terminal."""

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Column, Table

__all__ = ["bar", "progress_bar"]


def bar(done: int, total: int, unit: str = "") -> RenderableType:
    """Return a bar with its numbers that fills a line.

    Args:
        done: What is done.
        total: Of how many.
        unit: What follows the numbers.
    """
    grid = Table.grid(Column(ratio=1), Column(no_wrap=True), expand=True, padding=(0, 2, 0, 0))
    grid.add_row(progress_bar(done, total), f"{done}/{total}{unit}")
    return grid


def progress_bar(done: int, total: int, width: int | None = None) -> ProgressBar:
    """Return a bar of `width` columns; by default of all that there are."""
    # rich's default colour is close to red, which here means failure.
    return ProgressBar(total=max(1, total), completed=done, width=width, complete_style="cyan")
