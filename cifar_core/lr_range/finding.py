"""Findings of sweeps: where a recipe's loss falls, where it is lowest, where to search."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_core.lr_range.minima import Minimum, local_minima
from cifar_core.lr_range.smoothing import smooth
from cifar_core.lr_range.sweep import CEILING, CHECK_EVERY, NEEDED_FALL, Sweep

__all__ = ["Finding", "find_bounds"]

BASIN = 0.9
"""The rates at which the loss is down by this share of its fall are the basin. Its middle says more than
its lowest point, which wanders along a flat bottom."""
BELOW, ABOVE = -1.15, 0.35
"""Bounds, in decades from the basin's middle. See docs/LR_RANGE.md for what they rest on."""
SUGGESTED, PER_DECADE, FARTHEST_HEADROOM = -0.55, 0.35, 2.0
"""First rate, in decades from the basin's middle: 0.55 below it, and 0.35 higher for each decade
from the middle to where the loss is back at its start, of at most two. A network that bears far more than
it needs, as one with BatchNorm does, ends best at a higher rate than a short sweep shows."""
OTHER_MINIMUM = 0.1
"""Share of the fall by which the loss must rise and fall again to make two minima of one."""

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """Result of one or several sweeps of the same recipe. All rates are learning rates.

    Attributes:
        lr: The rates tried, ascending.
        loss: Median loss over the sweeps at each rate, at most a quarter above its start.
        smoothed: `loss`, smoothed by a centred window in log lr.
        epochs: What all the sweeps cost, in passes over the training images.
        start: The loss before anything was learned, or None where it was non-finite.
        steepest: The rate of the steepest fall, or None where there is no conclusion.
        minima: Every local minimum of `smoothed`.
        minimum: The one that counts, or None: of several that are about as deep the one at the largest
            rate. Both may be tried.
        divergence: The rate above the minimum at which the loss is back at its start, or None.
        low: Lower bound for a search, or None.
        high: Upper bound for a search, or None.
        suggested: A rate to start with, or None.
        reason: Why there is no conclusion, in a sentence; None if there is one.
    """

    lr: tuple[float, ...]
    loss: tuple[float, ...]
    smoothed: tuple[float, ...]
    epochs: float
    start: float | None = None
    steepest: float | None = None
    minima: tuple[Minimum, ...] = ()
    minimum: float | None = None
    divergence: float | None = None
    low: float | None = None
    high: float | None = None
    suggested: float | None = None
    reason: str | None = None

    @property
    def conclusive(self) -> bool:
        """The sweeps say where to search."""
        return self.reason is None

    @property
    def too_flat(self) -> bool:
        """There is no conclusion because the loss hardly fell; with more steps it may fall."""
        return self.start is not None and self.start - min(self.smoothed) < NEEDED_FALL

    @property
    def words(self) -> str:
        """Return the advice that follows, in a sentence or two.

        >>> Finding((), (), (), 1.0, low=0.0021, high=0.066, suggested=0.0104).words
        'Search lr between 0.0021 and 0.066; start at 0.01.'
        """
        if self.low is None or self.high is None or self.suggested is None:
            return f"Inconclusive: {self.reason}"
        text = (
            f"Search lr between {self.low:.2g} and {self.high:.2g}; start at {self.suggested:.2g}."
        )
        if len(self.minima) > 1:
            rates = ", ".join(f"{one.lr:.2g}" for one in self.minima)
            text += (
                f" The loss has {len(self.minima)} minima, at {rates}: the one at {self.minimum:.2g} "
                "counts, the largest rate of those about as deep as the deepest; or try them all."
            )
        return text

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, with the digits that a plot shows; null for non-finite values."""
        plain = asdict(self)
        for key in ("lr", "loss", "smoothed"):
            plain[key] = [_rounded(value) for value in plain[key]]
        return {**plain, "conclusive": self.conclusive, "words": self.words}


def find_bounds(sweeps: Sequence[Sweep]) -> Finding:
    """Bounds for a search, from sweeps of one recipe over several seeds.

    Args:
        sweeps: At least one; all over the same rates.
    """
    lr = sweeps[0].lr
    epochs = math.fsum(one.epochs for one in sweeps)
    first = [loss for one in sweeps for loss in one.loss[:CHECK_EVERY]]
    if not first:
        blank = (math.nan,) * len(lr)
        return Finding(lr, blank, blank, epochs, reason="The loss was non-finite from the start.")
    start = float(np.median(first))
    loss = _median(sweeps, start * CEILING)
    decades = np.log10(lr)
    smoothed = smooth(decades, loss)
    curves = (lr, tuple(loss.tolist()), tuple(smoothed.tolist()), epochs, start)
    fall = start - float(smoothed.min())
    if fall < NEEDED_FALL:
        return Finding(*curves, reason=_too_flat(start, fall, lr))
    minima = local_minima(lr, curves[2], OTHER_MINIMUM * fall)
    deep = [one for one in minima if one.loss <= start - BASIN * fall]
    if not deep:
        rises = smoothed[int(smoothed.argmin()) :].max() - smoothed.min() >= OTHER_MINIMUM * fall
        return Finding(*curves, minima=minima, reason=_not_seen(lr, rises=bool(rises)))
    bottom = lr.index(deep[-1].lr)
    edge = start - BASIN * fall
    middle = (
        _crossing(decades[bottom::-1], smoothed[bottom::-1], edge)
        + _crossing(decades[bottom:], smoothed[bottom:], edge)
    ) / 2
    above = np.flatnonzero(smoothed[bottom:] >= start)
    divergence = lr[bottom + int(above[0])] if len(above) else None
    headroom = math.log10(divergence or lr[-1]) - middle
    return Finding(
        *curves,
        steepest=lr[_steepest(decades, smoothed, bottom)],
        minima=minima,
        minimum=lr[bottom],
        divergence=divergence,
        low=10 ** (middle + BELOW),
        # What lies above the sweep was not measured.
        high=min(10 ** (middle + ABOVE), divergence or math.inf, lr[-1]),
        suggested=10 ** (middle + SUGGESTED + PER_DECADE * min(headroom, FARTHEST_HEADROOM)),
    )


def _median(sweeps: Sequence[Sweep], ceiling: float) -> Curve:
    """The median at each rate. Where a sweep had ended, and above the ceiling, a rate is just too high."""
    curves = np.full((len(sweeps), len(sweeps[0].lr)), ceiling)
    for row, one in zip(curves, sweeps, strict=True):
        row[: len(one.loss)] = np.fmin(one.loss, ceiling)
    median: Curve = np.median(curves, axis=0)
    return median


def _too_flat(start: float, fall: float, lr: Sequence[float]) -> str:
    return (
        f"The loss hardly fell: from {start:.3f} by {max(fall, 0.0):.3f} between lr {lr[0]:.0e} and "
        f"{lr[-1]:.0e}, but at least {NEEDED_FALL} are needed to recognise a good rate."
    )


def _not_seen(lr: Sequence[float], *, rises: bool) -> str:
    """Why a loss that falls has no minimum inside of the sweep."""
    if rises:
        return (
            f"The loss fell from the lowest rate on, {lr[0]:.2g}, so its start was not seen. "
            "Sweep from a lower rate."
        )
    return (
        f"The loss was still falling at the highest rate, {lr[-1]:.2g}: what lies above it must be "
        "seen. Sweep to a higher rate."
    )


def _crossing(decades: Curve, smoothed: Curve, edge: float) -> float:
    """Return the rate at which the loss, outwards from the minimum, first rises above the edge."""
    outside = np.flatnonzero(smoothed > edge)
    if not len(outside):
        return float(decades[-1])
    out = int(outside[0])
    share = (edge - smoothed[out - 1]) / (smoothed[out] - smoothed[out - 1])
    return float(decades[out - 1] + share * (decades[out] - decades[out - 1]))


def _steepest(decades: Curve, smoothed: Curve, bottom: int) -> int:
    """Return the rate at which the loss falls fastest per decade on its way to the minimum."""
    return int(np.argmin(np.gradient(smoothed[: bottom + 1], decades[: bottom + 1])))


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
