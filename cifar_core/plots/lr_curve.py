"""One measured curve of an LR-range test as plots take it, whatever draws them.

Nothing slow is imported here, so that a terminal's chart starts without matplotlib.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Curve", "known", "known_rate", "loss_range", "rate_range"]

CUT = 0.3
"""Share of its start by which a loss may rise above it and still be seen: further up there is only
divergence, next to which what comes before would be a flat line."""
HUGE = 1e30
"""Beyond it a number is no more than huge, and differences of such numbers would overflow."""


@dataclass(frozen=True)
class Curve:
    """One recipe's losses against the learning rate, and what was read off them.

    Attributes:
        label: The recipe in words.
        lr: The rates tried, ascending.
        loss: Loss at each rate, the median over the seeds, in nats; None and NaN are gaps.
        smoothed: `loss`, smoothed; likewise.
        start: The loss before anything was learned, or None.
        steepest: The rate at which `smoothed` falls most steeply, or None.
        minima: Rate and smoothed loss of every local minimum.
        minimum: The rate of the minimum that was chosen, or None.
        divergence: The rate from which the loss is back at its start or above, or None.
        low: Lower bound for a search, or None.
        high: Upper bound for a search, or None.
        suggested: A rate to start with, or None.
        growing: It is not measured to its end yet, so that nothing is said of it.
    """

    label: str
    lr: Sequence[float]
    loss: Sequence[float | None]
    smoothed: Sequence[float | None]
    start: float | None = None
    steepest: float | None = None
    minima: Sequence[tuple[float, float]] = ()
    minimum: float | None = None
    divergence: float | None = None
    low: float | None = None
    high: float | None = None
    suggested: float | None = None
    growing: bool = False

    @property
    def conclusive(self) -> bool:
        """Something was read off the curve that a search can use."""
        return any(rate is not None for rate in (self.minimum, self.low, self.high, self.suggested))

    @property
    def bounds(self) -> tuple[float, float] | None:
        """`low` and `high` where both are known."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def other_minima(self) -> list[tuple[float, float]]:
        """`minima` without the one that was chosen."""
        return [place for place in self.minima if place[0] != self.minimum]

    @property
    def measured(self) -> bool:
        """There is a loss to draw."""
        return any(known(loss) is not None for _, loss in self.points())

    def points(self) -> list[tuple[float, float | None]]:
        """Rate and smoothed loss of each step, None for a gap; without steps of unusable rate.

        >>> Curve("", [0.1, 1.0], [3.0, 2.0], [2.5, float("nan")]).points()
        [(0.1, 2.5), (1.0, None)]
        """
        pairs = zip(self.lr, self.smoothed, strict=False)
        return [(usable, known(loss)) for rate, loss in pairs if (usable := known_rate(rate))]

    def height(self, rate: float) -> float | None:
        """The smoothed loss at a rate, interpolated in log lr; beyond an end, that end's.

        >>> Curve("", [0.01, 1.0], [], [2.0, 1.0]).height(0.1)
        1.5

        Args:
            rate: Any rate.

        Returns:
            None if the rate is unusable or no loss is known.
        """
        points = sorted((lr, loss) for lr, loss in self.points() if loss is not None)
        if not points or known_rate(rate) is None:
            return None
        right = bisect_left(points, (rate, -math.inf))
        if right in (0, len(points)):
            return points[min(right, len(points) - 1)][1]
        (low, before), (high, after) = points[right - 1 : right + 1]
        span = math.log(high / low)
        # Neighbours among the floats have a quotient of exactly 1.
        return before + (after - before) * math.log(rate / low) / span if span else after


def known(loss: float | None) -> float | None:
    """A loss that can be drawn, or None.

    >>> known(2.3), known(float("inf")), known(1e200)
    (2.3, None, 1e+30)
    """
    if loss is None or not math.isfinite(loss):
        return None
    return min(max(loss, -HUGE), HUGE)


def known_rate(rate: float | None) -> float | None:
    """A rate that has a place on a logarithmic axis, or None.

    >>> known_rate(0.1), known_rate(0.0), known_rate(None)
    (0.1, None, None)
    """
    return rate if rate is not None and 1 / HUGE <= rate <= HUGE else None


def rate_range(curves: Iterable[Curve]) -> tuple[float, float] | None:
    """Lowest and highest rate tried, apart from each other; None if there are none.

    >>> rate_range([Curve("", [0.01, 0.1], [], []), Curve("", [0.1, 1.0], [], [])])
    (0.01, 1.0)
    """
    rates = [rate for curve in curves for rate in curve.lr if known_rate(rate)]
    if not rates:
        return None
    low, high = min(rates), max(rates)
    # What lies closer together than this is one place of the axis.
    return (low, high) if high > low * 1.001 else (low / 2, high * 2)


def loss_range(curves: Sequence[Curve], *, raw: bool) -> tuple[float, float] | None:
    """Lowest and highest loss that a plot shows, apart from each other; None if none is known.

    The start is shown too; what rises far above it is cut off.

    >>> loss_range([Curve("", [1, 2, 3], [1.5, 2.1, 9e9], [2.0, 1.8, 9e9], start=2.0)], raw=True)
    (1.5, 2.6)

    Args:
        curves: The curves of the plot.
        raw: Whether the losses before smoothing are shown too.
    """
    values = [loss for curve in curves for loss in _losses(curve, raw)]
    if not values:
        return None
    starts = [start for curve in curves if (start := _start(curve)) is not None]
    ceiling = max(start + CUT * abs(start) for start in starts) if starts else math.inf
    low = min([*values, *starts])
    high = max([*(min(value, ceiling) for value in values), *starts])
    if high - low > 1e-6 * max(abs(low), abs(high), 1e-3):
        return low, high
    margin = 0.05 * max(abs(high), 1.0)
    return low - margin, high + margin


def _losses(curve: Curve, raw: bool) -> list[float]:
    """All losses of a curve that can be drawn."""
    drawn = [*curve.smoothed, *(curve.loss if raw else ())]
    return [value for loss in drawn if (value := known(loss)) is not None]


def _start(curve: Curve) -> float | None:
    """The start; where it is not given, the first smoothed loss."""
    start = known(curve.start)
    if start is not None:
        return start
    return next((value for loss in curve.smoothed if (value := known(loss)) is not None), None)
