"""What other tools suggest as the learning rate, from the same recorded sweep.

    suggested = {name: formula(sweep.lr, sweep.loss) for name, formula in FORMULAS.items()}

Each formula does to the raw losses of a sweep all that its tool does: smooths them, stops where the
tool would have stopped, leaves out the tool's first and last points, and suggests. Only the ramp is
not the tool's own, which by default has 100 steps: fastai's from 1e-7 to 10, torch-lr-finder's to
10, Lightning's from 1e-8 to 1.

All take the same two arguments:
    lr: The rates of the whole ramp, above 0 and ascending, with those that were not reached: fastai
        leaves out the more points the more rates there were to be.
    loss: The raw loss at each of them, above 0. Where it is shorter than `lr`, the loss had become
        NaN, and a tool would have gone on and recorded NaN. So a sweep that ends early for another
        reason misleads: sweep `to_the_end`.

They give a rate, or None where the tool would raise an exception or suggest nothing, and raise
ValueError if there are more losses than rates. All is reckoned in doubles. fastai smooths and
compares in single precision, Lightning compares in it: where the raw loss does not change at all,
their roundings suggest other rates.

Sources, read in 2026: fastai 2.8.12 (`callback/schedule.py`, `learner.py`), torch-lr-finder 0.2.2
and commit 00abb90 of its repository (`lr_finder.py`), Lightning 2.6.6
(`pytorch/tuner/lr_finder.py`, and `pytorch/loops/training_epoch_loop.py` for what counts as a step
when).
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FORMULAS",
    "Formula",
    "fastai_minimum",
    "fastai_slide",
    "fastai_steep",
    "fastai_valley",
    "lightning",
    "torch_lr_finder",
]

Formula = Callable[[Sequence[float], Sequence[float]], float | None]
"""From the rates and the raw losses of one sweep to the rate suggested, if any."""

# What each tool has by default: points left out at the ends, times the best that stop it, weights.
FASTAI_LAST, FASTAI_DIVERGED = 5, 4.0
SLIDE_STEPS, SLIDE_THRESHOLD = 15, 0.005
TORCH_FIRST, TORCH_LAST, TORCH_DIVERGED, TORCH_WEIGHT = 10, 5, 5.0, 0.05
LIGHTNING_FIRST, LIGHTNING_LAST, LIGHTNING_DIVERGED = 10, 1, 4.0
BETA = 0.98
"""How much of fastai's and Lightning's moving average stays at each step."""


def fastai_valley(lr: Sequence[float], loss: Sequence[float]) -> float | None:
    """The middle of the longest valley: fastai 2.8.12, `valley`, the default of its `lr_find`.

    The valley is the longest choice of points, neighbours or not, each lower than the one before.
    The rate is that of the point L - L//3 - L//6 before the valley's end, L being how many it has:
    its middle if they are neighbours. A curve that never falls gives its first rate, and one that
    falls once, at its first step, its last: there fastai's index is -1.
    """
    rates, losses = _fastai_curve(lr, loss)
    if not losses:
        return None
    lengths = _falls(losses)
    longest = max(lengths)
    start = lengths.index(longest) - longest if longest > 1 else 0
    return rates[start + longest // 3 + longest // 6]


def fastai_slide(lr: Sequence[float], loss: Sequence[float]) -> float | None:
    """The left end of an interval slid down the slope: fastai 2.8.12, `slide`.

    The interval is 15 steps wide and begins at the curve's end. It moves down step by step while
    the slopes at its two ends, in nats a step, differ by more than 0.005; the left end of the last
    that did is suggested, or of the first if none did. A factor that the rate can be multiplied by
    is 1 by default.
    """
    rates, losses = _fastai_curve(lr, loss)
    if len(losses) <= SLIDE_STEPS:
        return None
    slope = _slopes(losses)
    differs = np.abs(slope[SLIDE_STEPS:] - slope[:-SLIDE_STEPS]) > SLIDE_THRESHOLD
    slides = len(differs) if differs.all() else int(np.argmin(differs[::-1]))
    return rates[len(differs) - max(1, slides)]


def fastai_steep(lr: Sequence[float], loss: Sequence[float]) -> float | None:
    """The lower rate of the steepest step: fastai 2.8.12, `steep`.

    Steepness is the loss's fall from one point to the next against the logarithm of the rate.
    """
    rates, losses = _fastai_curve(lr, loss)
    if len(losses) < 2:
        return None
    return rates[int(np.argmin(np.diff(losses) / np.diff(np.log(rates))))]


def fastai_minimum(lr: Sequence[float], loss: Sequence[float]) -> float | None:
    """A tenth of the rate at the lowest loss: fastai 2.8.12, `minimum`."""
    rates, losses = _fastai_curve(lr, loss)
    return rates[int(np.argmin(losses))] / 10 if losses else None


def torch_lr_finder(lr: Sequence[float], loss: Sequence[float]) -> float | None:
    """The steepest point, step by step: torch-lr-finder 0.2.2, `LRFinder.plot` (the same in 00abb90).

    Each loss enters the moving average with weight 0.05, and the sweep stops above five times the
    best. The first 10 and the last 5 points are left out; of the others, the one whose neighbours'
    difference is lowest is suggested. NumPy's `argmin` counts NaN as lowest of all: a loss that
    ended in NaN makes the tool suggest the last rate before.
    """
    smoothed = _until_diverged(_weighted(_recorded(lr, loss)), TORCH_DIVERGED)
    shown = smoothed[TORCH_FIRST:-TORCH_LAST]
    if len(shown) < 2:
        return None
    return lr[TORCH_FIRST + int(np.argmin(_slopes(shown)))]


def lightning(lr: Sequence[float], loss: Sequence[float]) -> float | None:
    """The steepest point, by rate: Lightning 2.6.6, `_LRFinder.suggestion` (the same in 0012782).

    The moving average is fastai's, but for its correction, which is one step ahead: a step has been
    counted already when its loss is smoothed. So the curve begins at 1/1.98 of the first loss, and
    as the sweep stops above four times the best, it stops at twice the start or before. The first
    10 points, the last one and all that are not finite are left out; of the others, the one with
    the lowest gradient is suggested, taken against the rate and not its logarithm.
    """
    averages = _debiased(_recorded(lr, loss), ahead=1)
    smoothed = _until_diverged(averages, LIGHTNING_DIVERGED)
    shown = list(zip(lr, smoothed, strict=False))[LIGHTNING_FIRST:-LIGHTNING_LAST]
    finite = [(rate, value) for rate, value in shown if math.isfinite(value)]
    if len(finite) < 2:
        return None
    rates, losses = zip(*finite, strict=True)
    return float(rates[int(np.argmin(np.gradient(losses, rates)))])


FORMULAS: dict[str, Formula] = {
    "fastai valley": fastai_valley,
    "fastai slide": fastai_slide,
    "fastai steep": fastai_steep,
    "fastai minimum": fastai_minimum,
    "torch-lr-finder": torch_lr_finder,
    "Lightning": lightning,
}
"""Every formula under its tool's name, and its own where the tool has several."""


def _fastai_curve(
    lr: Sequence[float], loss: Sequence[float]
) -> tuple[Sequence[float], list[float]]:
    """What fastai 2.8.12 hands to its suggestions (`Recorder`, `LRFinder` and `lr_find`).

    The losses are moving averages, corrected for their start at 0. Training stops with the first
    above four times the best. A tenth of the ramp's steps is left out at the start and 5 points at
    the end; what remains is cut before its first NaN, which does not stop the training.
    """
    smoothed = _until_diverged(_debiased(_recorded(lr, loss)), FASTAI_DIVERGED)
    first = len(lr) // 10
    losses = list(takewhile(lambda value: not math.isnan(value), smoothed[first:-FASTAI_LAST]))
    return lr[first : first + len(losses)], losses


def _recorded(lr: Sequence[float], loss: Sequence[float]) -> list[float]:
    """The losses that a tool would have seen: NaN to the ramp's end if they ended early."""
    if len(loss) > len(lr):
        raise ValueError(f"`loss` must be no longer than `lr`, but got {len(loss)} and {len(lr)}.")
    return [*loss, *[math.nan] * (len(lr) - len(loss))]


def _debiased(losses: Iterable[float], ahead: int = 0) -> Iterator[float]:
    """A moving average from 0, divided by the weight of as many steps, or of `ahead` more."""
    average = 0.0
    for step, value in enumerate(losses, start=1):
        average += (1 - BETA) * (value - average)
        yield average / (1 - BETA ** (step + ahead))


def _weighted(losses: Iterable[float]) -> Iterator[float]:
    """A moving average from the first loss."""
    average: float | None = None
    for value in losses:
        average = value if average is None else TORCH_WEIGHT * value + (1 - TORCH_WEIGHT) * average
        yield average


def _until_diverged(smoothed: Iterable[float], times: float) -> list[float]:
    """The curve up to its first point above so many times the lowest, with that point."""
    kept: list[float] = []
    lowest = math.inf
    for value in smoothed:
        kept.append(value)
        lowest = min(lowest, value)  # NaN is never below, nor is anything above it
        if value > times * lowest:
            break
    return kept


def _falls(losses: Sequence[float]) -> list[int]:
    """For each point, the length of the longest choice of strictly falling points that it ends."""
    tails: list[float] = []  # ascending: for each length, the highest point that ends it, negated
    lengths = []
    for value in losses:
        at = bisect_left(tails, -value)
        tails[at : at + 1] = [-value]
        lengths.append(at + 1)
    return lengths


def _slopes(losses: Sequence[float]) -> NDArray[np.float64]:
    """Half the difference between a point's neighbours; at the ends, that from the only one."""
    with np.errstate(invalid="ignore"):  # infinite losses differ by NaN, in the tools too
        return np.asarray(np.gradient(losses))
