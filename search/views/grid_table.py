"""The table of a grid in the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.formatting import one_line, percent
from search.results.grid import Cell, _mean
from spaces.grid import Published
from spaces.space import Space

__all__ = ["drawn"]


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
            "; train: on the images of the last epoch, as they were augmented, while it trained"
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
