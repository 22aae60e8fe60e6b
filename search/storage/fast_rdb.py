"""Optuna's database storage with fewer statements: a trial is written and read as a whole.

It replaces private parts of Optuna 5.0, which is why setup.cfg bounds Optuna's version from above.
"""

import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    json_to_distribution,
)
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import BindParameter, Connection, Select, bindparam, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from search.storage.gathered_writes import GatheredWrites
from search.storage.trial_rows import (
    KEYS,
    PARAMS,
    PARTS,
    TRIALS,
    attribute_row,
    parts_of,
    score_row,
    value_rows,
)

__all__ = ["FastRDBStorage"]

# Statements are built once: building one takes longer than SQLite takes to answer it.
THE_TRIAL: BindParameter[int] = bindparam("the_trial")
TRIAL = select(TRIALS).where(TRIALS.c.trial_id == THE_TRIAL)
PART = {name: select(one).where(one.c.trial_id == THE_TRIAL) for name, one in PARTS.items()}
STATE = select(TRIALS.c.state).where(TRIALS.c.trial_id == THE_TRIAL)
STATE_TO_CHANGE = STATE.with_for_update()
CHANGE = {
    part: one.update().where(one.c.trial_id == THE_TRIAL, one.c[key] == bindparam("the_key"))
    for part, key in KEYS.items()
    for one in [PARTS[part]]
}
# Optuna counts the trials before it, which gives a number twice if somebody has deleted one by SQL.
NUMBER = select(func.coalesce(func.max(TRIALS.c.number) + 1, 0)).where(
    TRIALS.c.study_id == bindparam("the_study"), TRIALS.c.trial_id < THE_TRIAL
)
# Locked, so that no two trials of the study get one number.
STUDY = (
    select(models.StudyModel.study_id)
    .where(models.StudyModel.study_id == bindparam("the_study"))
    .with_for_update()
)
SCORES = PARTS["intermediate_values"]
ENQUEUED = (
    select(TRIALS.c.number)
    .where(TRIALS.c.study_id == bindparam("the_study"), TRIALS.c.state == TrialState.WAITING)
    .where(~select(SCORES).where(SCORES.c.trial_id == TRIALS.c.trial_id).exists())
    .order_by(TRIALS.c.number)
)
CHANGE_TRIAL = TRIALS.update().where(TRIALS.c.trial_id == THE_TRIAL)


class FastRDBStorage(RDBStorage):
    """Optuna's storage without the hundred statements that a new trial, or reading one, takes there.

    Optuna checks before each parameter and attribute of a new trial that it may be written, reads a trial
    through objects that fetch their parts on access, and writes a trial's state through such objects, which
    take longer than the database. This class stores, refuses and returns the same.
    """

    def __init__(
        self, url: str, engine_kwargs: dict[str, Any] | None = None, *, read_only: bool = False
    ) -> None:
        self._distributions: dict[tuple[int, str], BaseDistribution] = {}
        super().__init__(url, engine_kwargs=engine_kwargs, skip_table_creation=read_only)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        super().delete_study(study_id)
        self._distributions.clear()  # SQLite may give the id to another study

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        with _create_scoped_session(self.scoped_session) as session:
            connection, which = session.connection(), {"the_trial": trial_id}
            trial = connection.execute(TRIAL, which).first()
            if trial is None:
                raise KeyError(models.NOT_FOUND_MSG)
            parts = {name: connection.execute(one, which).all() for name, one in PART.items()}
        # Optuna's own model of a trial fetches its parts one by one, on access.
        whole: Any = SimpleNamespace(
            trial_id=trial_id,
            number=trial.number,
            state=trial.state,
            datetime_start=_local(trial.datetime_start),
            datetime_complete=_local(trial.datetime_complete),
            **parts,
        )
        return self._build_frozen_trial_from_trial_model(whole)

    def enqueued_trials(self, study_id: int) -> list[int]:
        """Return the numbers of the trials that wait to be started and have no score."""
        with _create_scoped_session(self.scoped_session) as session:
            found = session.connection().scalars(ENQUEUED, {"the_study": study_id})
            return list(found)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Change a trial's state; return False if it was to be started and another process did so first."""
        now = datetime.now(UTC).replace(tzinfo=None)
        change: dict[str, Any] = {"state": state}
        if state is TrialState.RUNNING:
            change["datetime_start"] = now
        elif state.is_finished():
            change["datetime_complete"] = now
        try:
            with _create_scoped_session(self.scoped_session) as session:
                connection, which = session.connection(), {"the_trial": trial_id}
                before = self._writable(connection, trial_id, STATE_TO_CHANGE)
                if state is TrialState.RUNNING and before is not TrialState.WAITING:
                    return False  # another process was faster
                for row in value_rows(values):
                    self._write(connection, "values", trial_id, row["objective"], row)
                connection.execute(CHANGE_TRIAL, which | change)
        except IntegrityError:
            return False
        return True

    def write_gathered(self, writes: GatheredWrites, *, again: bool = False) -> set[int]:
        """Write into many unfinished trials at once.

        Args:
            writes: What is to be written.
            again: It may have been written already.

        Returns:
            The trials into which nothing was written, as another process has ended or removed them.
        """
        with _create_scoped_session(self.scoped_session) as session:
            return writes.write(session.connection(), again=again)

    def _set_trial_intermediate_value_without_commit(
        self, session: Session, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        row = score_row(step, intermediate_value)
        self._put(session.connection(), "intermediate_values", trial_id, step, row)

    def _set_trial_attr_without_commit(
        self, session: Session, model_cls: Any, trial_id: int, key: str, value: Any
    ) -> None:
        ours = model_cls is models.TrialUserAttributeModel
        part = "user_attributes" if ours else "system_attributes"
        self._put(session.connection(), part, trial_id, key, attribute_row(key, value))

    def _put(
        self, connection: Connection, part: str, trial_id: int, key: int | str, row: dict[str, Any]
    ) -> None:
        """Write a row of an unfinished trial, replacing the one with this key if there is one."""
        self._writable(connection, trial_id, STATE)
        self._write(connection, part, trial_id, key, row)

    def _writable(self, connection: Connection, trial_id: int, question: Select[Any]) -> TrialState:
        """Return the state of a trial, which must not be finished."""
        state: TrialState | None = connection.scalar(question, {"the_trial": trial_id})
        if state is None:
            raise KeyError(models.NOT_FOUND_MSG)
        self.check_trial_is_updatable(trial_id, state)
        return state

    @staticmethod
    def _write(
        connection: Connection, part: str, trial_id: int, key: int | str, row: dict[str, Any]
    ) -> None:
        changed = connection.execute(CHANGE[part], {"the_trial": trial_id, "the_key": key, **row})
        if not changed.rowcount:
            connection.execute(PARTS[part].insert(), {"trial_id": trial_id, **row})

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        """Create a trial; a deadlock is an outage like others, which `RetryingStorage` waits for."""
        template = template_trial or create_trial(state=TrialState.RUNNING)
        with _create_scoped_session(self.scoped_session) as session:
            if session.connection().scalar(STUDY, {"the_study": study_id}) is None:
                raise KeyError(models.NOT_FOUND_MSG)
            row = self._get_prepared_new_trial(study_id, template, session)
        # One that changes no more is cached for good, so nobody else may hold its parts.
        made = copy.deepcopy(template) if template.state.is_finished() else copy.copy(template)
        made.number, made.datetime_start, made._trial_id = (  # noqa: SLF001
            row.number,
            row.datetime_start,
            row.trial_id,
        )
        return made

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Session
    ) -> Any:
        """Write a trial within Optuna's transaction: it is committed completely or not at all."""
        connection = session.connection()
        template = template_trial or create_trial(state=TrialState.RUNNING)
        self._check_distributions(connection, study_id, template.distributions)
        start = _stored(template.datetime_start)
        row = {
            "study_id": study_id,
            "state": template.state,
            "datetime_start": start,
            "datetime_complete": _stored(template.datetime_complete),
        }
        # Written first: from then on no other process gets this number.
        (trial_id,) = connection.execute(TRIALS.insert(), row).inserted_primary_key or (None,)
        which = {"the_trial": trial_id}
        number = connection.scalar(NUMBER, which | {"the_study": study_id})
        connection.execute(CHANGE_TRIAL, which | {"number": number})
        for name, rows in parts_of(template).items():
            if rows:
                found = [{"trial_id": trial_id, **row} for row in rows]
                connection.execute(PARTS[name].insert(), found)
        return SimpleNamespace(
            trial_id=trial_id,
            number=number,
            state=template.state,
            datetime_start=_local(start),
        )

    def _check_distributions(
        self, connection: Connection, study_id: int, distributions: Mapping[str, BaseDistribution]
    ) -> None:
        """Refuse a parameter that the study already has with another kind of distribution."""
        for name, distribution in distributions.items():
            known = self._distributions.get((study_id, name))
            if known is None:
                of_study = select(PARAMS.c.distribution_json).join(TRIALS).limit(1)
                stored = connection.scalar(
                    of_study.where(TRIALS.c.study_id == study_id, PARAMS.c.param_name == name)
                )
                if stored is None:
                    continue  # it becomes known once it is committed
                known = self._distributions[study_id, name] = json_to_distribution(stored)
            check_distribution_compatibility(known, distribution)


def _stored(local: datetime | None) -> datetime | None:
    """Return a local time as Optuna stores it: in UTC, without a time zone."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)


def _local(stored: datetime | None) -> datetime | None:
    """Return a stored time as Optuna returns it: in local time, without a time zone."""
    return None if stored is None else stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
