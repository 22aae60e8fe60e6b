"""When more is unlikely to help, and what the time so far has brought."""

from dataclasses import dataclass
from datetime import timedelta

from search.rows import Row, best_rows

__all__ = ["Lately", "enqueued_to", "gained_lately", "trials_in_all"]

HOUR = 3600.0


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


def enqueued_to(rows: list[Row]) -> int:
    """Trials up to the last one that is enqueued and not begun; 0 if there is none."""
    return max((row.number + 1 for row in rows if row.state == "waiting"), default=0)


@dataclass(frozen=True)
class Lately:
    """What the last stretch of a study brought.

    Attributes:
        seconds: How long it was: up to the last trial that ended.
        gain: By how much the best validation accuracy rose in it, 0-1.
    """

    seconds: float
    gain: float


def gained_lately(rows: list[Row], seconds: float = HOUR) -> Lately | None:
    """What the last hour before the last trial ended brought; None for a study that is not older.

    Args:
        rows: The trials.
        seconds: The stretch that is looked at.
    """
    ended = [row for row in rows if row.ended is not None]
    last = max((row.ended for row in ended if row.ended), default=None)
    if last is None:
        return None
    since = last - timedelta(seconds=seconds)
    before = best_rows([row for row in ended if row.ended and row.ended <= since])
    after = best_rows(ended)
    if not before or not after:
        return None
    gain = (after[0].validation_accuracy or 0.0) - (before[0].validation_accuracy or 0.0)
    return Lately(seconds, gain)
