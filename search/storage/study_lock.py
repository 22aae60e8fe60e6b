"""The lock of a study: one process runs it, in whatever home, and others can see which."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Select, column, event, select, table
from sqlalchemy.exc import SQLAlchemyError

from cifar_core.files import write_atomically
from search.command_lines import command_line
from search.errors import StudyGoneError, StudyHeldError
from search.home import Home, StudyFolder, safe_name
from search.storage.database_file import DatabaseFile
from search.storage.locks import SECONDS_TO_TAKE, is_locked, lock_in
from search.storage.opening import saying_why
from search.storage.owner import Owner
from search.storage.retrying import RetryingStorage
from search.storage.study_folder import (
    folder_of,
    folder_to_run_in,
    identity_to_run_with,
    notes_of,
)
from search.storage.urls import place_of, where_flags
from search.study import attributes

__all__ = ["StudyLock"]

SECONDS_BETWEEN_LOOKS = 5.0

_STUDIES = table("studies", column("study_id"), column("study_name"))
_NOTES = table("study_user_attributes", column("study_id"), column("key"), column("value_json"))


class StudyLock:
    """The lock of a study, which need not exist yet, in a home and in its storage.

    As a context manager it takes both locks; the system releases them when the process ends, however it
    ends. Within the context nothing is written through a connection that was made, or by more than some
    seconds, after the lock was last seen to be held, and nothing into a database file that was replaced.

    Entering raises `StudyHeldError` if another process holds the study, `UsageError` if its folder in this
    home belongs to a study in another storage, and `ServiceError` if the storage cannot be reached. Leaving
    raises `StudyGoneError` if the study or its database is no longer there.

    Args:
        home: This process's home.
        storage: The storage in which the study is, or will be.
        study: The study's name.
        clock: Seconds, from any start.

    Attributes:
        folder: The study's own files in this home.
        identity: The study's identity; empty until the lock is taken.
    """

    def __init__(
        self,
        home: Home,
        storage: RetryingStorage,
        study: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._storage = storage
        self._study = study
        self._clock = clock
        self._where = where_flags(home, storage.url)
        self._lock = lock_in(storage.engine, safe_name(study))
        self._database_file = DatabaseFile(storage.url)
        self._me = Owner.this_process(home).to_dict()
        self._entered = ExitStack()
        self.identity = ""
        self._study_id: int | None = None
        self._certain = True
        self._checked = self._looked = clock()
        self._stop_requested = False
        self.folder = folder_of(home, storage, study)

    # ---------------------------------------------------------------------------- for every process

    def owner(self) -> Owner | None:
        """Return the process that runs the study, in whatever home; None if none does."""
        if is_locked(self.folder.lock):
            return Owner.read(self.folder.read_note())
        if not self._lock.is_taken():
            return None
        return Owner.read(notes_of(self._storage, self._study).get(attributes.HOLDER))

    def folder_in_use(self) -> StudyFolder:
        """Return the study's files in the home of the process that runs it, or otherwise in this home."""
        owner = self.owner()
        if owner is None or owner.home in {None, str(self._home.root.resolve())}:
            return self.folder
        return folder_of(Home(Path(owner.home or "")), self._storage, self._study)

    def check_free(self) -> None:
        """Make sure that no process runs the study, where the lock itself cannot be taken.

        Raises:
            StudyHeldError: A process runs it.
        """
        if (owner := self.owner()) is not None:
            raise self._held_by(owner)

    def request_stop(self) -> None:
        """Ask the process that runs the study to stop. Through the storage that takes some seconds."""
        if is_locked(self.folder.lock):
            self.folder.stop_request.touch()
            return
        study_id = self._storage.get_study_id_from_name(self._study)
        requested = datetime.now(UTC).isoformat(timespec="seconds")
        self._storage.set_study_user_attr(study_id, attributes.STOP_REQUEST, requested)

    # ----------------------------------------------------------------- for the process that runs it

    def __enter__(self) -> "StudyLock":
        with ExitStack() as entered:
            with saying_why(self._storage.url):
                taken = self._lock.acquire()
            if not taken:
                raise self._held_by(self.owner() or Owner())
            entered.callback(self._lock.release)
            self.identity = identity_to_run_with(self._home, self._storage, self._study)
            self.folder = folder_to_run_in(self._home, self._storage, self._study, self.identity)
            self.folder.create()
            self._take_folder(entered)
            for name, guard in (("connect", self._on_connect), ("checkout", self._on_checkout)):
                event.listen(self._storage.engine, name, guard)
                entered.callback(event.remove, self._storage.engine, name, guard)
            self._remove_remains()
            if attributes.SETTINGS in notes_of(self._storage, self._study):
                self.note()
            self._entered = entered.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._entered:
            if error is not None and not isinstance(error, Exception):
                return  # a Ctrl-C is not to be held up
            try:
                self._check_study()
            except StudyGoneError as gone:
                self.folder.images.unlink(missing_ok=True)
                raise gone from error
            except (SQLAlchemyError, OSError, StudyHeldError):
                return  # the storage is away, and whoever noticed has said so

    def note(self) -> None:
        """Write into the study, which must exist, who runs it, and withdraw an old request to stop."""
        self._study_id = self._storage.get_study_id_from_name(self._study)
        notes = self._storage.get_study_user_attrs(self._study_id)
        wanted: dict[str, Any] = {attributes.IDENTITY: self.identity, attributes.HOLDER: self._me}
        if attributes.STOP_REQUEST in notes:
            wanted[attributes.STOP_REQUEST] = None
        for key, value in wanted.items():
            if notes.get(key) != value:
                self._storage.set_study_user_attr(self._study_id, key, value)

    def forget(self) -> None:
        """Stop looking whether the study is still there: this process has deleted or renamed it."""
        self._study_id = None

    def check(self, older_than: float = 0.0) -> None:
        """Make sure that the study is still held: a server that was restarted has forgotten its locks.

        Args:
            older_than: Seconds for which the last check is good enough.

        Raises:
            StudyGoneError: The database file was removed or replaced.
            StudyHeldError: Another process has the study now, or had it meanwhile.
            SQLAlchemyError: The server cannot be reached.
            TimeoutError: It still has this process's broken connection, for less than a minute.
        """
        self._database_file.check()
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
        if not self._certain and self._study_id is not None:
            owner = self._read(attributes.HOLDER)
            if owner != self._me:
                self._lock.release()
                raise self._taken(str(Owner.read(owner)))
        self._certain, self._checked = True, now

    def stop_requested(self) -> bool:
        """Return whether a stop was requested through the storage, which is read every few seconds.

        Raises:
            StudyGoneError: The study or its database file is no longer there.
            StudyHeldError: As `check` does.
        """
        self._database_file.check()
        if self._clock() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = self._clock()
            try:
                self.check()
                self._check_study()
                self._stop_requested = self._read(attributes.STOP_REQUEST) is not None
            except (SQLAlchemyError, OSError):
                pass  # it is away for now, and whatever is written next waits for it
        return self._stop_requested

    # ------------------------------------------------------------------------------------- internals

    def _on_connect(self, *_: object) -> None:
        self.check()

    def _on_checkout(self, *_: object) -> None:
        self.check(older_than=SECONDS_BETWEEN_LOOKS)

    def _take_folder(self, entered: ExitStack) -> None:
        lock = FileLock(self.folder.lock)
        try:
            lock.acquire(timeout=SECONDS_TO_TAKE)
        except Timeout as error:
            owner = Owner.read({"host": "this machine", **self.folder.read_note()})
            raise self._held_by(owner) from error
        entered.callback(lock.release)
        note = {
            **self._me,
            "study": self._study,
            "storage": place_of(self._home, self._storage.url),
            attributes.IDENTITY: self.identity,
        }
        write_atomically(self.folder.note, json.dumps(note).encode())

    def _remove_remains(self) -> None:
        """Remove what an earlier process has left: a request to stop, and half-written files."""
        self.folder.stop_request.unlink(missing_ok=True)
        self.folder.remove_half_written()
        for half_written in self._home.exports(self._study).glob(".best-*"):
            half_written.unlink(missing_ok=True)

    def _check_study(self) -> None:
        """Make sure that the study and its database are still those that this process took.

        Raises:
            StudyGoneError: They are not.
        """
        self._database_file.check()
        if self._study_id is None:
            return
        by_id = select(_STUDIES.c.study_name).where(_STUDIES.c.study_id == self._study_id)
        if self._lock.read(by_id) != self._study:
            raise self._gone()
        if self._read(attributes.HOLDER) is None:
            raise StudyGoneError(
                f"The database of study {self._study} was overwritten while the search ran, which stops: "
                "what it would save next would not fit what is there now."
            )

    def _gone(self) -> StudyGoneError:
        renamed = [
            one.study_name
            for one in self._storage.get_all_studies()
            if one.user_attrs.get(attributes.IDENTITY) == self.identity
        ]
        if not renamed:
            return StudyGoneError(
                f"Study {self._study} was deleted while it ran. The search stops; its checkpoints are in "
                f"{self.folder.root}."
            )
        return StudyGoneError(
            f"Study {self._study} was renamed while it ran: it is now {renamed[0]}. The search stops. "
            f"Continue it with: {command_line('resume', renamed[0], flags=self._where)}"
        )

    def _read(self, key: str) -> Any:
        # Beside the storage's own connections: `check` is called while one of those is made.
        question: Select[Any] = select(_NOTES.c.value_json).where(
            _NOTES.c.study_id == self._study_id, _NOTES.c.key == key
        )
        found = self._lock.read(question)
        return None if found is None else json.loads(found)

    def _held_by(self, owner: Owner) -> StudyHeldError:
        return StudyHeldError(
            f"Study {self._study} is already running: {owner}. "
            f"Watch it with: {command_line('status', self._study, flags=self._where, watch=True)}"
        )

    def _taken(self, owner: str) -> StudyHeldError:
        return StudyHeldError(
            f"Study {self._study} was taken over by {owner} while the storage could not be reached. "
            "This process stops; what it had saved is kept."
        )
