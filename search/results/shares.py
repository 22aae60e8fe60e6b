"""Records of what mattered in a study: shares of the variance with their intervals, and their words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spaces.parameter import Value

__all__ = ["Importance", "Interval", "Level", "ParameterImportance", "Unknown", "in_words"]

Floats = npt.NDArray[np.float64]

LOW, HIGH = 0.05, 0.95
"""Ends of all intervals, as quantiles."""


@dataclass(frozen=True)
class Interval:
    """A median with the interval that has 90 % of the probability."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, draws: Floats) -> "Interval":
        """Return the interval of (n,) draws."""
        low, middle, high = np.quantile(draws, [LOW, 0.5, HIGH])
        return cls(float(low), float(middle), float(high))


@dataclass(frozen=True)
class Level:
    """A value of a parameter and the accuracy predicted for it, averaged over all other parameters."""

    value: Value
    accuracy: Interval


@dataclass(frozen=True)
class ParameterImportance:
    """The effect of one parameter.

    Attributes:
        name: The parameter.
        share: Its own share of the variance of the predicted final accuracy, 0-1.
        total: The same with all interactions that it has a part in.
        applies: Share of the space in which it applies, 0-1.
        verdict: ``yes`` if its own share is at least 5 % with a probability of 90 %, ``no`` if with all
            interactions it is less: where trials say little, a share alone is small for any parameter.
        levels: Its effect, in the order of its values.
    """

    name: str
    share: Interval
    total: Interval
    applies: float
    verdict: Literal["yes", "no", "unclear"]
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Importance:
    """The parameters that mattered in a study.

    Attributes:
        parameters: The parameters, the largest share first.
        trials: Trials with a score.
        stopped: Of these, trials that did not reach their last epoch.
        ends: Final accuracy predicted for each of these trials, by number, without the luck of its seed.
    """

    parameters: tuple[ParameterImportance, ...]
    trials: int
    stopped: int
    ends: Mapping[int, Interval]

    @property
    def clear(self) -> list[ParameterImportance]:
        """The parameters that clearly mattered."""
        return [one for one in self.parameters if one.verdict == "yes"]

    def to_dict(self) -> dict[str, Any]:
        """Return the shares as plain JSON."""
        return {
            "trials": self.trials,
            "stopped": self.stopped,
            "parameters": [
                {
                    "name": one.name,
                    "share": asdict(one.share),
                    "with_interactions": asdict(one.total),
                    "verdict": one.verdict,
                }
                for one in self.parameters
            ],
        }


@dataclass(frozen=True)
class Unknown:
    """Nothing can be said, for this reason."""

    reason: str


def in_words(found: Importance) -> str:
    """Return in a few sentences what mattered."""
    by_verdict = {
        verdict: [one for one in found.parameters if one.verdict == verdict]
        for verdict in ("yes", "unclear", "no")
    }
    clear, unclear, rest = by_verdict["yes"], by_verdict["unclear"], by_verdict["no"]
    words = f"Clearly mattered: {_listed(clear)}." if clear else "No parameter clearly mattered."
    if unclear:
        more = f" and {len(unclear) - 4} more" if len(unclear) > 5 else ""
        words += f" Unclear: {_listed(unclear[: 4 if more else 5])}{more}."
    if rest:
        words += (
            f" {'The other' if clear or unclear else 'All'} {len(rest)} clearly have less than 5 %, "
            "interactions included."
        )
    stopped = f", {found.stopped} of them stopped or unfinished" if found.stopped else ""
    return f"{words} Shares of the variance of the final accuracy, from {found.trials} trials{stopped}."


def _listed(parameters: Sequence[ParameterImportance]) -> str:
    """Parameters with their share in percent and its interval."""
    return ", ".join(
        f"{one.name} {100 * one.share.middle:.0f} % "
        f"({100 * one.share.low:.0f} to {100 * one.share.high:.0f})"
        for one in parameters
    )
