"""A storage for Optuna that repeats a call that failed because the database was locked, full or away."""

import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, get_storage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from cifar_core.files import make_durable
from search.events import Observer
from search.storage.fast_rdb import FastRDBStorage
from search.storage.outages import TICK, Outage, OutageHandler, SearchWait
from search.study import attributes

__all__ = ["RetryingStorage"]

SECONDS_OF_A_LOCK = 60.0

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _ignore() -> None:
    """Do nothing. A named function, so that a storage can be pickled."""


class RetryingStorage(BaseStorage):
    """Delegates every call to a database storage behind Optuna's cache, and repeats it during an outage.

    By default it waits up to a minute for a lock, and for nothing else. Where only one process writes, as
    the coordinator does, a repeated call has no effect twice, even if the connection broke after the
    commit, so that its answer was lost.

    SQLite's write-ahead mode protects against the death of a process, but a power failure loses what is not
    on the disk yet. So the log is put on the disk with each note of the study, and when a trial gets its
    recipe or ends: that is before the checkpoint from which it could continue is removed.

    Args:
        database: The storage that each call goes to.
        file: The database's file, if it is SQLite's.
        read_from: The URL that the user knows a database by which is opened to be read only.

    Attributes:
        read_only: Nothing can be written.
        on_outage: Called after each failed try; returns when it is time for the next one, or raises. None
            for the default.
        on_recovery: Called when a call that had failed has succeeded.
        hides: Returns whether a trial is left out of all trials; None to leave out none.
    """

    def __init__(
        self, database: FastRDBStorage, file: Path | None = None, read_from: str | None = None
    ) -> None:
        self.read_only = read_from is not None
        self.on_outage: OutageHandler | None = None
        self.on_recovery: Callable[[], None] = _ignore
        self.hides: Callable[[FrozenTrial], bool] | None = None
        self._database = database
        self._url = read_from or str(database.url)
        self._cached = get_storage(database)
        self._log = None if file is None else file.with_name(f"{file.name}-wal")

    @property
    def url(self) -> str:
        """The database's URL, its password included."""
        return self._url

    @property
    def engine(self) -> Engine:
        """The database's engine."""
        return self._database.engine

    @contextmanager
    def waiting(self, observe: Observer, stop_requested: Callable[[], bool]) -> Iterator[None]:
        """Within this context, wait until an outage is over or a stop is requested.

        Raises:
            ServiceError: A stop was requested during an outage.
        """
        wait = SearchWait(observe, stop_requested)
        self.on_outage, self.on_recovery = wait, wait.over
        try:
            yield
        finally:
            self.on_outage = None

    def forget(self) -> None:
        """Drop what is cached of finished trials: studies may have been deleted and created again."""
        self._cached = get_storage(self._database)

    def remove_session(self) -> None:
        """Close this thread's connection."""
        self._database.remove_session()

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study."""
        create = partial(self._cached.create_new_study, directions, study_name)

        def repeat() -> int:
            there = [one for one in self._cached.get_all_studies() if one.study_name == study_name]
            return there[0]._study_id if there else create()  # noqa: SLF001 - it has no public id

        return self._until_done(create, repeat)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        delete = partial(self._cached.delete_study, study_id)

        def repeat() -> None:
            if any(one._study_id == study_id for one in self._cached.get_all_studies()):  # noqa: SLF001
                delete()

        self._until_done(delete, repeat)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write a user attribute; it is durable on return."""

        def write() -> None:
            self._cached.set_study_user_attr(study_id, key, value)
            self._make_durable()

        self._until_done(write)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write a system attribute."""
        self._call(self._cached.set_study_system_attr, study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the id of a study."""
        return self._call(self._cached.get_study_id_from_name, study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study."""
        return self._call(self._cached.get_study_name_from_id, study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return a study's directions."""
        return self._call(self._cached.get_study_directions, study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return a study's user attributes."""
        return self._call(self._cached.get_study_user_attrs, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return a study's system attributes."""
        return self._call(self._cached.get_study_system_attrs, study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies."""
        return self._call(self._cached.get_all_studies)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial once; if a commit's answer was lost, return the trial that it made."""
        began = datetime.now()  # noqa: DTZ005 - Optuna's trials start in local time
        create = partial(self._cached.create_new_trial, study_id, template_trial)

        def repeat() -> int:
            for trial in reversed(self._cached.get_all_trials(study_id, deepcopy=False)):
                if _is_made_of(trial, template_trial, began):
                    return trial._trial_id  # noqa: SLF001 - it has no public id
            return create()

        return self._until_done(create, repeat)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Write a parameter."""
        self._call(
            self._cached.set_trial_param, trial_id, param_name, param_value_internal, distribution
        )

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Return the id of a trial."""
        return self._call(
            self._cached.get_trial_id_from_study_id_trial_number, study_id, trial_number
        )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Change a trial's state once; the end of a trial is durable on return."""

        def change() -> bool:
            return finish(self._cached.set_trial_state_values(trial_id, state, values))

        def repeat() -> bool:
            # The commit may have succeeded although its answer was lost.
            done = self._cached.get_trial(trial_id).state is state
            return finish(done) if done else change()

        def finish(done: bool) -> bool:
            if state.is_finished():
                self._make_durable()
            return done

        return self._until_done(change, repeat)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Write the value of a step."""
        self._call(self._cached.set_trial_intermediate_value, trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write a user attribute; a recipe is durable on return."""

        def write() -> None:
            self._cached.set_trial_user_attr(trial_id, key, value)
            if key == attributes.RECIPE:
                self._make_durable()

        self._until_done(write)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write a system attribute."""
        self._call(self._cached.set_trial_system_attr, trial_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        return self._call(self._cached.get_trial, trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return a study's trials by number."""
        trials = self._call(self._cached.get_all_trials, study_id, deepcopy, states)
        return trials if self.hides is None else [one for one in trials if not self.hides(one)]

    def enqueued_trials(self, study_id: int) -> list[int]:
        """Return the numbers of the trials that wait to be started and have no score."""
        found = self._call(self._database.enqueued_trials, study_id)
        if found:  # Optuna's cache takes parameters only of trials that it has read itself
            self.get_all_trials(study_id, deepcopy=False, states=(TrialState.WAITING,))
        return found

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the best complete trial."""
        return self._call(self._cached.get_best_trial, study_id)

    def _call(
        self,
        method: Callable[Parameters, Result],
        *args: Parameters.args,
        **options: Parameters.kwargs,
    ) -> Result:
        return self._until_done(partial(method, *args, **options))

    def _until_done(
        self, first: Callable[[], Result], repeat: Callable[[], Result] | None = None
    ) -> Result:
        """Call `first`, and during an outage `repeat` (by default `first`) until it succeeds."""
        outage = None
        while True:
            try:
                result = first() if outage is None else (repeat or first)()
            except (StorageInternalError, DBAPIError, OSError) as error:
                found = Outage.of(error)
                if found is None:
                    raise
                outage = outage or found
                outage.reason, outage.locked = found.reason, found.locked
                if self.on_outage is None:
                    if not outage.locked or outage.seconds > SECONDS_OF_A_LOCK:
                        raise
                    time.sleep(TICK)
                else:
                    self.on_outage(outage)
            else:
                if outage is not None:
                    self.on_recovery()
                return result

    def _make_durable(self) -> None:
        if self._log is not None:
            make_durable(self._log)


def _is_made_of(trial: FrozenTrial, template: FrozenTrial | None, began: datetime) -> bool:
    """Return whether a trial was created from `template` since `began` and is still as it was created."""
    if template is None:
        started = trial.datetime_start
        fresh = started is not None and started >= began.replace(microsecond=0)
        return trial.state is TrialState.RUNNING and fresh and not trial.user_attrs | trial.params
    parts = ("state", "user_attrs", "system_attrs", "datetime_start", "datetime_complete")
    return all(getattr(trial, part) == getattr(template, part) for part in parts)
