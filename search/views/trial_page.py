"""One trial in the terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.formatting import duration, how_it_ended, one_line, percent, why
from search.results.summary import Summary
from search.study.rows import TrialRow

__all__ = ["trial_page"]

COLUMNS = (
    ("train_loss", "training\nloss"),
    ("train_accuracy", "training\naccuracy"),
    ("validation_loss", "validation\nloss"),
    ("validation_accuracy", "validation\naccuracy"),
)


def trial_page(summary: Summary, row: TrialRow) -> RenderableType:
    """Show a trial: its end, its parameters, and its epochs.

    Args:
        summary: Its study.
        row: The trial.
    """
    name = f" ({one_line(row.label)})" if row.label else ""
    last = (row.recipe or {}).get("epochs", summary.settings.space.epochs)
    state = "paused" if row.state == "running" and summary.state != "running" else how_it_ended(row)
    parts: list[RenderableType] = [
        Text.assemble(
            (f"trial {row.number}{name}", "bold"),
            f" of {one_line(summary.study)}: {state}, {percent(row.validation_accuracy)} after epoch "
            f"{row.epochs} of {last}, {duration(row.seconds)} of training",
        ),
        Text(summary.settings.data.described(), style="dim"),
    ]
    if (reason := why(row)) is not None:
        parts.append(Text(reason, style="yellow"))
    if row.seed is not None:
        parts.append(Text(f"seed {row.seed}", style="dim"))
    parts += [Text(), _values(row)]
    if row.scores:
        parts += [Text(), _epochs(row)]
    return Group(*parts)


def _values(row: TrialRow) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("parameter")
    table.add_column("value")
    for name, value in row.values.items():
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        table.add_row(Text(one_line(name)), Text(one_line(shown)))
    return table


def _epochs(row: TrialRow) -> Table:
    """The epochs; an unfinished trial has only the accuracy of each in the study."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("epoch", justify="right")
    known = dict(enumerate(row.history, start=1))
    columns = COLUMNS if known else COLUMNS[-1:]
    for _, heading in columns:
        table.add_column(heading, justify="right")
    for epoch, score in sorted(row.scores.items()):
        figures = {"validation_accuracy": score, **known.get(epoch, {})}
        table.add_row(str(epoch), *(_figure(key, figures.get(key)) for key, _ in columns))
    return table


def _figure(key: str, value: object) -> str:
    if not isinstance(value, int | float):
        return "-"
    return percent(value) if key.endswith("accuracy") else f"{value:.3f}"
