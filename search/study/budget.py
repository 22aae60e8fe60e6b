"""When more is unlikely to help, and what the time so far has brought."""

from search.study.rows import TrialRow

__all__ = ["enqueued_to", "trials_in_all"]


def trials_in_all(total: int, patience: int | None, best: int | None, enqueued: int = 0) -> int:
    """How many trials may be begun, as things stand.

    With a patience of 20 no more are begun when the newest 20 have brought nothing better than what was
    there before them. Those that wait may still go on; if one of them turns out best, there is room for
    more again.

    Args:
        total: The budget's trials.
        patience: Trials without a new best after which no more are begun; None for no such limit.
        best: Number of the best complete trial; None before the first.
        enqueued: Trials up to the last one that was enqueued: what was asked for is not to wait for ever.
    """
    if patience is None or best is None:
        return total
    return min(total, max(best + 1 + patience, enqueued))


def enqueued_to(rows: list[TrialRow]) -> int:
    """Trials up to the last one that is enqueued and not begun; 0 if there is none."""
    return max((row.number + 1 for row in rows if row.state == "waiting"), default=0)
