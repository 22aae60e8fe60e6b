"""The part of the live page that shows a confirmation."""

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from search.formatting import counted, one_line
from search.views.bars import bar, progress_bar
from search.views.confirmation_table import confirmation_words
from search.views.progress import Confirming

__all__ = ["confirmation_page"]

BAR_WIDTH = 13


def confirmation_page(confirming: Confirming) -> list[RenderableType]:
    """Return what is trained, how far it is, and what is known so far.

    Args:
        confirming: The progress.
    """
    start = confirming.start
    least = len(start.plan.contenders)
    lines: list[RenderableType] = [
        Text(
            f"confirming: {counted(least, 'configuration')} on fresh seeds, at most {start.most} trainings"
        ),
        Text(f"accuracy on {one_line(start.plan.images.described())}", style="dim"),
        bar(confirming.done, start.most, " trainings"),
        Text(),
    ]
    if confirming.running:
        lines += [_running(confirming), Text()]
    if confirming.so_far is not None:
        lines += confirmation_words(confirming.so_far)
    return lines


def _running(confirming: Confirming) -> Table:
    table = Table(
        Column("training", overflow="ellipsis"),
        Column("epoch", justify="right"),
        Column("", width=BAR_WIDTH),
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        header_style="dim",
    )
    for (trial, repeat), epoch in sorted(confirming.running.items()):
        one = confirming.contender(trial)
        table.add_row(
            Text(f"{one_line(one.name)}, seed {repeat} of {confirming.start.plan.seeds}"),
            f"{epoch}/{one.epochs}",
            progress_bar(epoch, one.epochs, BAR_WIDTH),
        )
    return table
