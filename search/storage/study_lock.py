"""Who runs a study: one process, wherever its home is. The storage itself keeps the others away."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import column, event, select, table
from sqlalchemy.exc import SQLAlchemyError

from search.errors import StudyHeldError
from search.home import Home, held_error, process_of
from search.storage.locks import StorageLock, lock_in
from search.storage.opening import saying_why
from search.storage.urls import place_of, where_flags
from search.study import attributes

__all__ = ["StudyLock", "ask_to_stop", "held", "holder"]

SECONDS_BETWEEN_LOOKS = 5.0

_STUDIES = table("studies", column("study_id"), column("study_name"))
_NOTES = table("study_user_attributes", column("study_id"), column("key"), column("value_json"))


class StudyLock:
    """A study that this process holds in its storage.

    Args:
        storage: Where the study is, or will be.
        study: Its name.
        home: This process's home.
        lock: The storage's lock of the study.
        clock: Seconds, from any start.
    """

    def __init__(
        self,
        storage: RDBStorage,
        study: str,
        home: Home,
        lock: StorageLock,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._study = study
        self._lock = lock
        self._clock = clock
        self._where = where_flags(home, storage.url)
        self._me = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "home": str(home.root.resolve()),
        }
        self._noted = False
        self._certain = True
        self._checked = self._looked = clock()
        self._asked = False

    def note(self) -> None:
        """Say in the study, which must be there, who holds it; an old request to stop is taken back."""
        number = self._storage.get_study_id_from_name(self._study)
        self._storage.set_study_user_attr(number, attributes.HOLDER, self._me)
        if self._storage.get_study_user_attrs(number).get(attributes.STOP_REQUEST) is not None:
            self._storage.set_study_user_attr(number, attributes.STOP_REQUEST, None)
        self._noted = True

    def take(self) -> None:
        """Take the study.

        Raises:
            StudyHeldError: Another process has it.
            SQLAlchemyError: The server cannot be reached.
        """
        if not self._lock.acquire():
            raise held_error(self._study, _noted_holder(self._storage, self._study), self._where)

    def check(self, older_than: float = 0.0) -> None:
        """Make sure that the study is still held. A server that was restarted has forgotten who holds it.

        Args:
            older_than: Seconds for which a look is good.

        Raises:
            StudyHeldError: Another process has it now, or had it meanwhile.
            SQLAlchemyError: The server cannot be reached.
            TimeoutError: It still has this process's broken connection; that goes in less than a minute.
        """
        now = self._clock()
        if self._certain and now - self._checked < older_than:
            return
        if not self._lock.is_held():
            self._certain = False
            if not self._lock.acquire():
                if self._read(attributes.HOLDER) == self._me:
                    # Cut off by the network: only this end of the old connection knows.
                    raise TimeoutError("the server has not seen yet that a connection is broken")
                raise self._taken("another process")
        if not self._certain and self._noted:
            who = self._read(attributes.HOLDER)
            if who != self._me:
                self._lock.release()
                raise self._taken(process_of(who or {}))
        self._certain, self._checked = True, now

    def stop_requested(self) -> bool:
        """Whether somebody has asked through the storage to stop; looked up every few seconds.

        Raises:
            StudyHeldError: As `check` does.
        """
        if self._clock() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = self._clock()
            try:
                self.check()
                self._asked = self._read(attributes.STOP_REQUEST) is not None
            except (SQLAlchemyError, OSError):
                pass  # it is away for now, and whatever is written next waits for it
        return self._asked

    def _read(self, key: str) -> Any:
        # Beside the storage's own connections: `check` is asked while one of those is made.
        joined = _NOTES.join(_STUDIES, _NOTES.c.study_id == _STUDIES.c.study_id)
        found = self._lock.read(
            select(_NOTES.c.value_json)
            .select_from(joined)
            .where(_STUDIES.c.study_name == self._study, _NOTES.c.key == key)
        )
        return None if found is None else json.loads(found)

    def _taken(self, who: str) -> StudyHeldError:
        return StudyHeldError(
            f"Study {self._study} was taken over by {who} while the storage could not be reached. "
            "This process stops; what it had saved is kept."
        )


@contextmanager
def held(home: Home, storage: RDBStorage, study: str) -> Iterator[StudyLock]:
    """Hold a study, which need not be there yet, in a home and in its storage.

    Both let go when this process ends, however it ends. Nothing is written to the storage through a
    connection that was made, or by more than some seconds, after the hold was last seen to be there.

    Raises:
        StudyHeldError: Another process holds it.
        ServiceError: The storage cannot be reached.
    """
    own = home.study(study)
    with own.held(where_flags(home, storage.url), place_of(home, storage.url)):
        lock = lock_in(storage.engine, study)
        hold = StudyLock(storage, study, home, lock)
        with saying_why(storage.url):
            hold.take()

        def connected(*_: object) -> None:
            hold.check()

        def used(*_: object) -> None:
            hold.check(older_than=SECONDS_BETWEEN_LOOKS)

        guards = (("connect", connected), ("checkout", used))
        for name, guard in guards:
            event.listen(storage.engine, name, guard)
        try:
            for half_written in home.exports(study).glob(".best-*"):  # by a process that was killed
                half_written.unlink(missing_ok=True)
            if attributes.SETTINGS in _notes_of(storage, study):
                hold.note()
            yield hold
        finally:
            for name, guard in guards:
                event.remove(storage.engine, name, guard)
            lock.release()


def holder(storage: RDBStorage, study: str) -> dict[str, Any] | None:
    """Who runs a study, in whatever home (`pid`, `host`, `since`, `home`); None if nobody does."""
    if not lock_in(storage.engine, study).is_taken():
        return None
    return _noted_holder(storage, study)


def ask_to_stop(storage: RDBStorage, study: str) -> None:
    """Ask whoever runs the study to stop; it looks every few seconds."""
    number = storage.get_study_id_from_name(study)
    asked = datetime.now(UTC).isoformat(timespec="seconds")
    storage.set_study_user_attr(number, attributes.STOP_REQUEST, asked)


def _noted_holder(storage: RDBStorage, study: str) -> dict[str, Any]:
    found = _notes_of(storage, study).get(attributes.HOLDER)
    return found if isinstance(found, dict) else {}


def _notes_of(storage: RDBStorage, study: str) -> dict[str, Any]:
    try:
        return storage.get_study_user_attrs(storage.get_study_id_from_name(study))
    except KeyError:
        return {}
