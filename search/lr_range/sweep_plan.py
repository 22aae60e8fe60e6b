"""The sweeps that an LR-range test makes in a search, shortened where the search itself is small."""

import math
from dataclasses import dataclass, replace

from cifar_core.lr_range import Ramp
from search.lr_range.corners import Corner, corners_of
from search.lr_range.sweeps import cost_of_sweep
from spaces.space import Space

__all__ = ["LARGEST_SHARE", "SHORTEST", "SweepPlan", "sweeps_for"]

LARGEST_SHARE = 0.1
"""Of a search, its LR-range test included, beyond which the test is shortened."""
SHORTEST = 1 / 2
"""Of its steps, to which a sweep is shortened at most: with a quarter of them the loss of some networks
hardly falls (docs/LR_RANGE.md). A sweep that says nothing is made again with three times as many."""


@dataclass(frozen=True)
class SweepPlan:
    """The sweeps of a test.

    Attributes:
        corners: Recipes to measure at.
        ramp: The rates.
        seeds: Sweeps at each corner.
    """

    corners: tuple[Corner, ...]
    ramp: Ramp
    seeds: int

    @property
    def sweeps(self) -> int:
        """Number of sweeps."""
        return self.seeds * len(self.corners)

    @property
    def images(self) -> int:
        """Images that all sweeps train on, if none ends early."""
        batches = (one.recipe.batch_size for one in self.corners)
        return self.seeds * sum(size * len(self.ramp.rates(size)) for size in batches)

    @property
    def cost(self) -> float:
        """Cost of the sweeps, in million multiply-adds of the forward pass."""
        return self.seeds * sum(cost_of_sweep(one.recipe, self.ramp) for one in self.corners)


def sweeps_for(space: Space, work_after: float | None = None) -> SweepPlan | None:
    """Return the sweeps of a space's LR-range test; None if it has none.

    A test that costs more than a tenth of its search has fewer seeds, and then fewer steps, so that it
    costs about a tenth, if that is possible.

    Args:
        space: The space.
        work_after: Expected cost of what follows, in the unit of `SweepPlan.cost`; None if it is unknown,
            and nothing is shortened.
    """
    test = space.lr_range
    if test is None or not space.measured():
        return None
    whole = SweepPlan(tuple(corners_of(space)), Ramp(test.low, test.high), test.seeds)
    if work_after is None:
        return whole
    allowed = LARGEST_SHARE / (1.0 - LARGEST_SHARE) * work_after
    if whole.cost <= allowed:
        return whole
    once = replace(whole, seeds=1)
    fewer = replace(whole, seeds=max(1, math.floor(allowed / once.cost)))
    if fewer.cost <= allowed:
        return fewer
    return replace(fewer, ramp=replace(fewer.ramp, share=max(SHORTEST, allowed / fewer.cost)))
