"""The pace at which epochs come in."""

from collections.abc import Callable

__all__ = ["Clock", "Pace"]

Clock = Callable[[], float]

EPOCHS_BEFORE_ESTIMATE = 2
"""Epochs of a session before their mean time is meaningful."""


class Pace:
    """The seconds from one epoch to the next of all workers together, in this session.

    Args:
        clock: Returns seconds, from any origin.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times = [clock()]

    def note_epoch(self) -> None:
        """Note that an epoch is done."""
        self._times.append(self._clock())

    @property
    def seconds(self) -> float | None:
        """The mean of the whole session and of its last third; None before the second epoch."""
        count = len(self._times) - 1
        if count < EPOCHS_BEFORE_ESTIMATE:
            return None
        last = max(1, count // 3)
        whole = (self._times[-1] - self._times[0]) / count
        return (whole + (self._times[-1] - self._times[-1 - last]) / last) / 2
