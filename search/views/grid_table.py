"""The table of a grid in the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.formatting import one_line, percent
from search.results.grid import Cell
from search.results.summary import Summary
from spaces.grid import Published
from spaces.space import Space

__all__ = ["grid_table", "measured_words", "published_words", "summary_table"]


def summary_table(summary: Summary) -> RenderableType:
    """Return the table of a grid that is being trained, or has been."""
    settings = summary.settings
    data = settings.data.described()
    return grid_table(settings.space, summary.cells or [], data, summary.incomparable)


def grid_table(
    space: Space, cells: list[Cell], data: str, incomparable: str | None = None
) -> RenderableType:
    """Return a grid's published and measured figures, side by side.

    Args:
        space: The grid's space.
        cells: Its cells.
        data: Description of the images.
        incomparable: Why there are no published figures beside them, in a sentence; None if there are.
    """
    # With more padding, two parameters and all figures would not fit into 80 columns.
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    for name in space.parameters:
        table.add_column(name.replace("_", " "), overflow="fold")
    with_loss = any(cell.published and cell.published.train_loss is not None for cell in cells)
    with_train = any(cell.published and cell.published.train_accuracy is not None for cell in cells)
    headings = ["measured", "n"] if incomparable else ["published", "measured", "n"]
    headings += ["published\nloss", "measured\nloss"] if with_loss else []
    headings += ["published\ntrain", "measured\ntrain"] if with_train else []
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for cell in cells:
        known = cell.published
        line = [one_line(str(value)) for value in cell.values.values()]
        line += [] if incomparable else [published_words(known)]
        line += [measured_words(cell), str(len(cell.accuracies))]
        if with_loss:
            line += [_loss(known.train_loss if known else None), _loss(cell.train_loss)]
        if with_train:
            train = known.train_accuracy if known else None
            line += ["-" if train is None else _share(train), percent(cell.train_accuracy)]
        table.add_row(*map(Text, line))
    return Group(table, *_by_epoch(cells), *_notes(space, cells, data, incomparable, with_train))


def _notes(
    space: Space, cells: list[Cell], data: str, incomparable: str | None, with_train: bool
) -> Iterator[RenderableType]:
    """Notes on what the figures mean."""
    recipes = [space.recipe_of(cell.values) for cell in cells]
    epochs = sorted({one.epochs for one in recipes})
    after = f"{' or '.join(map(str, epochs))} epoch{'' if epochs == [1] else 's'}"
    if any(one.schedule.name == "plateau" for one in recipes):
        after = f"up to {after}"
    words = f"measured: validation accuracy after {after} on {data}; mean +- standard deviation"
    if with_train:
        words += "; train: on the augmented images of the last epoch, during training"
    yield Text(words, style="dim")
    if space.grid is not None and space.grid.source and not incomparable:
        yield Text(f"published: {one_line(space.grid.source)}", style="dim")
    if lost := sum(cell.lost for cell in cells):
        yield Text(f"Excluded: {lost} trainings that diverged or failed.", style="yellow")
    if incomparable:
        yield Text(incomparable, style="yellow")


def _by_epoch(cells: list[Cell]) -> list[RenderableType]:
    """The accuracy after each epoch, where it was published."""
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


def published_words(known: Published | None) -> str:
    """Return the published accuracy of a cell in percent, or a dash."""
    if known is None or known.accuracy is None:
        return "-"
    if isinstance(known.accuracy, list):
        low, high = known.accuracy
        return f"{100 * low:.4g}-{_share(high)}"
    return _share(known.accuracy)


def _share(value: float) -> str:
    """A share in percent, with the digits that were published."""
    return f"{100 * value:.4g} %"


def measured_words(cell: Cell) -> str:
    """Return the measured accuracy of a cell in percent with its spread, or a dash."""
    if cell.spread is None:
        return percent(cell.mean)
    return f"{100 * (cell.mean or 0.0):.1f} +- {100 * cell.spread:.1f} %"


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
