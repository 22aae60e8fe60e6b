"""A best learning rate at an end of its range, and the wider range to search next."""

import math
from dataclasses import dataclass

from search.formatting import number
from search.study.bounds import Bounds
from search.study.rows import TrialRow
from search.study.settings import LARGEST_LR

__all__ = ["LrEdge", "edge_of"]

NEAR = 0.2
"""Decades from an end of the range within which the best rate may well lie beyond it."""


@dataclass(frozen=True)
class LrEdge:
    """An end of a range at which the best trial lies.

    Attributes:
        parameter: The learning-rate parameter.
        value: Its value in the best trial.
        end: ``lower`` or ``upper``.
        low: Lower end of the range.
        high: Upper end.
        wider: Range for every learning rate of the study, a decade wider at this end.
    """

    parameter: str
    value: float
    end: str
    low: float
    high: float
    wider: tuple[float, float]

    @property
    def words(self) -> str:
        """One sentence about it."""
        than = "smaller" if self.end == "lower" else "larger"
        return (
            f"{self.parameter} {number(self.value)} is at the {self.end} end of its range, "
            f"{number(self.low)} to {number(self.high)}; a {than} value may be even better."
        )

    @property
    def lr_bounds(self) -> str:
        """The wider range, as ``--lr-bounds`` takes it."""
        return f"{self.wider[0]:.2g}:{self.wider[1]:.2g}"

    @property
    def option(self) -> str:
        """The option with which a new study searches the wider range."""
        return f"--lr-bounds {self.lr_bounds}"


def edge_of(best: TrialRow | None, bounds: list[Bounds]) -> LrEdge | None:
    """Return the end of its range at which the best trial's learning rate lies, or None.

    Args:
        best: The best complete trial, or None.
        bounds: The ranges of the study's learning rates.
    """
    if best is None:
        return None
    for one in bounds:
        value = best.values.get(one.parameter)
        if not isinstance(value, int | float):
            continue
        lowest, highest = min(each.low for each in bounds), max(each.high for each in bounds)
        # In a range narrower than two such margins, the middle must not count as an end.
        near = min(NEAR, math.log10(one.high / one.low) / 4)
        if math.log10(value / one.low) <= near:
            wider = (min(lowest, one.low / 10), highest)
            return LrEdge(one.parameter, float(value), "lower", one.low, one.high, wider)
        if math.log10(one.high / value) <= near and highest < LARGEST_LR:
            wider = (lowest, max(highest, min(one.high * 10, LARGEST_LR)))
            return LrEdge(one.parameter, float(value), "upper", one.low, one.high, wider)
    return None
