"""Tables and pages of studies for the terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.formatting import (
    cut,
    duration,
    how_it_ended,
    number,
    one_line,
    percent,
    points,
    short,
    why,
    words_for_foreign,
)
from search.results.reader import UnreadableStudy
from search.results.shares import Importance, Unknown
from search.results.summary import Summary
from search.study.rows import TrialRow
from search.views.best_trials import best_trials, mattered_line, so_far
from search.views.confirmation_table import confirmation_words
from search.views.grid_table import summary_table
from search.views.next_steps import resume_command
from search.views.progress import Progress
from search.views.stage import progress_lines

__all__ = ["study_list", "study_page"]


def study_list(studies: Sequence[Summary | UnreadableStudy], place: str) -> RenderableType:
    """List studies, a line each.

    Args:
        studies: The studies.
        place: The name of their home or storage.
    """
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    for heading in ("study", "data", "state", "trials", "best"):
        table.add_column(heading, no_wrap=heading == "study")
    problems = []
    for one in studies:
        if isinstance(one, UnreadableStudy):
            table.add_row(Text(one_line(one.study)), Text("-"), Text(one.state))
            problems.append(Text(one_line(one.problem)))
            continue
        trials, best = one.trials, one.best
        score = percent(best.validation_accuracy) if best else "-"
        progress = f"{trials.finished}/{trials.total}"
        cells = (one_line(one.study), _data_name(one), one.state, progress, score)
        table.add_row(*map(Text, cells))
    note = f"Best: validation accuracy of one run. Studies in {place}."
    return Group(table, Text(one_line(note), style="dim"), *problems)


def study_page(
    summary: Summary,
    where: str = "",
    *,
    rows: list[TrialRow] | None = None,
    mattered: Importance | Unknown | None = None,
    report: str | None = None,
    progress: Progress | None = None,
) -> RenderableType:
    """Show one study: its progress, its results, and its trials.

    Args:
        summary: The study.
        where: Options that name the study's place in further commands.
        rows: The trials to list, in this order; by default all, by number, below the best.
        mattered: What mattered, or why that cannot be said; None to say nothing of it.
        report: File of the study's report, or None.
        progress: The progress of the process that runs the study; None if there is none, or it is unknown.
    """
    listed = summary.rows if rows is None else rows
    trials = summary.trials
    parts: list[RenderableType] = [
        Text.assemble(
            (one_line(summary.study), "bold"),
            f": {summary.state}, {trials.finished} of {trials.total} trials "
            f"({trials.complete} complete, {trials.pruned} stopped early, "
            f"{trials.failed} failed, {trials.running} running, {trials.paused} paused), "
            f"{duration(summary.seconds)}",
        ),
        *([] if progress is None else progress_lines(progress)),
        Text(summary.settings.data.described(), style="dim"),
    ]
    for one in summary.bounds:
        line = f"{one.optimizer} lr {number(one.low)} to {number(one.high)}, {one.how}"
        parts.append(Text(one_line(line), style="dim"))
    if summary.foreign:
        parts.append(Text(words_for_foreign(summary.foreign), style="dim"))
    if summary.cells is not None:
        parts += [Text(), summary_table(summary)]
    else:
        parts += _best(summary)
        if summary.confirmation is not None:
            parts += [Text(), *confirmation_words(summary.confirmation)]
        elif rows is None:
            parts += best_trials(summary)
    if mattered is not None and summary.trials.finished:
        parts.append(mattered_line(mattered))
    parts += [Text(), _trial_table(listed, summary.state == "running")]
    if report is not None:
        parts.append(Text(f"\nReport: {report}", no_wrap=True, overflow="ignore"))
    if summary.state == "stopped":
        parts.append(
            Text(
                f"\nContinue: {resume_command(summary, where)}",
                style="dim",
                no_wrap=True,
                overflow="ignore",
            )
        )
    return Group(*parts)


def _best(summary: Summary) -> list[RenderableType]:
    """The best trial, its gains, and where to search next."""
    best = summary.best
    if best is None:
        return [so_far(summary)] if summary.rows else []
    name = "Best" if summary.confirmation is None else "Best of the search"
    line = f"{name}: trial {best.number}, {percent(best.validation_accuracy)}"
    over = ", ".join(summary.comparisons)
    parts: list[RenderableType] = [Text(f"{line} ({over})" if over else line, style="bold green")]
    if (recent := summary.last_hour) is not None:
        gain = points(recent.gain) if recent.gain else "nothing"
        parts.append(Text(f"The last hour brought {gain}.", style="dim"))
    if edge := summary.edge:
        parts.append(Text(f"{edge.words} Search further: {edge.option}", style="yellow"))
    return parts


def _data_name(summary: Summary) -> str:
    data = summary.settings.data
    if data.name == "synthetic":
        return "SYNTHETIC"
    if data.name == "folder":
        return f"own, {len(data.classes)} classes"
    return data.name if data.official else f"{data.name} (not official)"


def _trial_table(rows: list[TrialRow], running: bool) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold", expand=True)
    table.add_column("trial", justify="right")
    table.add_column("validation", justify="right")
    table.add_column("epochs", justify="right")
    table.add_column("state")
    table.add_column("configuration", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        if row.state == "waiting":
            continue
        interrupted = row.state == "running" and not running
        state = "paused" if interrupted else how_it_ended(row)
        if (reason := why(row)) is not None:
            state = f"{state}: {cut(reason, 60)}"
        named = f"{row.label}: " if row.label else ""
        table.add_row(
            str(row.number),
            percent(row.validation_accuracy),
            str(row.epochs),
            Text(state),
            Text(named + short(row.values)),
        )
    return table
