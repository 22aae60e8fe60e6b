"""Trained networks that outlive their trials: those of the best."""

from search.study.rows import TrialRow, best_rows

__all__ = ["BestCheckpoints"]


class BestCheckpoints:
    """Which trials' states are kept when they are complete: those of the best.

    Args:
        rows: The trials so far.
        count: How many are kept.
    """

    def __init__(self, rows: list[TrialRow], count: int) -> None:
        self._count = count
        self._ranks = [
            (-(row.validation_accuracy or 0.0), row.number) for row in best_rows(rows, count)
        ]

    @property
    def numbers(self) -> set[int]:
        """The trials."""
        return {number for _, number in self._ranks}

    def add(self, number: int, accuracy: float) -> None:
        """Another trial is complete; it may take the place of one that was kept until now."""
        self._ranks = sorted([*self._ranks, (-accuracy, number)])[: self._count]
