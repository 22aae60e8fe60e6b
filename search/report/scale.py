"""Axes of charts: which range they show, where their ticks are, and what stands at them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from search.formatting import number

__all__ = ["Scale", "linear_scale", "log_scale", "name_scale"]

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """A direction of a chart.

    Attributes:
        low: Value at its beginning.
        high: Value at its end.
        ticks: Values that are marked, with their labels.
        log: Equal distances are equal factors.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def part(self, value: float) -> float:
        """Return where a value lies, 0 at the beginning to 1 at the end; others are moved to an end.

        >>> linear_scale([0, 10]).part(5), log_scale([1, 100]).part(10)
        (0.5, 0.5)
        """
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-300))
        return min(max((value - low) / (high - low), 0.0), 1.0)


def linear_scale(
    values: Sequence[float],
    ticks: int = 5,
    label: Callable[[float], str] = lambda value: f"{value:g}",
    *,
    least: float | None = None,
    most: float | None = None,
    whole: bool = False,
) -> Scale:
    """Return a scale that has all values between round ticks.

    Args:
        values: The finite values to show; none is as if it were 0 and 1.
        ticks: About how many ticks there are.
        label: What stands at a tick.
        least: Value below which it never begins.
        most: Value above which it never ends.
        whole: Only whole numbers are marked.

    >>> linear_scale([0.2, 9.7]).ticks
    ((0.0, '0'), (2.0, '2'), (4.0, '4'), (6.0, '6'), (8.0, '8'), (10.0, '10'))
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-12:
        low, high = low - 0.5 * max(abs(low), 1e-3), high + 0.5 * max(abs(high), 1e-3)
    rough = (high - low) / max(ticks, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in STEPS if one * power >= rough * 0.999)
    if whole:
        step = float(max(1, math.ceil(step - 1e-9)))
    first, last = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    start = first if least is None else max(first, least)
    end = last if most is None else min(last, most)
    marks = [first + one * step for one in range(round((last - first) / step) + 1)]
    shown = tuple((one, label(one)) for one in marks if start - 1e-9 <= one <= end + 1e-9)
    return Scale(start, end, shown)


def log_scale(values: Sequence[float], ticks: int = 6) -> Scale:
    """Return a logarithmic scale from the smallest to the largest value, both above 0.

    >>> [label for _, label in log_scale([0.001, 0.1]).ticks]
    ['0.001', '0.003', '0.01', '0.03', '0.1']
    """
    low, high = (min(values), max(values)) if values else (0.1, 1.0)
    if high / low < 1.001:
        low, high = low / 2, high * 2
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = math.log10(high / low)
    factors = (1.0,) if decades > 2.5 else (1.0, 3.0)
    every = max(1, round(decades / ticks))
    marks = [factor * 10.0**power for power in range(first, last + 1, every) for factor in factors]
    # The ends are marked, and what is far enough from them.
    away = 10 ** (decades / ticks)
    between = [one for one in marks if low * away**0.6 <= one <= high / away**0.6]
    shown = tuple((one, number(one)) for one in (low, *between, high))
    return Scale(low, high, shown, log=True)


def name_scale(names: Sequence[str]) -> Scale:
    """Return a scale with a place for each name, at 0, 1, 2, ...

    >>> name_scale(["a", "b"]).part(0)
    0.25
    """
    return Scale(-0.5, len(names) - 0.5, tuple((float(i), name) for i, name in enumerate(names)))
