"""Checkpoints that outlive their trials: those of the best."""

from search.study.rows import TrialRow, best_rows

__all__ = ["BestCheckpoints"]


class BestCheckpoints:
    """The complete trials whose checkpoints are kept: the best.

    Args:
        rows: The trials so far.
        count: Number of checkpoints to keep.
    """

    def __init__(self, rows: list[TrialRow], count: int) -> None:
        self._count = count
        self._ranks = [(-row.score, row.number) for row in best_rows(rows, count)]

    @property
    def numbers(self) -> set[int]:
        """The trials."""
        return {number for _, number in self._ranks}

    def add(self, number: int, accuracy: float) -> None:
        """Rank another complete trial, which may displace one that was kept until now."""
        self._ranks = sorted([*self._ranks, (-accuracy, number)])[: self._count]
