"""The table of a grid: what was published about each cell, and what was measured here."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.policy.choices import SEED
from search.rows import Row
from search.wording import one_line, percent
from spaces.grid import Published
from spaces.space import Space, Values

__all__ = ["Cell", "cells_of", "drawn", "plain"]


@dataclass(frozen=True)
class Cell:
    """One combination of a grid's choices.

    Attributes:
        values: The combination.
        published: What was published about it, or None.
        accuracies: Validation accuracy after the last epoch of each complete training, 0-1.
        train_losses: Mean training loss of their last epochs.
        train_accuracies: Accuracy on augmented training pictures in their last epochs, 0-1.
        epochs: Validation accuracy after each epoch, the mean over the trainings, 0-1.
        lost: Trainings that diverged or failed, and have no part in the figures.
    """

    values: Values
    published: Published | None
    accuracies: tuple[float, ...]
    train_losses: tuple[float, ...]
    train_accuracies: tuple[float, ...]
    epochs: tuple[float, ...]
    lost: int = 0

    @property
    def mean(self) -> float | None:
        """Mean accuracy; None before the first training is complete."""
        return statistics.fmean(self.accuracies) if self.accuracies else None

    @property
    def spread(self) -> float | None:
        """Sample standard deviation of the accuracies; None for fewer than two."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None


def cells_of(space: Space, rows: list[Row]) -> list[Cell]:
    """The cells of a grid in the order of its file, with what the study knows about each."""
    published = space.grid.published if space.grid is not None else []
    found = []
    for values in space.cells():
        all_own = [row for row in rows if _without_seed(row.values) == values]
        own = [row for row in all_own if row.state == "complete"]
        accuracies = [one.validation_accuracy for one in own]
        found.append(
            Cell(
                values,
                next((one for one in published if one.values == values), None),
                tuple(one for one in accuracies if one is not None),
                _last(own, "train_loss"),
                _last(own, "train_accuracy"),
                _mean_by_epoch(own),
                sum(row.state in {"pruned", "failed"} for row in all_own),
            )
        )
    return found


def plain(cells: list[Cell]) -> list[dict[str, Any]]:
    """The table as plain JSON."""
    return [
        {
            **asdict(cell),
            "published": cell.published.model_dump(mode="json") if cell.published else None,
            "mean": cell.mean,
            "spread": cell.spread,
            "n": len(cell.accuracies),
        }
        for cell in cells
    ]


def drawn(space: Space, cells: list[Cell], data: str, scale: str = "full") -> RenderableType:
    """The table for a terminal.

    Args:
        space: The grid's space.
        cells: Its cells.
        data: What was measured on, in words.
        scale: ``quick`` where the space was made smaller.
    """
    # On 80 columns there is room for two parameters and all figures, and not for more air.
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    for name in space.parameters:
        table.add_column(name.replace("_", " "), overflow="fold")
    with_loss = any(cell.published and cell.published.train_loss is not None for cell in cells)
    with_train = any(cell.published and cell.published.train_accuracy is not None for cell in cells)
    headings = ["published", "measured", "n"]
    headings += ["published\nloss", "measured\nloss"] if with_loss else []
    headings += ["published\ntrain", "measured\ntrain"] if with_train else []
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for cell in cells:
        known = cell.published
        line = [one_line(str(value)) for value in cell.values.values()]
        line += [_published(known), _measured(cell), str(len(cell.accuracies))]
        if with_loss:
            line += [_loss(known.train_loss if known else None), _loss(_mean(cell.train_losses))]
        if with_train:
            train = known.train_accuracy if known else None
            line += ["-" if train is None else _share(train), percent(_mean(cell.train_accuracies))]
        table.add_row(*map(Text, line))
    return Group(table, *_by_epoch(cells), *_notes(space, cells, data, scale, with_train))


def _notes(
    space: Space, cells: list[Cell], data: str, scale: str, with_train: bool
) -> Iterator[RenderableType]:
    """What the figures are, and what they are not."""
    recipes = [space.recipe_of(cell.values) for cell in cells]
    epochs = sorted({one.epochs for one in recipes})
    after = f"{' or '.join(map(str, epochs))} epoch{'' if epochs == [1] else 's'}"
    if any(one.schedule.name == "plateau" for one in recipes):
        after = f"up to {after}"
    words = f"measured: validation accuracy after {after} on {data}; mean +- standard deviation"
    if with_train:
        words += (
            "; train: on the pictures of the last epoch, as they were augmented, while it trained"
        )
    yield Text(words, style="dim")
    if space.grid is not None and space.grid.source:
        yield Text(f"published: {one_line(space.grid.source)}", style="dim")
    if lost := sum(cell.lost for cell in cells):
        yield Text(f"{lost} trainings diverged or failed and are in no figure.", style="yellow")
    if scale == "quick":
        yield Text("A quick run: not to be compared with what was published.", style="yellow")


def _by_epoch(cells: list[Cell]) -> list[RenderableType]:
    """The accuracy after each epoch, where that was published."""
    shown = [cell for cell in cells if cell.published and cell.published.epochs]
    if not shown:
        return []
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("% after epoch")
    length = max(max(len(one.published.epochs), len(one.epochs)) for one in shown if one.published)
    for number in range(1, length + 1):
        table.add_column(str(number), justify="right")
    for cell in shown:
        name = ", ".join(one_line(str(value)) for value in cell.values.values())
        assert cell.published is not None  # noqa: S101 - for mypy; only such are shown
        table.add_row(Text(f"{name}, published"), *_percents(cell.published.epochs))
        table.add_row(Text(f"{name}, measured"), *_percents(cell.epochs))
    return [Text(), table]


def _percents(accuracies: Sequence[float]) -> list[str]:
    return [f"{100 * one:.0f}" for one in accuracies]


def _without_seed(values: Values) -> Values:
    return {name: value for name, value in values.items() if name != SEED}


def _last(rows: list[Row], key: str) -> tuple[float, ...]:
    values = [row.history[-1].get(key) for row in rows if row.history]
    return tuple(float(one) for one in values if one is not None)


def _mean_by_epoch(rows: list[Row]) -> tuple[float, ...]:
    histories = [[epoch["validation_accuracy"] for epoch in row.history] for row in rows]
    length = min((len(one) for one in histories), default=0)
    return tuple(statistics.fmean(one[index] for one in histories) for index in range(length))


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _published(known: Published | None) -> str:
    if known is None or known.accuracy is None:
        return "-"
    if isinstance(known.accuracy, list):
        low, high = known.accuracy
        return f"{100 * low:.4g}-{_share(high)}"
    return _share(known.accuracy)


def _share(value: float) -> str:
    """With the digits that were published."""
    return f"{100 * value:.4g} %"


def _measured(cell: Cell) -> str:
    if cell.spread is None:
        return percent(cell.mean)
    return f"{100 * (cell.mean or 0.0):.1f} +- {100 * cell.spread:.1f} %"


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
