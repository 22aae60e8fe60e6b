"""Intervals of accuracies and of their differences, from a few trainings scored on the same images.

Whether training s of contender c classifies image i right is taken to be the sum of what the contender is
worth, what this training is worth, what the contender makes of the image, and the rest: trainings and
images are crossed. The mean over n trainings and N images then varies by three parts,

    seed part / n  +  image part / N  +  rest / (n N),

of which the differences of two contenders share the images: a hard image is hard for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
import numpy.typing as npt

__all__ = ["LEVEL", "Estimate", "Noise", "quantile"]

LEVEL = 0.95
"""Share of confirmations in which all intervals of differences hold."""
TYPICAL_SPREAD = 0.007
"""Standard deviation of an accuracy between seeds, on infinitely many images, before anything is measured.
See docs/CONFIRMATION.md."""
TRUST = 4.0
"""Degrees of freedom that `TYPICAL_SPREAD` counts for."""

Answers = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval.

    Attributes:
        value: The figure.
        half_width: Half the width of its interval.
    """

    value: float
    half_width: float

    @property
    def told_apart(self) -> bool:
        """The interval does not include 0."""
        return bool(abs(self.value) > self.half_width)


class Noise:
    """The noise of some contenders' trainings, estimated from all of them together.

    Args:
        answers: For each contender (n, N): whether its n trainings classify the N images right. The numbers
            of trainings may differ, the images are the same.
        comparisons: Differences whose intervals are to hold together; one less than there are contenders by
            default.
    """

    def __init__(self, answers: Sequence[Answers], comparisons: int | None = None) -> None:
        self._counts = [len(one) for one in answers]
        self._images = answers[0].shape[1]
        self._shares = [one.mean(axis=0) for one in answers]  # (N,) of the trainings that are right
        self._accuracies = [one.mean(axis=1) for one in answers]  # (n,)
        self._comparisons = max(1, len(answers) - 1 if comparisons is None else comparisons)
        self._known: dict[tuple[int, ...], Estimate] = {}

    def value(self, contender: int) -> float:
        """Return a contender's mean accuracy, 0 to 1."""
        return float(np.mean(self._accuracies[contender]))

    def mean(self, contender: int) -> Estimate:
        """Return a contender's mean accuracy, 0 to 1, and its interval, taken by itself."""
        return self._estimate((contender,), comparisons=1)

    def difference(self, one: int, other: int) -> Estimate:
        """Return the mean accuracy of one contender less that of another, -1 to 1, and its interval."""
        return self._estimate((one, other), comparisons=self._comparisons)

    @cached_property
    def _rests(self) -> list[float]:
        """Variance of single answers between the trainings of a contender, beyond that of the trainings."""
        found: list[float | None] = []
        for count, shares, accuracies in zip(
            self._counts, self._shares, self._accuracies, strict=True
        ):
            if count < 2:
                found.append(None)
                continue
            within = float(np.mean(shares * (1.0 - shares))) * count / (count - 1)
            between = float(np.var(accuracies, ddof=1))
            found.append(max(0.0, within - between))
        known = [one for one in found if one is not None]
        usual = sum(known) / len(known) if known else 0.0
        return [usual if one is None else one for one in found]

    @cached_property
    def _freedom(self) -> float:
        return TRUST + sum(count - 1 for count in self._counts)

    @cached_property
    def seed_variance(self) -> float:
        """Variance of a training's accuracy on these images between seeds, pooled over all contenders."""
        usual = TYPICAL_SPREAD**2 + sum(self._rests) / len(self._rests) / self._images
        squares = sum(float(np.sum((one - one.mean()) ** 2)) for one in self._accuracies)
        return float((TRUST * usual + squares) / self._freedom)

    def _estimate(self, places: tuple[int, ...], comparisons: int) -> Estimate:
        """Estimate the mean of the first place, less that of the second if there is one."""
        if places in self._known:
            return self._known[places]
        of_images = self._shares[places[0]]  # (N,)
        for other in places[1:]:
            of_images = of_images - self._shares[other]
        seeds = sum(self.seed_variance / self._counts[one] for one in places)
        rest = sum(self._rests[one] / self._counts[one] for one in places)
        # What the means over seeds leave of the rest is in the seed part already.
        images = max(0.0, float(np.var(of_images, ddof=1)) - rest) / self._images
        freedom = (seeds + images) ** 2 / (seeds**2 / self._freedom + 1e-30)
        share = LEVEL ** (1.0 / comparisons)  # Sidak 1967
        half_width = quantile(share, freedom) * sqrt(seeds + images)
        found = self._known[places] = Estimate(float(np.mean(of_images)), half_width)
        return found


def quantile(share: float, freedom: float) -> float:
    """Return the bound within which Student's t of this many degrees of freedom lies at this probability.

    >>> round(quantile(0.95, 2), 3)
    4.303
    """
    from scipy.special import stdtrit  # which takes half a second to load

    return float(stdtrit(freedom, 0.5 + share / 2.0))
