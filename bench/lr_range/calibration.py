"""The calibration of the suggested rate: the numbers of its rule that lose least, and what they are worth.

The rule suggests a rate `base` decades from the middle of the basin, and `slope` higher for each decade
from there to where the loss is back at its start (see `cifar_core.lr_range.finding`). Both are chosen on a
grid by the points of accuracy lost: the mean over every sweep alone, the mean over the cells with their
sweeps together, and a tenth of the worst of these cells, as a rate that does not train at all is worse than
its points. To see what the choice is worth, it is repeated without each recipe in turn, whatever its
schedule, and judged by the cells of the one left out.
"""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from bench.lr_range.curves import Curve, as_used, found
from bench.lr_range.score import Grid
from cifar_core.lr_range.finding import BELOW, FARTHEST_HEADROOM, PER_DECADE, SUGGESTED, Finding

__all__ = ["Choice", "Reading", "calibration_page", "choose", "readings"]

Floats = npt.NDArray[np.float64]

BASES = [round(-0.90 + 0.05 * step, 2) for step in range(14)]
SLOPES = [round(0.05 * step, 2) for step in range(13)]
WEIGHT_OF_WORST = 0.1
WITHOUT_SLOPE = (-0.35, 0.0)
"""The best of the rules that know the middle alone."""


@dataclass(frozen=True)
class Reading:
    """The findings of a cell's sweeps that the rule uses.

    Attributes:
        grid: The truth of the cell.
        middle: Decade of the basin's middle.
        headroom: Decades from there to where the loss is back at its start.
        together: All sweeps of the cell, not one alone.
    """

    grid: Grid
    middle: float
    headroom: float
    together: bool

    @property
    def recipe(self) -> str:
        """The cell's recipe but for its schedule, which a sweep does not see."""
        plain = self.grid.cell.recipe.model_dump(mode="json")
        return json.dumps({**plain, "schedule": None}, sort_keys=True)

    def lost(self, base: float, slope: float) -> float:
        """Points lost at the rate that the rule suggests with these numbers."""
        return self.grid.loss(10 ** (self.middle + base + slope * self.headroom))


Choice = tuple[float, float]
"""A base and a slope."""


def readings(truth: Sequence[Grid], curves: Sequence[Curve]) -> list[Reading]:
    """Every sweep alone, and those of each cell together, where they are conclusive."""
    found_readings = []
    for grid in truth:
        own = as_used(curves, grid.cell.name)
        for sweeps in [[one] for one in own] + [own]:
            finding = found(sweeps)
            if finding.low is not None:
                middle = math.log10(finding.low) - BELOW
                headroom = min(_top(finding) - middle, FARTHEST_HEADROOM)
                found_readings.append(Reading(grid, middle, headroom, sweeps is own))
    return found_readings


def choose(known: Sequence[Reading]) -> Choice:
    """The numbers that lose least on these readings."""
    return _choose(known, _losses(known), np.ones(len(known), dtype=bool))


def left_out(known: Sequence[Reading]) -> list[tuple[Choice, Reading]]:
    """Each reading with the numbers that are chosen without its recipe."""
    losses = _losses(known)
    recipes = np.array([one.recipe for one in known])
    choices = {recipe: _choose(known, losses, recipes != recipe) for recipe in set(recipes)}
    return [(choices[one.recipe], one) for one in known]


def calibration_page(truth: Sequence[Grid], curves: Sequence[Curve]) -> str:
    """Losses of the rule with its own numbers, those chosen on all, and those chosen without a recipe."""
    known = readings(truth, curves)
    chosen, in_use = choose(known), (SUGGESTED, PER_DECADE)
    unseen = left_out(known)
    arms = {"in use": in_use, "chosen": chosen, "without a slope": WITHOUT_SLOPE}
    lines = [
        f"{f'{name}, {choice[0]:+.2f} {choice[1]:+.2f}':<30}{_words([choice] * len(known), known)}"
        for name, choice in arms.items()
    ]
    lines.append(f"{'chosen without its recipe':<30}{_words([one for one, _ in unseen], known)}")
    return "\n".join(lines)


def _losses(known: Sequence[Reading]) -> dict[Choice, Floats]:
    """Points lost on each reading, (readings,), with each choice of the grid."""
    return {
        choice: np.array([one.lost(*choice) for one in known]) for choice in product(BASES, SLOPES)
    }


def _choose(
    known: Sequence[Reading], losses: Mapping[Choice, Floats], kept: npt.NDArray[np.bool_]
) -> Choice:
    """The choice that loses least on the readings that are kept."""
    together = np.array([one.together for one in known])

    def cost(choice: Choice) -> float:
        alone, cells = losses[choice][kept & ~together], losses[choice][kept & together]
        return float(alone.mean() + cells.mean() + WEIGHT_OF_WORST * cells.max())

    return min(losses, key=cost)


def _words(choices: Sequence[Choice], known: Sequence[Reading]) -> str:
    lost: dict[bool, list[float]] = {True: [], False: []}
    for choice, one in zip(choices, known, strict=True):
        lost[one.together].append(one.lost(*choice))
    return "; ".join(
        f"{name}: median {statistics.median(values):.1f}, worst {max(values):.1f}, "
        f"within 1 point {100 * sum(value <= 1 for value in values) / len(values):.0f} %"
        for name, values in (("together", lost[True]), ("each sweep alone", lost[False]))
    )


def _top(finding: Finding) -> float:
    return math.log10(finding.divergence or finding.lr[-1])
