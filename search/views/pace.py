"""The pace at which epochs come in."""

from collections.abc import Callable

__all__ = ["Clock", "Pace"]

Clock = Callable[[], float]

EPOCHS_BEFORE_ESTIMATE = 2
"""Epochs behind the first of each worker, before their mean time is meaningful."""


class Pace:
    """The seconds from one epoch to the next of all workers together, in this session.

    The first epoch of each worker is left out: workers take a while to come up.

    Args:
        clock: Returns seconds, from any origin.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first = 0
        self._times = [clock()]

    def note_epoch(self, at_once: int) -> None:
        """Note that an epoch is done.

        Args:
            at_once: Most trials that were trained at the same time so far.
        """
        if self._first < at_once:
            self._first += 1
            self._times = [self._clock()]
        else:
            self._times.append(self._clock())

    @property
    def seconds(self) -> float | None:
        """The mean of the whole session and of its last third; None before enough epochs."""
        count = len(self._times) - 1
        if count < EPOCHS_BEFORE_ESTIMATE:
            return None
        last = max(1, count // 3)
        whole = (self._times[-1] - self._times[0]) / count
        return (whole + (self._times[-1] - self._times[-1 - last]) / last) / 2
