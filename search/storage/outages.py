"""Outages of a database: which errors end by themselves, and how a search waits until they do."""

import sqlite3
import time
from collections.abc import Callable

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from cifar_core.text_files import first_line
from search.errors import ServiceError
from search.events import Notice, Observer

__all__ = ["TICK", "Outage", "OutageHandler", "SearchWait"]

LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
UNAVAILABLE = LOCKED | {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
}
"""Error codes of an intact SQLite database whose disk is full, read-only or away."""
TICK = 0.1
"""Seconds between two looks at whether to stop waiting."""
SECONDS_BETWEEN_TRIES = 1.0


class Outage:
    """A temporary failure of a database.

    Args:
        reason: The database's own message, without the statement that failed.
        locked: Another process holds SQLite's write lock and will release it.
        clock: Seconds, from any start.
    """

    def __init__(
        self, reason: str, *, locked: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.reason = reason
        self.locked = locked
        self._clock = clock
        self._since = clock()

    @property
    def seconds(self) -> float:
        """Its duration so far."""
        return self._clock() - self._since

    @classmethod
    def of(cls, error: BaseException) -> "Outage | None":
        """Return the outage that `error` reports, or None if waiting cannot help."""
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        if isinstance(cause, OSError):
            return cls(cause.strerror or str(cause), locked=False)
        if not isinstance(cause, DBAPIError):
            return None
        origin = cause.orig or cause
        reason = first_line(origin)
        if isinstance(origin, sqlite3.Error):
            # The lower byte is the error; the rest only details it.
            code = getattr(origin, "sqlite_errorcode", 0) & 0xFF
            return cls(reason, locked=code in LOCKED) if code in UNAVAILABLE else None
        # A server that is down, restarting, or out of space.
        down = cause.connection_invalidated or isinstance(cause, OperationalError | InterfaceError)
        return cls(reason, locked=False) if down else None


OutageHandler = Callable[[Outage], None]
"""Called after each failed try; returns when it is time for the next one, or raises."""


class SearchWait:
    """Waits during an outage of a search's storage and reports it; a stop request ends the wait.

    Args:
        observe: Told of the outage once, and of its end.
        stop_requested: Whether the search has been asked to stop.
    """

    def __init__(self, observe: Observer, stop_requested: Callable[[], bool]) -> None:
        self._observe = observe
        self._stop_requested = stop_requested
        self._reported: str | None = None

    def __call__(self, outage: Outage) -> None:
        """Wait until the next try.

        Raises:
            ServiceError: The search has been asked to stop.
        """
        if self._reported != outage.reason:
            self._reported = outage.reason
            self._observe(
                Notice(
                    f"The storage does not work: {outage.reason}. The search waits and tries again; "
                    "what is saved stays saved. Ctrl-C stops it."
                )
            )
        for _ in range(round(SECONDS_BETWEEN_TRIES / TICK)):
            if self._stop_requested():
                raise ServiceError(
                    f"The storage did not work when the search stopped: {outage.reason}. Everything up to "
                    "that point is saved; continue with `cifar-search resume` once it works again."
                )
            time.sleep(TICK)

    def over(self) -> None:
        """Report that the storage works again."""
        if self._reported is not None:
            self._reported = None
            self._observe(Notice("The storage works again; the search continues."))
