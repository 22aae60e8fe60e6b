"""A study at one moment, read from outside: its rows in the database and its files."""

import json
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple, TypeVar

import optuna
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, ProgrammingError

from cifar_core.checkpoint import load_state
from cifar_core.errors import CheckpointError
from search.home import StudyFolder
from search.study import attributes

__all__ = ["FINISHED", "Progress", "Snapshot", "StudyProbe", "TrialSnapshot"]

FINISHED = frozenset({"COMPLETE", "PRUNED", "FAIL"})
NOT_THERE_YET = ("no such table", "unable to open database file", "does not exist")

Answer = TypeVar("Answer")
OWN = "(SELECT trial_id FROM trials JOIN studies USING (study_id) WHERE study_name = :study)"
"""The trials of one study: a database may hold several."""


class Progress(NamedTuple):
    """How far a study is, as a few numbers that are quick to read and never decrease.

    Attributes:
        trials: Trials, in whatever state.
        finished: Trials of the search that are final.
        epochs: Epochs that have been reported.
        notes: Notes about trials.
        bounds: 1 once the learning-rate bounds are stored, else 0.
    """

    trials: int
    finished: int
    epochs: int
    notes: int
    bounds: int


@dataclass(frozen=True)
class TrialSnapshot:
    """Everything that is stored of one trial.

    Attributes:
        row: Its row in the database; a trial that is made anew has another.
        number: Its number.
        state: Optuna's name of its state.
        dates: When it was begun and when it became final, as the database has it.
        values: Its final values, one if it is complete.
        params: Value and distribution of each parameter.
        notes: The service's notes.
        epochs: TrialRow and validation accuracy of each epoch that was reported, by its number.
        saved: The epochs in its checkpoint as plain values; none if there is no checkpoint.
    """

    row: int
    number: int
    state: str
    dates: tuple[str, str]
    values: tuple[float, ...] = ()
    params: dict[str, tuple[float, str]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    epochs: dict[int, tuple[int, float | None]] = field(default_factory=dict)
    saved: tuple[dict[str, Any], ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the trial is final."""
        return self.state in FINISHED

    @property
    def foreign(self) -> bool:
        """Whether another program has added the trial, already finished."""
        return self.finished and not {attributes.RECIPE, attributes.REASON} & self.notes.keys()

    @property
    def paused(self) -> bool:
        """Whether the trial was started and waits to continue."""
        return self.state == "WAITING" and bool(self.epochs)

    @property
    def seconds(self) -> dict[int, float]:
        """Seconds of each epoch, to six digits: an epoch that is trained again takes another time."""
        known = self.notes.get(attributes.EPOCHS, self.saved) if self.finished else self.saved
        return {epoch["number"]: float(f"{epoch['seconds']:.6g}") for epoch in known}


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment.

    Attributes:
        notes: The service's notes about the study.
        trials: Its trials in the order of their rows.
        sweeps: Finished sweeps of the LR-range test, and when each was written (ns).
        damage: What is wrong with the database as SQLite sees it, and with checkpoints; empty if nothing.
    """

    notes: dict[str, Any]
    trials: tuple[TrialSnapshot, ...]
    sweeps: dict[str, int]
    damage: tuple[str, ...] = ()

    @property
    def progress(self) -> Progress:
        """How far the study is."""
        return Progress(
            trials=len(self.trials),
            finished=sum(trial.finished and not trial.foreign for trial in self.trials),
            epochs=sum(len(trial.epochs) for trial in self.trials),
            notes=sum(len(trial.notes) for trial in self.trials),
            bounds=int(attributes.LR_BOUNDS in self.notes),
        )

    def without(self, numbers: Container[int]) -> "Snapshot":
        """Return the same moment without some trials."""
        left = tuple(trial for trial in self.trials if trial.number not in numbers)
        return replace(self, trials=left)

    def in_state(self, *states: str) -> list[TrialSnapshot]:
        """The trials in one of these states."""
        return [trial for trial in self.trials if trial.state in states]


class StudyProbe:
    """Reads a study that another process may be writing; changes nothing and keeps nothing open.

    Args:
        home: The study's home.
        study: Its name.
        storage: URL of its database; the home's own by default.
    """

    def __init__(self, home: Path, study: str, storage: str | None = None) -> None:
        self.home = home
        self.study = study
        self.url = storage or f"sqlite:///{home / 'studies.db'}"
        self.folder = StudyFolder(home / "studies" / study)
        self._is_sqlite = make_url(self.url).get_backend_name() == "sqlite"
        url = self.url
        if storage is None:
            url = f"sqlite:///file:{home / 'studies.db'}?mode=ro&uri=true"
        # A connection that stays open would save the next search the recovery of the database.
        self._engine = create_engine(url, poolclass=NullPool)

    def progress(self) -> Progress | None:
        """Return how far the study is, or None if it does not exist."""
        question = f"""
            SELECT (SELECT count(*) FROM trials WHERE trial_id IN {OWN}),
                (SELECT count(*) FROM trials WHERE trial_id IN {OWN}
                    AND state IN ('COMPLETE', 'PRUNED', 'FAIL')
                    AND trial_id IN (SELECT trial_id FROM trial_user_attributes
                        WHERE key IN ('recipe', 'reason'))),
                (SELECT count(*) FROM trial_intermediate_values WHERE trial_id IN {OWN}),
                (SELECT count(*) FROM trial_user_attributes WHERE trial_id IN {OWN}),
                (SELECT count(*) FROM study_user_attributes
                    WHERE study_id = studies.study_id AND key = 'lr_bounds')
            FROM studies WHERE study_name = :study
        """  # noqa: S608 - nothing from outside stands in it
        found = self._answer(
            lambda connection: connection.execute(text(question), {"study": self.study}).first()
        )
        return None if found is None else Progress(*found)

    def look(self) -> Snapshot | None:
        """Return the study as it is now, or None if it does not exist.

        The database is read first and in one transaction. A search that runs may have finished a trial,
        and removed its checkpoint, when the checkpoints are read, or gone on with one that waited: then
        everything is read again.
        """
        for _ in range(4):
            snapshot = self._read()
            if snapshot is None or not any(map(_is_behind, snapshot.trials)):
                break
            sleep(0.1)
        return snapshot

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """Return the trials as Optuna reads them."""
        storage = optuna.storages.RDBStorage(self.url, engine_kwargs={"poolclass": NullPool})
        try:
            return optuna.load_study(study_name=self.study, storage=storage).get_trials()
        finally:
            storage.remove_session()
            storage.engine.dispose()

    def forget(self) -> None:
        """Delete the study from a database that it shares with others."""
        storage = optuna.storages.RDBStorage(self.url, engine_kwargs={"poolclass": NullPool})
        try:
            if self.study in optuna.get_all_study_names(storage):
                optuna.delete_study(study_name=self.study, storage=storage)
        finally:
            storage.remove_session()
            storage.engine.dispose()

    def _answer(self, question: Callable[[Connection], Answer]) -> Answer | None:
        """Return an answer as of one moment; None without a database, or without all of its tables."""
        try:
            with self._engine.connect() as connection:
                if self._is_sqlite:
                    connection.exec_driver_sql(
                        "BEGIN"
                    )  # Python's driver begins with the first write
                else:
                    connection.execution_options(isolation_level="REPEATABLE READ")
                return question(connection)
        except (OperationalError, ProgrammingError) as error:
            if any(words in str(error) for words in NOT_THERE_YET):
                return None
            raise

    def _read(self) -> Snapshot | None:
        rows = self._answer(self._rows)
        if rows is None:
            return None
        damage = [f"integrity_check says: {line}" for line in rows.check if line != "ok"]
        seen = []
        for row, number, state, *dates in rows.trials:
            saved: tuple[dict[str, Any], ...] = ()
            if state not in FINISHED:
                try:
                    saved = self._saved(number)
                except CheckpointError as error:
                    damage.append(str(error))
            seen.append(
                TrialSnapshot(
                    row,
                    number,
                    state,
                    (str(dates[0]), str(dates[1])),
                    tuple(value for trial, value in rows.values if trial == row),
                    {
                        name: (value, kind)
                        for trial, name, value, kind in rows.params
                        if trial == row
                    },
                    {
                        key: json.loads(value)
                        for trial, key, value in rows.trial_notes
                        if trial == row
                    },
                    {step: (own, value) for trial, step, own, value in rows.epochs if trial == row},
                    saved,
                )
            )
        sweeps = {
            path.name: path.stat().st_mtime_ns for path in self.folder.sweeps.rglob("[!.]*.json")
        }
        return Snapshot(
            {key: json.loads(value) for key, value in rows.notes},
            tuple(seen),
            sweeps,
            tuple(damage),
        )

    def _rows(self, connection: Connection) -> "_Rows | None":
        def ask(question: str) -> list[Any]:
            return list(connection.execute(text(question), {"study": self.study}))

        if not ask("SELECT 1 FROM studies WHERE study_name = :study"):
            return None
        columns = "number, CAST(state AS VARCHAR(16)), datetime_start, datetime_complete"
        epoch = "step, trial_intermediate_value_id, intermediate_value"
        check = connection.exec_driver_sql("PRAGMA integrity_check") if self._is_sqlite else None
        return _Rows(
            notes=ask(
                "SELECT key, value_json FROM study_user_attributes JOIN studies USING (study_id) "
                "WHERE study_name = :study"
            ),
            trials=ask(_of_trials("trials", columns) + " ORDER BY trial_id"),
            values=ask(_of_trials("trial_values", "value")),
            params=ask(_of_trials("trial_params", "param_name, param_value, distribution_json")),
            trial_notes=ask(_of_trials("trial_user_attributes", "key, value_json")),
            epochs=ask(_of_trials("trial_intermediate_values", epoch)),
            check=[] if check is None else list(check.scalars()),
        )

    def _saved(self, trial: int) -> tuple[dict[str, Any], ...]:
        path = self.folder.checkpoint(trial)
        try:
            return tuple(load_state(path)["history"])
        except CheckpointError:
            if path.exists():
                raise
            return ()  # it is not there yet, or the trial has just ended


class _Rows(NamedTuple):
    """The rows of a study, table by table."""

    notes: list[Any]
    trials: list[Any]
    values: list[Any]
    params: list[Any]
    trial_notes: list[Any]
    epochs: list[Any]
    check: list[str]


def _is_behind(trial: TrialSnapshot) -> bool:
    """Return whether a checkpoint was written at another moment than the database was read."""
    saved, reported = len(trial.saved), len(trial.epochs)
    return saved != reported if trial.paused else trial.state == "RUNNING" and saved < reported


def _of_trials(table: str, columns: str) -> str:
    return f"SELECT trial_id, {columns} FROM {table} WHERE trial_id IN {OWN}"  # noqa: S608 - constants
