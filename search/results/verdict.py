"""The verdict on a search that has not been confirmed, and the interval of a single score."""

import math
from dataclasses import dataclass

from search.formatting import percent, points
from search.results.summary import Summary
from search.study.rows import TrialRow, best_rows

__all__ = ["AccuracyInterval", "accuracy_interval", "contenders", "leader", "verdict"]

Z = 1.959964
"""Standard normal quantile of an interval of 95 %."""


@dataclass(frozen=True)
class AccuracyInterval:
    """The accuracies, 0-1, that agree with a share of right answers in a sample of images."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half its width."""
        return (self.high - self.low) / 2


def accuracy_interval(accuracy: float, images: int) -> AccuracyInterval:
    """Return the 95 % interval of an accuracy that was measured on some images (Wilson 1927).

    It is about the choice of the images alone: another seed moves the accuracy further.

    Args:
        accuracy: Share of right answers, 0-1.
        images: Number of images.

    >>> accuracy_interval(0.63, 5000)
    AccuracyInterval(low=0.6165, high=0.6433)
    """
    share = Z * Z / images
    middle = (accuracy + share / 2) / (1 + share)
    half = Z * math.sqrt(accuracy * (1 - accuracy) / images + share / (4 * images)) / (1 + share)
    return AccuracyInterval(round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4))


def leader(rows: list[TrialRow]) -> TrialRow | None:
    """Return the unfinished or stopped trial with the highest accuracy so far; None without a score."""
    scored = [row for row in rows if row.validation_accuracy is not None]
    return max(scored, key=lambda row: (row.score, -row.number), default=None)


def contenders(rows: list[TrialRow], count: int = 5) -> list[TrialRow]:
    """Return the best complete trials, and the complete references that are not among them."""
    best = best_rows(rows, count)
    others = [row for row in best_rows(rows, len(rows)) if row.known and row not in best]
    return best + others


def verdict(summary: Summary) -> str:
    """Return what a search came to, in one or two sentences, as far as single runs can tell."""
    best = summary.best
    if best is None or best.validation_accuracy is None:
        return _so_far(summary)
    reached = f"{percent(best.validation_accuracy)} validation accuracy"
    if best.known:
        return (
            f"Nothing better than {best.label} was found: it leads with {reached}. "
            "This is one run and is not confirmed."
        )
    rivals = best_rows([row for row in summary.rows if row.known])
    if not rivals or rivals[0].validation_accuracy is None:
        return f"Trial {best.number} leads with {reached}. This is one run and is not confirmed."
    rival = rivals[0]
    gain = best.score - rival.score
    margin = math.hypot(
        *(
            accuracy_interval(row.score, summary.settings.data.validation).half_width
            for row in (best, rival)
        )
    )
    size = "which is more than" if gain > margin else "which is less than"
    return (
        f"Trial {best.number} leads with {reached}, {points(gain)} over {rival.label}, the best "
        f"reference; {size} the {points(margin).removeprefix('+')} that the choice of validation images "
        "alone can make. Each is one run and not confirmed."
    )


def _so_far(summary: Summary) -> str:
    first = leader(summary.rows)
    if first is None:
        return "No trial has a score yet."
    return (
        f"No trial is complete yet. So far, trial {first.number} leads with "
        f"{percent(first.validation_accuracy)} after epoch {first.epochs} of "
        f"{summary.settings.space.epochs}."
    )
