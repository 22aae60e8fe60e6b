"""Whether the best trial's learning rate lies at an end of what was searched, and what to do then."""

import math
from dataclasses import dataclass

from search.formatting import number
from search.study.bounds import Bounds
from search.study.rows import TrialRow
from search.study.settings import LARGEST_LR

__all__ = ["Edge", "edge_of"]

NEAR = 0.2
"""Decades from an end within which a rate counts as lying there: the best may lie beyond."""


@dataclass(frozen=True)
class Edge:
    """An end of a range at which the best trial lies.

    Attributes:
        parameter: The learning-rate parameter.
        value: Its value in the best trial.
        end: ``lower`` or ``upper``.
        low: Lower end of the range.
        high: Upper end.
        wider: Ends, for every learning rate of the study, that reach a decade beyond this one.
    """

    parameter: str
    value: float
    end: str
    low: float
    high: float
    wider: tuple[float, float]

    @property
    def words(self) -> str:
        """What was noticed."""
        than = "smaller" if self.end == "lower" else "larger"
        return (
            f"{self.parameter} {number(self.value)} lies at the {self.end} end of its range, "
            f"{number(self.low)} to {number(self.high)}: a {than} one may be better still."
        )

    @property
    def option(self) -> str:
        """The option by which a new study searches further."""
        return f"--lr-bounds {self.wider[0]:.2g}:{self.wider[1]:.2g}"


def edge_of(best: TrialRow | None, bounds: list[Bounds]) -> Edge | None:
    """The end at which the best trial's learning rate lies, if it does.

    Args:
        best: The best complete trial, if there is one.
        bounds: The ranges of the study's learning rates.
    """
    if best is None:
        return None
    for one in bounds:
        value = best.values.get(one.parameter)
        if not isinstance(value, int | float):
            continue
        lowest, highest = min(each.low for each in bounds), max(each.high for each in bounds)
        # In a range narrower than two such strips its middle is no edge.
        near = min(NEAR, math.log10(one.high / one.low) / 4)
        if math.log10(value / one.low) <= near:
            wider = (min(lowest, one.low / 10), highest)
            return Edge(one.parameter, float(value), "lower", one.low, one.high, wider)
        if math.log10(one.high / value) <= near and highest < LARGEST_LR:
            wider = (lowest, max(highest, min(one.high * 10, LARGEST_LR)))
            return Edge(one.parameter, float(value), "upper", one.low, one.high, wider)
    return None
