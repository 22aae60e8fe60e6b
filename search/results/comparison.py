"""Several configurations trained from the same seeds, compared on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifar_core.text_files import one_line
from search.confirmation.statistics import LEVEL, Estimate, Noise
from search.results.training_result import Result

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """Configurations side by side.

    Attributes:
        results: The configurations, the highest mean first; of equal ones, the one given first.
        differences: Mean accuracy of each less that of the first, -1 to 1, with an interval of seed and
            image noise. All of these hold together.
        verdict: The conclusion in one sentence.
    """

    results: tuple[Result, ...]
    differences: tuple[Estimate, ...]
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON; the results have documents of their own."""
        return {
            "measured_on": self.results[0].split,
            "verdict": self.verdict,
            "level": LEVEL,
            "configurations": [
                {
                    "file": result.configuration.name,
                    "accuracy": result.accuracy.mean,
                    "difference": gap.value,
                    "half_width": gap.half_width,
                }
                for result, gap in zip(self.results, self.differences, strict=True)
            ],
        }


def compare(results: Sequence[Result]) -> Comparison:
    """Compare configurations whose trainings have the same seeds and are measured on the same images.

    Args:
        results: Two or more.
    """
    ranked = tuple(sorted(results, key=lambda one: -one.accuracy.mean))
    noise = Noise([np.stack([run.correct for run in one.runs]) for one in ranked])
    gaps = [noise.difference(place, 0) for place in range(1, len(ranked))]
    return Comparison(ranked, (Estimate(0.0, 0.0), *gaps), _verdict(ranked, gaps))


def _verdict(ranked: Sequence[Result], gaps: Sequence[Estimate]) -> str:
    first, *others = (one_line(result.configuration.name) for result in ranked)
    beaten = [name for name, gap in zip(others, gaps, strict=True) if gap.told_apart]
    alike = [name for name in others if name not in beaten]
    level = f"({100 * LEVEL:.0f} %)"
    gap = f"{100 * abs(gaps[0].value):.1f} +- {100 * gaps[0].half_width:.1f} points {level}"
    if beaten and alike:
        return (
            f"{first} is better than {', '.join(beaten)}, but no better than {', '.join(alike)} within "
            f"noise {level}."
        )
    if beaten:
        than = beaten[0] if len(beaten) == 1 else f"all others, the next best by {gap}"
        return f"{first} is better than {than}" + (f" by {gap}." if len(beaten) == 1 else ".")
    than = alike[0] if len(alike) == 1 else "the next best"
    return f"{first} is no better than {than} within noise: +{gap}."
