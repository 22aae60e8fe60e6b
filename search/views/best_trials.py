"""The best trials with the intervals of their accuracy, and what mattered, in the terminal."""

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from search.formatting import one_line, percent, points, short
from search.results.shares import Importance, Unknown, in_words
from search.results.summary import Summary
from search.results.verdict import accuracy_interval, leader
from search.study.rows import best_rows

__all__ = ["best_trials", "mattered_line", "so_far"]

COUNT = 5


def best_trials(summary: Summary) -> list[RenderableType]:
    """Return a table of the five best complete trials; nothing where fewer than two are complete."""
    rows = best_rows(summary.rows, COUNT)
    if len(rows) < 2:
        return []
    images = summary.settings.data.validation
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=True)
    table.add_column("  best trials", no_wrap=True)
    for heading in ("accuracy", "95 % interval", "to the best"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("configuration", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        interval = accuracy_interval(row.score, images)
        named = f"{one_line(row.label)}: " if row.label else ""
        table.add_row(
            f"  trial {row.number}",
            percent(row.validation_accuracy),
            f"{100 * interval.low:.1f} to {100 * interval.high:.1f}",
            "-" if row is rows[0] else points(row.score - rows[0].score).removesuffix(" points"),
            Text(named + short(row.values)),
        )
    words = f"  Intervals: for the choice of {images:,} validation images; one run each."
    return [table, Text(words, style="dim")]


def so_far(summary: Summary) -> Text:
    """Return the trial that leads while none is complete."""
    first = leader(summary.rows)
    if first is None or first.validation_accuracy is None:
        return Text("No trial is complete yet.")
    return Text.assemble(
        "No trial is complete yet. ",
        ("So far: ", "bold"),
        f"trial {first.number}, {percent(first.validation_accuracy)} after epoch {first.epochs} of "
        f"{summary.settings.space.epochs}",
    )


def mattered_line(found: Importance | Unknown) -> Text:
    """Return what mattered, or why that cannot be said."""
    if isinstance(found, Unknown):
        return Text(f"What mattered: cannot be said yet: {one_line(found.reason)}", style="dim")
    return Text(one_line(in_words(found)))
