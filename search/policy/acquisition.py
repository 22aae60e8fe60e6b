"""The choice between continuing a paused trial and starting a new one.

The measure is the improvement that is expected if a training goes on for h epochs: how much better it is
than the best score so far plus a margin T, where h and T are drawn anew, log-uniformly, for every decision,
as in MFPI-random (Rakotoarison et al. 2024, "In-Context Freeze-Thaw Bayesian Optimization", arXiv
2404.16795, section 4). A short horizon favours what is nearly done, a long one what may still become good;
a small margin favours what is surely a little better, a large one what is uncertain. MFPI-random itself has
the probability of an improvement, to which a copy of the best is worth as much as what may be far better.

It is divided by a power of the seconds that an epoch takes. With the full power, a search keeps to what is
cheap and poor for too long; to count the horizon in seconds instead was worse still, by seconds, too.

New configurations to choose among are random ones and changes of the best (as CARBS, Fetterman et al. 2023,
arXiv 2306.08055, searches around the best it has).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, ndtr

__all__ = ["COST_POWER", "MARGIN", "Horizon", "log_improvement", "mutated", "next_look"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MARGIN = (-4.0, -1.0)
"""Decimal logarithms of the smallest and the largest margin, as shares of the range of all scores."""
COST_POWER = 0.25
"""Power of the cost of an epoch that the probability is divided by."""
FAR = 1e3
"""Standard deviations below the threshold beyond which the share of the density that is expected stays."""
HALF_LOG_2_PI = 0.5 * np.log(2.0 * np.pi)
SHARES = (0.1, 0.25, 0.5)
"""Shares of the parameters that are changed."""
STEPS = (0.1, 0.25, 0.5)
"""Standard deviations of the changes, as shares of a parameter's range; smaller ones find copies."""


@dataclass(frozen=True)
class Horizon:
    """The horizon and margin of one decision.

    Attributes:
        epochs: Epochs that a trial may be continued for, at least 1.
        margin: By how much the best score is to be bettered, as a share of the range of all scores.
    """

    epochs: int
    margin: float

    @classmethod
    def drawn(cls, epochs: int, rng: np.random.Generator) -> "Horizon":
        """Return a random one, for trainings of `epochs` epochs."""
        work = float(np.exp(rng.uniform(0.0, np.log(epochs + 0.99))))
        return cls(int(work), float(10.0 ** rng.uniform(*MARGIN)))

    def reach(self, at: Ints, looks: Sequence[int]) -> Ints:
        """Return the epoch that each candidate would come to.

        Args:
            at: (n,) epochs that it was trained for.
            looks: The epochs at which trials may pause, the last of a whole training at their end.

        Returns:
            (n,) epochs, from the next look to the last.
        """
        return np.asarray(np.clip(at + self.epochs, next_look(at, looks), looks[-1]))


def next_look(at: Ints, looks: Sequence[int]) -> Ints:
    """(n,) the first look behind each epoch; the last one for those that are there."""
    places = np.searchsorted(np.asarray(looks), at, side="right")
    return np.asarray(looks)[np.minimum(places, len(looks) - 1)]


def log_improvement(mean: Floats, deviation: Floats, threshold: float) -> Floats:
    """Return the logarithm of the expected improvement over `threshold`, (n,).

    It stays finite and tells candidates apart however small it is (Ament et al. 2023, "Unexpected
    Improvements to Expected Improvement for Bayesian Optimization", arXiv 2310.20708).

    Args:
        mean: (n,) predicted scores.
        deviation: (n,) their standard deviations, above 0.
        threshold: The score to be bettered.
    """
    z = (mean - threshold) / deviation
    high, low = np.maximum(z, 0.0), np.minimum(z, 0.0)
    above = np.log(np.exp(-0.5 * high**2 - HALF_LOG_2_PI) + high * ndtr(high))
    # The expectation over the density at z: 1 + z times the Mills ratio, which is 1 / z^2 far out.
    near = np.maximum(low, -FAR)
    share = 1.0 + near * np.sqrt(np.pi / 2.0) * erfcx(-near / np.sqrt(2.0))
    below = -0.5 * low**2 - HALF_LOG_2_PI + np.log(share)
    return np.asarray(np.log(deviation) + np.where(z > 0.0, above, below))


def mutated(best: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Changes of the best configurations: one to half of the parameters, by steps of several sizes.

    Args:
        best: (b, p) coordinates.
        count: How many are wanted.
        rng: Where the random choices come from.

    Returns:
        (count, p) coordinates, reflected at the ends of the ranges.
    """
    p = best.shape[1]
    changed = best[rng.integers(len(best), size=count)]
    which = rng.random((count, p)) < rng.choice(SHARES, (count, 1))
    which[np.arange(count), rng.integers(p, size=count)] = True
    steps = rng.normal(0.0, 1.0, (count, p)) * rng.choice(STEPS, (count, 1))
    moved = np.abs(changed + which * steps)
    return np.asarray(np.clip(np.where(moved > 1.0, 2.0 - moved, moved), 0.0, 1.0))
