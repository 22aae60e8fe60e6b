"""A page of the terminal with progress, running and finished trials, and the best one."""

import textwrap
from itertools import chain

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from search.command_lines import command_line
from search.formatting import (
    how_it_ended,
    number,
    one_line,
    percent,
    points,
    short,
    why,
)
from search.study.rows import TrialRow
from search.views.bars import progress_bar
from search.views.live_confirmation import confirmation_page
from search.views.live_sweeps import sweep_curves
from search.views.progress import Progress, RunningTrial
from search.views.stage import stage_of, times

__all__ = ["draw"]

ENDED_SHOWN = 6
NARROW = 60
"""Columns below which parameters are left out."""
STATE_WIDTH = len("stopped early")
STATE_STYLES = {"complete": "green", "pruned": "yellow", "failed": "red"}
STOP_HINT = "Ctrl-C: finish the epoch, save, stop"
DASHBOARD_HINT = "in another terminal: "


def draw(
    progress: Progress, width: int, height: int, hints: bool = True, ascii_only: bool = False
) -> RenderableType:
    """Draw the progress of a search.

    Args:
        progress: The progress.
        width: Columns of the terminal.
        height: Lines of the terminal, which limit the number of trials.
        hints: Mention keys and commands.
        ascii_only: Avoid braille characters, which the terminal cannot show.
    """
    below = _closing(progress, width, hints)
    if progress.confirming is not None:
        study = progress.confirming.start.study
        page = confirmation_page(progress.confirming)
        return Group(*_header(study, progress, width), *page, *below)
    if progress.search is None:
        above = [*_header("cifar-search", progress, width), *_sweeps(progress)]
        free = height - sum(_lines(part, width) for part in chain(above, below))
        return Group(*above, *sweep_curves(progress, width, free, ascii_only), *below)
    above = [
        *_header(progress.search.study, progress, width),
        Text(f"validation accuracy on {one_line(progress.search.data)}"),
        *_trials_done(progress),
        Text(),
    ]
    below = [*_best(progress), *below]
    taken = sum(_lines(part, width) for part in chain(above, below)) + 1  # the table's heading
    table = _trials(progress, width, height - taken)
    return Group(*above, table, *below)


def _header(name: str, progress: Progress, width: int) -> list[RenderableType]:
    if width < NARROW:
        return [_line(one_line(name), style="bold"), _line(times(progress))]
    grid = Table.grid(Column(ratio=1), Column(no_wrap=True), expand=True, padding=(0, 2, 0, 0))
    grid.add_row(_line(one_line(name), style="bold"), times(progress))
    return [grid]


def _sweeps(progress: Progress) -> list[RenderableType]:
    stage = stage_of(progress)
    if stage is None:
        return [_line("preparing")]
    return [Text("LR-range test: measuring which learning rates work"), stage.bar()]


def _trials_done(progress: Progress) -> list[RenderableType]:
    stage = stage_of(progress)
    assert progress.search is not None and stage is not None  # noqa: S101, PT018 - `draw` looked
    complete, pruned, failed = map(progress.count, ("complete", "pruned", "failed"))
    counts = f"{complete} complete, {pruned} stopped early (pruned), {failed} failed"
    if progress.waiting:
        counts += f", {progress.waiting} paused"
        counts += " (may continue)" if progress.last_calls else ""
    pace = one_line(progress.search.workers)
    if rate := progress.images_per_second:
        pace += f", {rate:,.0f} images/s"
    rates = (
        f"{one_line(found.optimizer)} {number(found.low)} to {number(found.high)}"
        for found in progress.bounds.values()
    )
    ranges = [Text(f"learning rate: {', '.join(rates)}")] if progress.bounds else []
    if stage.unit == "epochs":
        counts = f"{progress.done} of {progress.total} trials begun: {counts}"
    return [stage.bar(), Text(counts), Text(pace), *ranges]


def _trials(progress: Progress, width: int, room: int) -> Table:
    """Running trials, as many as fit, and below them the last finished ones."""
    epochs = progress.search.epochs if progress.search else 0
    running = list(progress.running.values())
    shown = running[: max(1, room)] if len(running) <= room else running[: max(1, room - 1)]
    table = Table(
        Column("trial", justify="right", width=5),
        Column("epoch", justify="right", width=max(5, len(f"{epochs}/{epochs}"))),
        Column("", width=STATE_WIDTH),
        Column("accuracy", justify="right", width=8),
        box=None,
        expand=True,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        header_style="dim",
    )
    if width >= NARROW:
        table.add_column("parameters", ratio=1, no_wrap=True, overflow="ellipsis")
    for trial in shown:
        _add(table, _running_cells(trial, epochs))
    if hidden := len(running) - len(shown):
        _add(table, ["", "", Text(f"and {hidden} more"), "", ""])
    free = max(0, min(ENDED_SHOWN, room - len(shown) - bool(hidden)))
    for row in reversed(progress.ended[-free:] if free else []):
        _add(table, _ended_cells(row, epochs))
    return table


def _add(table: Table, cells: list[RenderableType]) -> None:
    table.add_row(*cells[: len(table.columns)])


def _running_cells(trial: RunningTrial, epochs: int) -> list[RenderableType]:
    return [
        str(trial.number),
        f"{trial.epochs_done}/{epochs}",
        progress_bar(trial.epochs_done, epochs, STATE_WIDTH),
        percent(trial.validation_accuracy),
        _parameters(trial.label, short(trial.values), style=""),
    ]


def _ended_cells(row: TrialRow, epochs: int) -> list[RenderableType]:
    reason = why(row)
    return [
        Text(str(row.number), style="dim"),
        Text(f"{row.epochs}/{epochs}", style="dim"),
        Text(how_it_ended(row), style=STATE_STYLES.get(row.state, "")),
        percent(row.validation_accuracy),
        Text(reason, style="red") if reason else _parameters(row.label, short(row.values), "dim"),
    ]


def _parameters(label: str | None, summary: str, style: str) -> Text:
    return Text.assemble((f"{one_line(label)}: ", "cyan") if label else "", (summary, style))


def _best(progress: Progress) -> list[RenderableType]:
    best = progress.best
    if best is None:
        return [Text(), Text("best so far: none, as no trial is complete yet")]
    name = f"trial {best.number}" + (f" ({one_line(best.label)})" if best.label else "")
    gains = "".join(f", {points(gain)} over {one_line(label)}" for label, gain in progress.gains())
    accuracy = percent(best.validation_accuracy)
    line = Text.assemble(f"best so far: {name}, ", (accuracy, "bold green"), gains)
    return [Text(), line]


def _closing(progress: Progress, width: int, hints: bool) -> list[RenderableType]:
    """The reason for stopping, or otherwise the hints."""
    if progress.stopping is not None:
        return [Text(one_line(progress.stopping), style="yellow")]
    if not hints:
        return []
    where = progress.search.where if progress.search is not None else ""
    dashboard = f"{DASHBOARD_HINT}{command_line('dashboard', flags=where)}"
    both = f"{STOP_HINT}   |   {dashboard}"
    lines = [both] if len(both) <= width else [STOP_HINT, dashboard]
    return [Text(), *(Text(line, style="dim") for line in lines)]


def _line(text: str, style: str = "") -> Text:
    """One line, shortened to the width of the terminal."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _lines(part: RenderableType, width: int) -> int:
    """Number of lines of a part: text is wrapped, everything else is one line."""
    if not isinstance(part, Text) or part.no_wrap:
        return 1
    return max(1, len(textwrap.wrap(part.plain, width)))
