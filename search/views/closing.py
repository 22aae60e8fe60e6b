"""The last words of a search: what was found, what it gained, where it is, what to do next."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from search.formatting import duration, percent, points, short
from search.results.grid import cells_of
from search.results.summary import compared
from search.study.rows import TrialRow, best_rows
from search.study.settings import DataIdentity
from search.views.grid_table import drawn
from spaces.files import shipped_names
from spaces.space import Space

__all__ = ["closing_words"]


def closing_words(
    summary: dict[str, Any], rows: list[TrialRow], space: Space, where: str, data: str
) -> RenderableType:
    """What `start` and `resume` end with.

    Args:
        summary: The study's summary.
        rows: Its trials.
        space: What was searched, or the grid that was trained.
        where: Options that name the study's place in further commands, such as `` --home elsewhere``.
        data: The option that names its images, such as `` --data synthetic``; empty for the default.
    """
    found = _found(summary, rows) if space.grid is None else _table(summary, rows, space)
    lines: list[RenderableType] = [Text(), _outcome(summary, space), *_paused(summary)]
    lines += [*found, Text(), *_next_steps(summary, where, data)]
    return Group(*lines)


def _outcome(summary: dict[str, Any], space: Space) -> Text:
    trials, epochs = summary["trials"], summary["epochs"]
    ended = "finished" if summary["state"] == "finished" else "stopped, everything is saved"
    begun = trials["finished"] + trials["paused"]
    unpruned = epochs["full_cost"] / trials["total"] * begun
    swept = f" after {epochs['lr_range']:.0f} for the LR-range test" if epochs["lr_range"] else ""
    cost = f"; {epochs['trained']:.0f} epochs trained{swept}"
    if space.grid is None:
        cost += f", instead of {unpruned:.0f} without early stopping"
    what = "Search" if space.grid is None else "Grid"
    text = Text(f"{what} {summary['study']} {ended}: ", style="bold")
    text.append(
        f"{trials['finished']} of {trials['total']} trials ({trials['complete']} complete, "
        f"{trials['pruned']} stopped early, {trials['failed']} failed) in "
        f"{duration(summary['seconds'])}{cost}.",
        style="not bold",
    )
    return text


def _paused(summary: dict[str, Any]) -> list[Text]:
    """What a search that was stopped has left to go on with."""
    paused = summary["trials"]["paused"]
    if summary["state"] == "finished" or not paused:
        return []
    trials, them = ("trial is", "it") if paused == 1 else ("trials are", "them")
    return [Text(f"{paused} more {trials} paused; resume can go on with {them}.")]


def _found(summary: dict[str, Any], rows: list[TrialRow]) -> list[RenderableType]:
    best = next(iter(best_rows(rows)), None)
    if best is None:
        return [Text("No trial is complete yet.")]
    data = DataIdentity.model_validate(summary["data"]).described()
    lines: list[RenderableType] = [
        Text.assemble(
            ("Best: ", "bold"),
            (percent(best.validation_accuracy), "bold green"),
            f" validation accuracy after {best.epochs} epochs, trial {best.number}, one run; "
            "references measured in this study",
        ),
        Text(f"  on {data}", style="dim"),
        Text(f"  {short(best.values)}"),
    ]
    lines += [Text(f"  {words}") for words in compared(rows)]
    if (lately := summary["last_hour"]) is not None:
        gain = points(lately["gain"]) if lately["gain"] else "nothing"
        lines.append(Text(f"  the last hour brought {gain}", style="dim"))
    if edge := summary["best"]["at_edge"]:
        lines.append(Text(f"  {edge['words']}", style="yellow"))
    if summary["best"]["exported"]:
        exported = Text.assemble("  exported to ", (summary["best"]["exported"], "bold"))
        exported.no_wrap, exported.overflow = True, "ignore"
        lines.append(exported)
    # The best of many single scores is a little lucky (Dodge et al. 2019, arXiv 1909.03004).
    lines.append(
        Text(
            "  The highest of many single scores is a little lucky: retrain it to know.",
            style="dim",
        )
    )
    return lines


def _table(summary: dict[str, Any], rows: list[TrialRow], space: Space) -> list[RenderableType]:
    data = DataIdentity.model_validate(summary["data"]).described()
    return [Text(), drawn(space, cells_of(space, rows), data, summary["scale"])]


def _next_steps(summary: dict[str, Any], where: str, data: str) -> list[Text]:
    study = summary["study"]
    steps = [
        (f"cifar-search status {study}{where}", "all trials"),
        (f"cifar-search dashboard{where}", "plots in a browser"),
    ]
    if summary["best"] is not None and summary["best"]["exported"]:
        steps += [
            (f"cifar-search export {study} --top 5{where}", "the five best as files"),
            (
                f"cifar-search train {summary['best']['exported']} --seeds 3{data}",
                "retrain the best",
            ),
        ]
    if summary["best"] is not None and (edge := summary["best"]["at_edge"]):
        name = summary["space"]
        space = name if name in shipped_names() else "FILE"
        wider = f"--study {study}-wider {edge['option']}{where}{data}"
        steps.append((f"cifar-search start --space {space} {wider}", "search further"))
    if summary["state"] != "finished":
        used_up = summary["timeout"] is not None and summary["seconds"] >= summary["timeout"]
        longer = " --timeout TIME" if used_up else ""
        steps.insert(0, (f"cifar-search resume {study}{longer}{where}{data}", "go on"))
    width = max(len(what) for _, what in steps)
    # A command must stay on one line to be copied, however narrow the terminal is.
    lines = [
        Text(f"  {what:<{width}}  {command}", no_wrap=True, overflow="ignore")
        for command, what in steps
    ]
    return [Text("Next:", style="bold"), *lines]
