"""Geometry of a chart in the terminal: its cells, axes and their labels."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise

from rich.text import Text

from search.formatting import number

__all__ = [
    "ASCII",
    "UNICODE",
    "Frame",
    "Glyphs",
    "axis",
    "loss_labels",
    "text_line",
    "tick_line",
    "within",
]


@dataclass(frozen=True)
class Glyphs:
    """Characters that a chart is made of.

    Attributes:
        dots: Dots per cell, across and down.
        side: Axis of the losses.
        side_tick: The same beside a label.
        corner: Meeting point of the axes.
        base: Axis of the rates.
        base_tick: The same above a label.
        cut: End of a text that was cut off.
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
    """Position and scale of the panel in which the curves are drawn.

    Attributes:
        gutter: Columns left of the panel, including the axis of the losses.
        columns: Columns of the panel.
        rows: Lines of the panel.
        dots: Dots per cell, across and down.
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
        """Return the dot of a point, counted from the left and from the top; clipped to the panel."""
        low, high = map(math.log, self.rates)
        across = min(max((math.log(rate) - low) / (high - low), 0.0), 1.0)
        bottom, top = self.losses
        down = min(max((top - loss) / (top - bottom), 0.0), 1.0)
        return (
            round(across * (self.columns * self.dots[0] - 1)),
            round(down * (self.rows * self.dots[1] - 1)),
        )

    def column(self, rate: float) -> int:
        """Return the panel's column that a rate falls into."""
        return self.place(rate, self.losses[0])[0] // self.dots[0]

    def ticks(self) -> list[tuple[int, str]]:
        """Return column and label of as many powers of ten as fit; of both ends if there is only one."""
        low, high = map(math.log10, self.rates)
        # A last rate of 9.999999 was meant to be 10.
        powers = range(math.ceil(low - 1e-6), math.floor(high + 1e-6) + 1)
        rates = [10.0**power for power in powers] if len(powers) > 1 else self.rates
        every = [(self.column(rate), _rate(rate)) for rate in rates]
        return next(ticks for stride in count(1) if _fit(self, ticks := every[::stride]))

    def start(self, column: int, text: str) -> int:
        """Return where a label starts that is centred below a column of the panel."""
        middle = self.gutter + column - len(text) // 2
        return min(max(middle, 0), self.gutter + self.columns - len(text))


def axis(frame: Frame, ticks: Iterable[tuple[int, str]], glyphs: Glyphs) -> Text:
    """Return the axis of the rates."""
    columns = {column for column, _ in ticks}
    base = (glyphs.base_tick if at in columns else glyphs.base for at in range(frame.columns))
    return text_line(f"{glyphs.corner:>{frame.gutter}}{''.join(base)}")


def tick_line(frame: Frame, ticks: Iterable[tuple[int, str]]) -> Text:
    """Return the labels of the rates, each below its tick."""
    line = ""
    for column, text in ticks:
        line = line.ljust(frame.start(column, text)) + text
    return text_line(line)


def loss_labels(rows: int, dots: int, losses: tuple[float, float]) -> list[str]:
    """Return for each line the loss at its middle, or an empty string: three or four have a label.

    Args:
        rows: Lines, at least 3.
        dots: Dots per line, one above the other.
        losses: Losses at the lowest and at the highest dot.
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


def within(rate: float, rates: tuple[float, float]) -> bool:
    """Return whether a rate lies between two others, allowing for rounding."""
    return rates[0] * (1 - 1e-6) <= rate <= rates[1] * (1 + 1e-6)


def text_line(text: str) -> Text:
    """Return a text that stays on one line, whatever its length."""
    return Text(text, no_wrap=True, overflow="crop")


def _fit(frame: Frame, ticks: Sequence[tuple[int, str]]) -> bool:
    """Return whether no label touches the next."""
    return all(
        frame.start(*left) + len(left[1]) < frame.start(*right) for left, right in pairwise(ticks)
    )


def _rate(rate: float) -> str:
    return number(rate) if rate < 1e4 else f"{rate:.0e}".replace("e+0", "e+")
