"""Marks and legend of the chart of an LR-range test: bounds, suggested rate, minima."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from cifar_core.plots.lr_curve import Curve, known_rate
from search.formatting import one_line
from search.views.lr_chart_frame import ASCII, Frame, Glyphs, text_line, within

__all__ = ["COLOURS", "SYMBOLS", "Marks", "colour_of", "legend_lines", "marks_of", "symbol_of"]

COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "bright_red", "white", "bright_black")
"""Names that a terminal's own theme keeps legible; the ninth curve has the first colour again."""
SYMBOLS = "*o+#%@=&"
"""In ASCII, where curves must be told apart without colours."""
BETWEEN = "  "
Entry = tuple[str, str]
"""Text and its style."""


@dataclass(frozen=True)
class Mark:
    """Point that was read off a curve.

    Attributes:
        letter: Letter that marks it.
        name: Name in the legend.
        rate: Learning rate, within the chart.
    """

    letter: str
    name: str
    rate: float


@dataclass(frozen=True)
class Marks:
    """Lines below the axis of the rates.

    Attributes:
        band: Lower and upper bound; empty if there are none.
        suggested: Rate to start with; None if there is none.
        points: Points read off a single curve.
    """

    band: Sequence[float] = ()
    suggested: float | None = None
    points: Sequence[Mark] = ()

    @property
    def height(self) -> int:
        """Number of lines."""
        return bool(self.band or self.suggested is not None) + bool(self.points)

    def entries(self) -> list[Entry]:
        """Return the entries of the legend."""
        band = [("[-] bounds", "")] if self.band else []
        suggested = [("^ suggested", "")] if self.suggested is not None else []
        points = dict.fromkeys(f"{mark.letter} {mark.name}" for mark in self.points)
        return [*band, *suggested, *((text, "") for text in points)]

    def lines(self, frame: Frame) -> list[Text]:
        """Return the lines that have something in them. Where two marks meet, the later is shown."""
        bounds, points = ([" "] * frame.columns for _ in range(2))
        if self.band:
            low, high = map(frame.column, self.band)
            bounds[low : high + 1] = "-" * (high + 1 - low)
            bounds[high] = _end(self.band[1], "]", frame)
            bounds[low] = _end(self.band[0], "[", frame)
        if self.suggested is not None:
            bounds[frame.column(self.suggested)] = "^"
        for mark in self.points:
            points[frame.column(mark.rate)] = mark.letter
        lines = ("".join(cells) for cells in (bounds, points))
        return [text_line(" " * frame.gutter + line) for line in lines if line.strip()]


def marks_of(
    curves: Sequence[Curve],
    rates: tuple[float, float],
    bounds: tuple[float, float] | None,
    suggested: float | None,
) -> Marks:
    """Return what can be shown below the axis.

    Args:
        curves: Curves of the chart; a single one supplies what is not given, and its points.
        rates: Lowest and highest rate of the chart.
        bounds: Lower and upper bound, or None.
        suggested: Rate to start with, or None.
    """
    points: list[Mark] = []
    if len(curves) == 1:
        points = [mark for mark in _points(curves[0]) if within(mark.rate, rates)]
        bounds = bounds or curves[0].bounds
        suggested = curves[0].suggested if suggested is None else suggested
    return Marks(
        sorted(bounds) if bounds and all(map(known_rate, bounds)) else (),
        suggested if suggested is not None and within(suggested, rates) else None,
        points,
    )


def legend_lines(curves: Sequence[Curve], marks: Marks, width: int, glyphs: Glyphs) -> list[Text]:
    """Return the legend: the curves' names, then the marks, as many on a line as fit."""
    return [
        *_flowed(_names(curves, glyphs), width, glyphs),
        *_flowed(marks.entries(), width, glyphs),
    ]


def symbol_of(index: int) -> str:
    """Return the ASCII symbol of a curve."""
    return SYMBOLS[index % len(SYMBOLS)]


def colour_of(index: int) -> str:
    """Return the colour of a curve."""
    return COLOURS[index % len(COLOURS)]


def _points(curve: Curve) -> Iterator[Mark]:
    found = [
        ("s", "steepest", curve.steepest),
        *(("m", "local minimum", rate) for rate, _ in curve.other_minima),
        ("M", "minimum", curve.minimum),
        ("x", "divergence", curve.divergence),
    ]
    return (Mark(letter, name, rate) for letter, name, rate in found if rate is not None)


def _names(curves: Sequence[Curve], glyphs: Glyphs) -> Iterator[Entry]:
    for index, curve in enumerate(curves):
        label = one_line(curve.label)
        if curve.growing:
            pass
        elif not curve.measured:
            label += " (no loss)"
        elif not curve.conclusive:
            label += " (inconclusive)"
        if glyphs is ASCII:
            label = label.encode("ascii", "replace").decode()
        swatch = symbol_of(index) if glyphs is ASCII else "━━"
        yield f"{swatch} {label.strip()}", colour_of(index)


def _flowed(entries: Iterable[Entry], width: int, glyphs: Glyphs) -> list[Text]:
    lines: list[Text] = []
    for text, style in entries:
        if cell_len(text) > width:
            text = set_cell_size(text, width - len(glyphs.cut)) + glyphs.cut
        if lines and lines[-1].cell_len + len(BETWEEN) + cell_len(text) <= width:
            lines[-1].append(BETWEEN).append(text, style)
        else:
            lines.append(text_line("").append(text, style))
    return lines


def _end(rate: float, bracket: str, frame: Frame) -> str:
    """Return a bracket, or an arrow if the bound lies outside of the chart."""
    if within(rate, frame.rates):
        return bracket
    return "<" if rate < frame.rates[0] else ">"
