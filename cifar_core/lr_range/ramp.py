"""The rates of a sweep."""

import math
from dataclasses import dataclass, replace

import numpy as np

from cifar_core.errors import RampError

__all__ = ["FEWEST_PER_DECADE", "Ramp"]

IMAGES_PER_DECADE = 4_000
STEPS_PER_DECADE = (20, 250)
"""At least and at most. What a network needs to answer a rate is steps, and small batches give more of them
for the same price."""
FEWEST_PER_DECADE = 10
NARROWEST = 0.01
LARGEST = 1000.0


@dataclass(frozen=True)
class Ramp:
    """Course of the learning rate in a sweep: by default over eleven decades, evenly in its logarithm.

    Attributes:
        low: First rate, above 0.
        high: Last rate, above `low`, at most 1000.
        steps: Training steps from one to the other. By default as many as 4,000 images make for each
            decade, from 20 to 250 a decade, whatever the size of the data set.
        share: Of these steps, above 0 to 1, for a test that must be short; at least 10 a decade stay.
        linear: Equal differences instead of equal ratios. Then the low decades get few steps.

    Raises:
        RampError: The rates are in no order, or the steps too few.
    """

    low: float = 1e-10
    high: float = 10.0
    steps: int | None = None
    linear: bool = False
    share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be swept."""
        if not 0.0 < self.low < self.high <= LARGEST:
            raise RampError(
                f"A sweep needs 0 < low < high <= {LARGEST:g}, but got {self.low:g} and {self.high:g}."
            )
        if self.decades < NARROWEST:
            raise RampError(
                f"From lr {self.low:g} to {self.high:g} there is nothing to sweep: the ends must be at "
                f"least {NARROWEST} decades apart."
            )
        if not 0.0 < self.share <= 1.0:
            raise RampError(
                f"A ramp's `share` must be above 0 and at most 1, but got {self.share:g}."
            )
        # Rounded, so that eleven decades are not a billionth more.
        fewest = math.ceil(round(max(1.0, self.decades) * FEWEST_PER_DECADE, 6))
        if self.steps is not None and self.steps < fewest:
            raise RampError(
                f"{self.steps} steps are too few from lr {self.low:g} to {self.high:g}: at least "
                f"{fewest} are needed, {FEWEST_PER_DECADE} a decade."
            )

    @property
    def decades(self) -> float:
        """Powers of ten between the ends."""
        return math.log10(self.high) - math.log10(self.low)

    def slower(self, batch_size: int, factor: int) -> "Ramp":
        """The same rates with `factor` times as many steps as with this batch size."""
        return replace(self, steps=factor * len(self.rates(batch_size)))

    def rates(self, batch_size: int) -> tuple[float, ...]:
        """The rate of each step, ascending, both ends included.

        Args:
            batch_size: Images in a step, on which the number of steps depends unless it is given.

        >>> [round(rate, 4) for rate in Ramp(0.1, 1.0).rates(batch_size=128)[::10]]
        [0.1, 0.2102, 0.4417, 0.9284]
        >>> Ramp(0.5, 5.0, steps=10, linear=True).rates(batch_size=128)[:3]
        (0.5, 1.0, 1.5)
        """
        fewest, most = STEPS_PER_DECADE
        per_decade: float = min(max(fewest, round(IMAGES_PER_DECADE / batch_size)), most)
        per_decade = max(self.share * per_decade, FEWEST_PER_DECADE)
        steps = self.steps or round(max(1.0, self.decades) * per_decade) + 1
        spaced = np.linspace if self.linear else np.geomspace
        return tuple(spaced(self.low, self.high, steps).tolist())
