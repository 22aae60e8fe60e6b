"""The progress of a search that another process runs, from the events that it writes."""

import time
from typing import IO

from search.event_log import EventReader
from search.events import SessionStarted
from search.views.pace import Clock
from search.views.progress import Progress

__all__ = ["Followed"]


class Followed:
    """Replays events as they are written, so that all is estimated as it is where the search runs.

    Args:
        file: The study's file of events.
        clock: Returns the time of day, in seconds since 1970.
    """

    def __init__(self, file: IO[str], clock: Clock = time.time) -> None:
        self._reader = EventReader(file)
        self._clock = clock
        self._replayed: float | None = None
        self._progress: Progress | None = None

    def look(self) -> Progress | None:
        """Return the progress of the newest session as it is now; None before the first."""
        for t, event in self._reader.news():
            self._replayed = t
            if isinstance(event, SessionStarted):
                self._progress = Progress(self._now)
            if self._progress is not None:
                self._progress.handle(event)
        self._replayed = None
        return self._progress

    def _now(self) -> float:
        """The time of the event that is replayed, or otherwise of now."""
        return self._clock() if self._replayed is None else self._replayed
