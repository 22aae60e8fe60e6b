"""The closing words of a search: its result, its gains, its cost, and what to do next."""

from rich.console import Group, RenderableType
from rich.text import Text

from search.command_lines import command_line
from search.formatting import counted, duration, percent, points, short
from search.results.shares import Importance, Unknown
from search.results.summary import Summary
from search.views.best_trials import best_trials, mattered_line, so_far
from search.views.confirmation_table import confirmation_words
from search.views.grid_table import summary_table
from search.views.next_steps import Step, next_steps

__all__ = ["closing_words"]


def closing_words(
    summary: Summary,
    where: str = "",
    data: str | None = None,
    space: str | None = None,
    *,
    mattered: Importance | Unknown | None = None,
    report: str | None = None,
) -> RenderableType:
    """Return what `start` and `resume` print at the end.

    Args:
        summary: The study.
        where: Options that name the study's place in further commands, such as `` --home elsewhere``.
        data: The value of ``--data`` that further commands need; None for the default.
        space: The name or file by which the space was given, or None.
        mattered: What mattered, or why that cannot be said; None to say nothing of it.
        report: File of the study's report; None if it was not written.
    """
    lines: list[RenderableType] = [Text(), _outcome(summary), *_paused(summary)]
    lines += _found(summary) if summary.cells is None else [Text(), summary_table(summary)]
    if mattered is not None:
        lines.append(mattered_line(mattered))
    if report is not None:
        lines.append(_path("Report: ", report))
    steps = next_steps(summary, where, data, space)
    if report is None and summary.trials.finished + summary.trials.paused:
        command = command_line("report", summary.study, flags=where, data=data)
        steps.append(Step("a report to read", command))
    return Group(*lines, Text(), *_next(steps))


def _outcome(summary: Summary) -> Text:
    trials, swept = summary.trials, summary.sweep_epochs
    ended = "finished" if summary.state == "finished" else "stopped, everything is saved"
    cost = f"; {counted(summary.trained_epochs, 'epoch')} trained"
    if round(swept):
        cost += f" after {swept:.0f} for the LR-range test"
    if summary.cells is None:
        started = trials.finished + trials.paused
        unpruned = summary.full_cost / trials.total * started
        cost += f", instead of {unpruned:.0f} without early stopping"
    what = "Search" if summary.cells is None else "Grid"
    text = Text(f"{what} {summary.study} {ended}: ", style="bold")
    text.append(
        f"{trials.finished} of {trials.total} trials ({trials.complete} complete, "
        f"{trials.pruned} stopped early, {trials.failed} failed) in "
        f"{duration(summary.seconds)}{cost}.",
        style="not bold",
    )
    return text


def _paused(summary: Summary) -> list[Text]:
    """The number of trials that a stopped search can continue."""
    paused = summary.trials.paused
    if summary.state == "finished" or not paused:
        return []
    trials, them = ("trial is", "it") if paused == 1 else ("trials are", "them")
    return [Text(f"{paused} more {trials} paused; resume continues {them}.")]


def _found(summary: Summary) -> list[RenderableType]:
    best = summary.best
    if best is None:
        return [so_far(summary)]
    epochs = counted(best.epochs, "epoch")
    measured = "; references measured in this study" if summary.comparisons else ""
    lines: list[RenderableType] = [
        Text.assemble(
            ("Best: " if summary.confirmation is None else "Best of the search: ", "bold"),
            (percent(best.validation_accuracy), "bold green"),
            f" validation accuracy after {epochs}, trial {best.number}, one run{measured}",
        ),
        Text(f"  on {summary.settings.data.described()}", style="dim"),
        Text(f"  {short(best.values)}"),
    ]
    lines += [Text(f"  {words}") for words in summary.comparisons]
    if (recent := summary.last_hour) is not None:
        gain = points(recent.gain) if recent.gain else "nothing"
        lines.append(Text(f"  the last hour brought {gain}", style="dim"))
    if edge := summary.edge:
        lines.append(Text(f"  {edge.words}", style="yellow"))
    if summary.confirmation is not None:
        lines += [Text(), *confirmation_words(summary.confirmation)]
    if summary.exported:
        lines.append(_path("  exported to ", summary.exported))
    if summary.confirmation is None:
        lines += best_trials(summary)
        # The expected maximum grows with the number of runs (Dodge et al. 2019, arXiv 1909.03004).
        words = "The best of many single runs is partly luck; confirm it on fresh seeds before trusting it."
        lines.append(Text(f"  {words}", style="dim"))
    return lines


def _path(words: str, path: str) -> Text:
    """A path after some words, on one line however narrow the terminal is."""
    found = Text.assemble(words, (path, "bold"))
    found.no_wrap, found.overflow = True, "ignore"
    return found


def _next(steps: list[Step]) -> list[Text]:
    width = max(len(step.purpose) for step in steps)
    # A command must stay on one line to be copied, however narrow the terminal is.
    lines = [
        Text(f"  {step.purpose:<{width}}  {step.command}", no_wrap=True, overflow="ignore")
        for step in steps
    ]
    return [Text("Next:", style="bold"), *lines]
