"""The time that a study has been running, over all sessions."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from search.errors import ServiceError
from search.study import attributes
from search.study.study import SearchStudy

__all__ = ["Stopwatch"]

SECONDS_BETWEEN_NOTES = 15.0


class Stopwatch:
    """Measures one session of a study, and keeps the sum of all sessions with the study.

    Args:
        study: The study; time counts from here.
        clock: Seconds, from any start.
    """

    def __init__(self, study: SearchStudy, clock: Callable[[], float] = time.monotonic) -> None:
        self._study = study
        self.clock = clock
        self._before = study.seconds
        self._started = self._noted = clock()

    @property
    def seconds(self) -> float:
        """Time the study has been running, over all sessions."""
        return self._before + self.clock() - self._started

    def seconds_left(self) -> float | None:
        """Return the time until no trial is trained any more, at least 0; None without a limit."""
        return self._until(self._study.budget.search_timeout)

    def seconds_left_in_all(self) -> float | None:
        """Return the time until the study's limit, its confirmation included; None without a limit."""
        return self._until(self._study.budget.timeout)

    def _until(self, timeout: float | None) -> float | None:
        return None if timeout is None else max(0.0, timeout - self.seconds)

    @contextmanager
    def running(self) -> Iterator["Stopwatch"]:
        """Note the time at the end of this context, however it ends."""
        try:
            yield self
        finally:
            # The storage does not work, as the user has been told; or the study is gone, as others notice.
            with suppress(ServiceError, KeyError):
                self._note()

    def note_now_and_then(self) -> None:
        """Note the time if the last note is some seconds old: a kill costs no more than that."""
        if self.clock() - self._noted > SECONDS_BETWEEN_NOTES:
            self._note()

    def _note(self) -> None:
        self._study.write(attributes.SECONDS, round(self.seconds, 1))
        self._noted = self.clock()
