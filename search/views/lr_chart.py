"""Loss against the learning rate as a chart of characters, for the terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from rich.console import Group, RenderableType
from rich.text import Text

from cifar_core.plots.lr_curve import Curve, loss_range, rate_range
from search.views.lr_chart_frame import (
    ASCII,
    UNICODE,
    Frame,
    Glyphs,
    axis,
    loss_labels,
    text_line,
    tick_line,
)
from search.views.lr_chart_marks import colour_of, legend_lines, marks_of, symbol_of

__all__ = ["NARROWEST", "chart"]

NARROWEST = 30
FEWEST_ROWS = 3
ROOMY = 10
"""Height from which a line is spent on the axis of the rates itself."""
BRAILLE = 0x2800
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the dots in a Braille character, by row and column (Unicode Standard, block U+2800)."""


def chart(
    curves: Sequence[Curve],
    width: int,
    height: int,
    bounds: tuple[float, float] | None = None,
    suggested: float | None = None,
    ascii_only: bool = False,
) -> RenderableType:
    """Return the smoothed losses against the logarithm of the learning rate.

    Below them are the bounds and, for a single curve, the points that were read off it. A loss far
    above the one at the start is drawn along the upper edge.

    Args:
        curves: One curve for each recipe that was measured.
        width: Columns of the chart, all of which are used; below 30 its right side is cut off.
        height: Lines of the chart; the curves keep three even where the rest leaves them fewer.
        bounds: Lower and upper bound; None for those of a single curve.
        suggested: Rate to start with; None for that of a single curve.
        ascii_only: Draw one symbol per cell instead of Braille's eight dots.
    """
    rates, losses = rate_range(curves), loss_range(curves, raw=False)
    if rates is None or losses is None or not any(curve.measured for curve in curves):
        return text_line("no loss to draw")
    glyphs = ASCII if ascii_only else UNICODE
    width = max(NARROWEST, width)
    marks = marks_of(curves, rates, bounds, suggested)
    legend = legend_lines(curves, marks, width, glyphs)
    rows = height - 1 - (height >= ROOMY) - marks.height - len(legend)
    labels = loss_labels(max(FEWEST_ROWS, rows), glyphs.dots[1], losses)
    gutter = max(map(len, labels)) + 1
    frame = Frame(gutter, width - gutter, len(labels), glyphs.dots, rates, losses)
    ticks = frame.ticks()
    return Group(
        *_panel(curves, frame, labels, glyphs),
        *([axis(frame, ticks, glyphs)] if height >= ROOMY else []),
        tick_line(frame, ticks),
        *marks.lines(frame),
        *legend,
    )


def _panel(
    curves: Sequence[Curve], frame: Frame, labels: list[str], glyphs: Glyphs
) -> Iterator[Text]:
    cells = _cells(curves, frame)
    for row, label in enumerate(labels):
        side = glyphs.side_tick if label else glyphs.side
        line = text_line(f"{label:>{frame.gutter - 1}}{side}")
        found = (cells.get((column, row), (" ", "")) for column in range(frame.columns))
        for style, run in groupby(found, key=itemgetter(1)):
            line.append("".join(symbol for symbol, _ in run), style)
        yield line


def _cells(curves: Sequence[Curve], frame: Frame) -> dict[tuple[int, int], tuple[str, str]]:
    """Return symbol and style by column and row; the last of several curves gives the colour."""
    across, down = frame.dots
    bits: dict[tuple[int, int], int] = {}
    cells: dict[tuple[int, int], tuple[str, str]] = {}
    for index, curve in enumerate(curves):
        for x, y in _dots(curve, frame):
            cell = x // across, y // down
            bits[cell] = bits.get(cell, 0) | BITS[y % down][x % across]
            symbol = symbol_of(index) if frame.dots == ASCII.dots else chr(BRAILLE + bits[cell])
            cells[cell] = symbol, colour_of(index)
    return cells


def _dots(curve: Curve, frame: Frame) -> Iterator[tuple[int, int]]:
    """Yield the dots of a curve, including those between its points; gaps stay."""
    before: tuple[int, int] | None = None
    for rate, loss in curve.points():
        here = None if loss is None else frame.place(rate, loss)
        if here is not None:
            yield from _stroke(before or here, here)
        before = here


def _stroke(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    right, down = end[0] - start[0], end[1] - start[1]
    steps = max(abs(right), abs(down), 1)
    for step in range(steps + 1):
        yield start[0] + round(right * step / steps), start[1] + round(down * step / steps)
