"""Loss against the learning rate as a chart of characters, for the terminal."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, groupby, pairwise
from operator import itemgetter

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.text import Text

from cifar_core.plots.lr_curve import Curve, known_rate, loss_range, rate_range
from search.formatting import number, one_line

__all__ = ["COLOURS", "chart"]

COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "bright_red", "white", "bright_black")
"""Names, which a terminal's own theme keeps legible; a ninth curve has the first again."""
SYMBOLS = "*o+#%@=&"
"""In ASCII, where curves can be told apart without colours too."""
NARROWEST = 30
FEWEST_ROWS = 3
ROOMY = 10
"""Lines from which one is spent on the axis of the rates itself."""
BRAILLE = 0x2800
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Unicode's numbers of the dots in a cell, by row and column."""
BETWEEN = "  "
Entry = tuple[str, str]
"""Text and its style."""


@dataclass(frozen=True)
class Glyphs:
    """What a chart is made of.

    Attributes:
        dots: Places in a cell, across and down.
        side: The axis of the losses.
        side_tick: The same where it has a label.
        corner: Where the axes meet.
        base: The axis of the rates.
        base_tick: The same where it has a label.
        cut: Stands where a text was cut off.
    """

    dots: tuple[int, int]
    side: str
    side_tick: str
    corner: str
    base: str
    base_tick: str
    cut: str


UNICODE = Glyphs((2, 4), "│", "┤", "└", "─", "┴", "…")
ASCII = Glyphs((1, 1), "|", "+", "+", "-", "+", "...")


@dataclass(frozen=True)
class Frame:
    """Where rates and losses lie.

    Attributes:
        gutter: Columns left of the panel, its side included.
        columns: Columns of the panel.
        rows: Lines of the panel.
        dots: Places in a cell, across and down.
        rates: Lowest and highest rate.
        losses: Lowest and highest loss.
    """

    gutter: int
    columns: int
    rows: int
    dots: tuple[int, int]
    rates: tuple[float, float]
    losses: tuple[float, float]

    def place(self, rate: float, loss: float) -> tuple[int, int]:
        """The dot of a point, from the left and from above; beyond an end, that end's."""
        low, high = map(math.log, self.rates)
        across = min(max((math.log(rate) - low) / (high - low), 0.0), 1.0)
        bottom, top = self.losses
        down = min(max((top - loss) / (top - bottom), 0.0), 1.0)
        return (
            round(across * (self.columns * self.dots[0] - 1)),
            round(down * (self.rows * self.dots[1] - 1)),
        )

    def column(self, rate: float) -> int:
        """The panel's column that a rate is in."""
        return self.place(rate, self.losses[0])[0] // self.dots[0]


@dataclass(frozen=True)
class Mark:
    """A point that was read off a curve.

    Attributes:
        letter: What marks it.
        name: Its name in the legend.
        rate: Where it is.
    """

    letter: str
    name: str
    rate: float


@dataclass(frozen=True)
class Below:
    """What is shown below the axis of the rates.

    Attributes:
        band: Lower and upper bound, or nothing.
        hint: The suggested rate, or nothing.
        marks: What was read off a single curve.
    """

    band: Sequence[float]
    hint: Sequence[float]
    marks: Sequence[Mark]

    @property
    def height(self) -> int:
        """Lines it takes."""
        return bool(self.band or self.hint) + bool(self.marks)

    def entries(self) -> list[Entry]:
        """Its entries in the legend."""
        band = [("[-] bounds", "")] if self.band else []
        hint = [("^ suggested", "")] if self.hint else []
        marks = dict.fromkeys(f"{mark.letter} {mark.name}" for mark in self.marks)
        return [*band, *hint, *((text, "") for text in marks)]

    def lines(self, frame: Frame) -> list[Text]:
        """Its lines, each with something in it."""
        bounds, marks = ([" "] * frame.columns for _ in range(2))
        if self.band:
            low, high = map(frame.column, self.band)
            bounds[low : high + 1] = "-" * (high + 1 - low)
            bounds[high] = _end(self.band[1], "]", frame)
            bounds[low] = _end(self.band[0], "[", frame)
        for rate in self.hint:
            bounds[frame.column(rate)] = "^"
        for mark in self.marks:
            marks[frame.column(mark.rate)] = mark.letter
        lines = ("".join(places) for places in (bounds, marks))
        return [_line(" " * frame.gutter + line) for line in lines if line.strip()]


def _end(rate: float, bracket: str, frame: Frame) -> str:
    """A bracket, or an arrow for what is out of sight."""
    if _within(rate, frame.rates):
        return bracket
    return "<" if rate < frame.rates[0] else ">"


def chart(
    curves: Sequence[Curve],
    width: int,
    height: int,
    bounds: tuple[float, float] | None = None,
    suggested: float | None = None,
    ascii_only: bool = False,
) -> RenderableType:
    """The smoothed losses against the logarithm of the learning rate.

    Below them are the bounds and, if there is one curve, what was read off it. What rises far above
    the loss at the start is drawn along the upper edge.

    Args:
        curves: One for each recipe that was measured.
        width: Columns there are, all of which are used; fewer than 30 cut the right of it off.
        height: Lines there are; the curves keep three even where the rest leaves them fewer.
        bounds: Lower and upper bound; if None and the curve is one, its own.
        suggested: The rate to start with; likewise.
        ascii_only: For terminals that have no more: a symbol a cell in place of Braille's eight dots.
    """
    rates, losses = rate_range(curves), loss_range(curves, raw=False)
    if rates is None or losses is None or not any(curve.measured for curve in curves):
        return _line("no loss to draw")
    glyphs = ASCII if ascii_only else UNICODE
    width = max(NARROWEST, width)
    below = _below(curves, rates, bounds, suggested)
    legend = [
        *_flowed(_names(curves, glyphs), width, glyphs),
        *_flowed(below.entries(), width, glyphs),
    ]
    rows = height - 1 - (height >= ROOMY) - below.height - len(legend)
    labels = _loss_labels(max(FEWEST_ROWS, rows), glyphs.dots[1], losses)
    gutter = max(map(len, labels)) + 1
    frame = Frame(gutter, width - gutter, len(labels), glyphs.dots, rates, losses)
    ticks = _ticks(frame)
    return Group(
        *_panel(curves, frame, labels, glyphs),
        *([_axis(frame, ticks, glyphs)] if height >= ROOMY else []),
        _line(_laid((_start(frame, column, text), text) for column, text in ticks)),
        *below.lines(frame),
        *legend,
    )


def _below(
    curves: Sequence[Curve],
    rates: tuple[float, float],
    bounds: tuple[float, float] | None,
    suggested: float | None,
) -> Below:
    """What can be shown; a single curve says what is not given."""
    marks: list[Mark] = []
    if len(curves) == 1:
        marks = _marks(curves[0], rates)
        bounds = bounds or curves[0].bounds
        suggested = curves[0].suggested if suggested is None else suggested
    return Below(
        sorted(bounds) if bounds and all(map(known_rate, bounds)) else [],
        [suggested] if suggested is not None and _within(suggested, rates) else [],
        marks,
    )


def _marks(curve: Curve, rates: tuple[float, float]) -> list[Mark]:
    """What was read off a curve; where two are in one column, the later is seen."""
    found = [
        ("s", "steepest", curve.steepest),
        *(("m", "local minimum", rate) for rate, _ in curve.other_minima),
        ("M", "minimum", curve.minimum),
        ("x", "divergence", curve.divergence),
    ]
    return [
        Mark(letter, name, rate)
        for letter, name, rate in found
        if rate is not None and _within(rate, rates)
    ]


def _panel(
    curves: Sequence[Curve], frame: Frame, labels: list[str], glyphs: Glyphs
) -> Iterator[Text]:
    cells = _cells(curves, frame)
    for row, label in enumerate(labels):
        side = glyphs.side_tick if label else glyphs.side
        line = _line(f"{label:>{frame.gutter - 1}}{side}")
        found = (cells.get((column, row), (" ", "")) for column in range(frame.columns))
        for style, run in groupby(found, key=itemgetter(1)):
            line.append("".join(symbol for symbol, _ in run), style)
        yield line


def _cells(curves: Sequence[Curve], frame: Frame) -> dict[tuple[int, int], Entry]:
    """What is drawn in each cell, by column and row; the last of several curves gives the colour."""
    across, down = frame.dots
    bits: dict[tuple[int, int], int] = {}
    cells: dict[tuple[int, int], Entry] = {}
    for index, curve in enumerate(curves):
        for x, y in _dots(curve, frame):
            cell = x // across, y // down
            bits[cell] = bits.get(cell, 0) | BITS[y % down][x % across]
            symbol = _symbol(index) if frame.dots == ASCII.dots else chr(BRAILLE + bits[cell])
            cells[cell] = symbol, _colour(index)
    return cells


def _dots(curve: Curve, frame: Frame) -> Iterator[tuple[int, int]]:
    """The dots of a curve, those between its points included; gaps stay."""
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


def _loss_labels(rows: int, dots: int, losses: tuple[float, float]) -> list[str]:
    """For each line the loss in its middle, or nothing: three or four of them have a label.

    Args:
        rows: Lines, at least 3.
        dots: Places in a line, one above the other.
        losses: The losses of the lowest and the highest place.
    """
    low, high = losses
    spaces = 3 if rows >= 8 else 2
    labelled = {round(index * (rows - 1) / spaces) for index in range(spaces + 1)}
    middles = (row * dots + (dots - 1) / 2 for row in range(rows))
    values = [high - (high - low) * middle / (rows * dots - 1) for middle in middles]
    plain = high - low >= 0.1 and max(abs(low), abs(high)) < 1000
    return [
        (f"{value:.2f}" if plain else f"{value:.4g}") if row in labelled else ""
        for row, value in enumerate(values)
    ]


def _ticks(frame: Frame) -> list[tuple[int, str]]:
    """Column and text of as many powers of ten as there is room for; without two of them the ends."""
    low, high = map(math.log10, frame.rates)
    # A last rate of 9.999999 was meant to be 10.
    powers = range(math.ceil(low - 1e-6), math.floor(high + 1e-6) + 1)
    rates = [10.0**power for power in powers] if len(powers) > 1 else frame.rates
    every = [(frame.column(rate), _rate(rate)) for rate in rates]
    return next(ticks for stride in count(1) if _fit(frame, ticks := every[::stride]))


def _fit(frame: Frame, ticks: Sequence[tuple[int, str]]) -> bool:
    """No label touches the next."""
    return all(
        _start(frame, *left) + len(left[1]) < _start(frame, *right)
        for left, right in pairwise(ticks)
    )


def _start(frame: Frame, column: int, text: str) -> int:
    """Where a label begins that is to be below a column of the panel."""
    middle = frame.gutter + column - len(text) // 2
    return min(max(middle, 0), frame.gutter + frame.columns - len(text))


def _axis(frame: Frame, ticks: Iterable[tuple[int, str]], glyphs: Glyphs) -> Text:
    columns = {column for column, _ in ticks}
    base = (glyphs.base_tick if at in columns else glyphs.base for at in range(frame.columns))
    return _line(f"{glyphs.corner:>{frame.gutter}}{''.join(base)}")


def _names(curves: Sequence[Curve], glyphs: Glyphs) -> Iterator[Entry]:
    """The curves in the legend."""
    for index, curve in enumerate(curves):
        label = one_line(curve.label)
        if not curve.measured:
            label += " (no loss)"
        elif not curve.conclusive:
            label += " (inconclusive)"
        if glyphs is ASCII:
            label = label.encode("ascii", "replace").decode()
        swatch = _symbol(index) if glyphs is ASCII else "━━"
        yield f"{swatch} {label.strip()}", _colour(index)


def _flowed(entries: Iterable[Entry], width: int, glyphs: Glyphs) -> list[Text]:
    """The entries of the legend, as many on a line as fit; one that is wider than a line is cut."""
    lines: list[Text] = []
    for text, style in entries:
        if cell_len(text) > width:
            text = set_cell_size(text, width - len(glyphs.cut)) + glyphs.cut
        if lines and lines[-1].cell_len + len(BETWEEN) + cell_len(text) <= width:
            lines[-1].append(BETWEEN).append(text, style)
        else:
            lines.append(_line("").append(text, style))
    return lines


def _laid(items: Iterable[tuple[int, str]]) -> str:
    """Texts on one line, each at its place, by ascending place."""
    line = ""
    for start, text in items:
        line = line.ljust(start) + text
    return line


def _within(rate: float, rates: tuple[float, float]) -> bool:
    """The rate is between both, or lies next to one of them by rounding."""
    return rates[0] * (1 - 1e-6) <= rate <= rates[1] * (1 + 1e-6)


def _rate(rate: float) -> str:
    return number(rate) if rate < 1e4 else f"{rate:.0e}".replace("e+0", "e+")


def _symbol(index: int) -> str:
    return SYMBOLS[index % len(SYMBOLS)]


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _line(text: str) -> Text:
    """One line, whatever its length."""
    return Text(text, no_wrap=True, overflow="crop")
