"""Optuna's database storage, with patience: what passes by itself, or is mended, is waited for."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from cifar_core.files import make_durable
from search.errors import ServiceError
from search.events import Notice, Observer
from search.storage.fast_rdb import FastRDBStorage
from search.study import attributes

__all__ = ["RetryingStorage", "Trouble"]

BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
TROUBLES = BUSY | {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
}
"""What an SQLite database that is whole may answer as long as its disk is full, read-only or away."""
SECONDS_OF_A_LOCK = 60.0
SECONDS_BETWEEN_TRIES = 1.0
LOOK = 0.1

Parameters = ParamSpec("Parameters")
Found = TypeVar("Found")
Handler = Callable[["Trouble"], None]


class Trouble:
    """Something that keeps a storage from working for now.

    Args:
        reason: In the database's words, without what was asked of it.
        locked: Another process holds SQLite's lock: it will let go.
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
        """How long it has lasted."""
        return self._clock() - self._since

    @classmethod
    def of(cls, error: BaseException) -> "Trouble | None":
        """The trouble that `error` tells of; None if waiting will not mend it."""
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        if isinstance(cause, OSError):
            return cls(cause.strerror or str(cause), locked=False)
        if not isinstance(cause, DBAPIError):
            return None
        origin = cause.orig
        reason = (str(origin).strip().splitlines() or [type(origin).__name__])[0]
        if isinstance(origin, sqlite3.Error):
            # The lower byte is the error, the others say more about it.
            code = getattr(origin, "sqlite_errorcode", 0) & 0xFF
            return cls(reason, locked=code in BUSY) if code in TROUBLES else None
        # A server that is away, restarts, or has no space.
        away = cause.connection_invalidated or isinstance(cause, OperationalError | InterfaceError)
        return cls(reason, locked=False) if away else None


def _nothing() -> None:
    """What is done when nobody waits. A function with a name, so that a storage can be pickled."""


def _patient(
    method: Callable[Concatenate["RetryingStorage", Parameters], Found], /
) -> Callable[Concatenate["RetryingStorage", Parameters], Found]:
    """The method, tried again as long as the storage's trouble lasts and whoever handles it waits."""

    @wraps(method)
    def tried(
        self: "RetryingStorage", /, *args: Parameters.args, **options: Parameters.kwargs
    ) -> Found:
        trouble = None
        while True:
            try:
                found = method(self, *args, **options)
            except (StorageInternalError, DBAPIError, OSError) as error:
                now = Trouble.of(error)
                if now is None:
                    raise
                trouble = trouble or now
                trouble.reason, trouble.locked = now.reason, now.locked
                if self.on_trouble is None:
                    if not trouble.locked or trouble.seconds > SECONDS_OF_A_LOCK:
                        raise
                    time.sleep(LOOK)
                else:
                    self.on_trouble(trouble)
            else:
                if trouble is not None:
                    self.on_recovery()
                return found

    return tried


class RetryingStorage(FastRDBStorage):
    """Optuna's storage, whose every call waits while the database is locked, full or away.

    Without more it waits a minute for a lock and for nothing else. Where one process writes, as the
    coordinator does, a call that failed is repeated without doing anything twice, even if the
    connection broke after the database had done it.

    In SQLite's write-ahead mode nothing is lost with a process, but with the machine's power goes what is
    not on the disk yet. So everything is put there with each note of the study, and when a trial has its
    recipe or is finished: before its checkpoint, from which it could go on, is removed.

    Args:
        url: The database.
        file: The database's file, if it is SQLite's.
        engine_kwargs: As for Optuna's `RDBStorage`.

    Attributes:
        on_trouble: Told of each failed try; returns when it is time for the next, or raises. None for the
            minute's patience.
        on_recovery: Told when a call that had failed has succeeded.
    """

    on_trouble: Handler | None
    on_recovery: Callable[[], None]

    def __init__(
        self, url: str, file: Path | None = None, engine_kwargs: dict[str, Any] | None = None
    ) -> None:
        self.on_trouble = None
        self.on_recovery = _nothing
        self._log = None if file is None else file.with_name(f"{file.name}-wal")
        super().__init__(url, engine_kwargs=engine_kwargs)

    @contextmanager
    def waiting(self, observe: Observer, stop_requested: Callable[[], bool]) -> Iterator[None]:
        """Wait, within this context, for as long as it takes or until a stop is asked for.

        Raises:
            ServiceError: A stop was asked for while the storage did not work.
        """
        waiting = Waiting(observe, stop_requested)
        self.on_trouble, self.on_recovery = waiting, waiting.over
        try:
            yield
        finally:
            self.on_trouble = None

    def _make_durable(self) -> None:
        if self._log is not None:
            make_durable(self._log)

    @_patient
    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """As Optuna says; durable when it returns."""
        super().set_study_user_attr(study_id, key, value)
        self._make_durable()

    @_patient
    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """As Optuna says; a recipe is durable when it returns."""
        super().set_trial_user_attr(trial_id, key, value)
        if key == attributes.RECIPE:
            self._make_durable()

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """As Optuna says; the end of a trial is durable when it returns."""
        tries = count(1)

        @_patient
        def attempt(self: "RetryingStorage") -> bool:
            # The connection may have broken behind the commit, whose answer then never came.
            there = next(tries) > 1 and self.get_trial(trial_id).state is state
            done = there or super().set_trial_state_values(trial_id, state, values)
            if state.is_finished():
                self._make_durable()
            return done

        return attempt(self)

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        """As Optuna does; where the connection broke behind the commit, that trial is taken."""
        began = datetime.now()  # noqa: DTZ005 - Optuna's trials begin in local time
        tries = count(1)

        @_patient
        def attempt(self: "RetryingStorage") -> FrozenTrial:
            if next(tries) > 1:
                for trial in reversed(self.get_all_trials(study_id, deepcopy=False)):
                    if _is_made_of(trial, template_trial, began):
                        return trial
            return super()._create_new_trial(study_id, template_trial)

        return attempt(self)


for _name in (
    *("create_new_study", "delete_study", "set_study_system_attr", "get_study_id_from_name"),
    *("get_study_name_from_id", "get_study_directions", "get_study_user_attrs"),
    *("get_study_system_attrs", "get_all_studies", "_set_trial_param", "get_trial_param"),
    *("set_trial_intermediate_value", "set_trial_system_attr", "get_trial"),
    *("get_trial_id_from_study_id_trial_number", "_get_trials", "_get_best_trial_id"),
):
    setattr(RetryingStorage, _name, _patient(getattr(FastRDBStorage, _name)))


def _is_made_of(trial: FrozenTrial, template: FrozenTrial | None, began: datetime) -> bool:
    """A trial that was created from `template`, since `began`, and that nobody has touched yet."""
    if template is None:
        started = trial.datetime_start
        fresh = started is not None and started >= began.replace(microsecond=0)
        return trial.state is TrialState.RUNNING and fresh and not trial.user_attrs | trial.params
    parts = ("state", "user_attrs", "system_attrs", "datetime_start", "datetime_complete")
    return all(getattr(trial, part) == getattr(template, part) for part in parts)


class Waiting:
    """Waits while a search's storage is in trouble, and says so; a stop ends the waiting.

    Args:
        observe: Told what is waited for, once, and when it is over.
        stop_requested: Whether the search shall stop.
    """

    def __init__(self, observe: Observer, stop_requested: Callable[[], bool]) -> None:
        self._observe = observe
        self._stop_requested = stop_requested
        self._told: str | None = None

    def __call__(self, trouble: Trouble) -> None:
        """Wait until the next try.

        Raises:
            ServiceError: The search shall stop.
        """
        if self._told != trouble.reason:
            self._told = trouble.reason
            self._observe(
                Notice(
                    f"The storage does not work: {trouble.reason}. The search waits and tries again; "
                    "what is saved stays saved. Ctrl-C stops it."
                )
            )
        for _ in range(round(SECONDS_BETWEEN_TRIES / LOOK)):
            if self._stop_requested():
                raise ServiceError(
                    f"The storage did not work when the search stopped: {trouble.reason}. Everything up to "
                    "there is saved; go on with `cifar-search resume` when it works again."
                )
            time.sleep(LOOK)

    def over(self) -> None:
        """The storage works again."""
        if self._told is not None:
            self._told = None
            self._observe(Notice("The storage works again; the search goes on."))
