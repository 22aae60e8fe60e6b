"""Limits on the number of trials: the budget's total, and patience."""

from search.study.rows import TrialRow, best_rows

__all__ = ["best_position", "enqueued_to", "trials_in_all"]


def trials_in_all(total: int, patience: int | None, best: int | None, enqueued: int = 0) -> int:
    """Return how many trials may be started, as things stand.

    With a patience of 20 none is started once the newest 20 are no better than the best before them. Paused
    trials may still continue; if one of them becomes the best, there is room for more again.

    Args:
        total: The budget's trials.
        patience: Trials without a new best after which none is started; None for no such limit.
        best: Position of the best complete trial among the study's trials, from 0; None before the first.
        enqueued: Trials up to the last one that was enqueued: what was asked for does not wait forever.
    """
    if patience is None or best is None:
        return total
    return min(total, max(best + 1 + patience, enqueued))


def best_position(rows: list[TrialRow]) -> int | None:
    """Return the position of the best complete trial, from 0; None if none is complete."""
    best = next(iter(best_rows(rows)), None)
    return None if best is None else rows.index(best)


def enqueued_to(rows: list[TrialRow]) -> int:
    """Return the number of trials up to the last one that is enqueued and not started; 0 if none is."""
    waiting = (place for place, row in enumerate(rows, start=1) if row.state == "waiting")
    return max(waiting, default=0)
