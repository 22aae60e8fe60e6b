"""The storage waits until an outage is over, and repeats nothing that the database has done already."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from search.errors import ServiceError
from search.events import Event, Notice
from search.lr_range.bounds import unmeasured
from search.storage import outages, retrying
from search.storage.fast_rdb import FastRDBStorage
from search.storage.opening import open_storage
from search.storage.outages import Outage
from search.storage.retrying import RetryingStorage
from search.study import attributes
from search.study.trial_states import is_foreign
from tests.search.script import HandClock
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    folder_in,
    kill_at,
    new_study,
    reopened,
    search,
    states_of,
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "studies.db"


@pytest.fixture
def storage(database: Path) -> Iterator[RetryingStorage]:
    made = open_storage(f"sqlite:///{database}")
    yield made
    made.remove_session()
    made.engine.dispose()


@pytest.fixture
def study(storage: RetryingStorage) -> optuna.Study:
    return optuna.create_study(storage=storage, study_name="mine")


def limit_pages(storage: RetryingStorage, pages: int) -> None:
    """SQLite's own limit for a database's size: beyond it, it answers as for a full disk."""
    with storage.engine.connect() as connection:
        connection.execute(text(f"PRAGMA max_page_count={pages}"))


class Mending:
    """Handles an outage by ending it after some tries."""

    def __init__(self, mend: Any, after: int = 2) -> None:
        self.heard: list[Outage] = []
        self._mend, self._after = mend, after

    def __call__(self, outage: Outage) -> None:
        self.heard.append(outage)
        if len(self.heard) == self._after:
            self._mend()


# ------------------------------------------------------------------------------------ what is waited for


def test_a_write_to_a_full_database_is_tried_until_there_is_space(
    storage: RetryingStorage, study: optuna.Study
) -> None:
    limit_pages(storage, 1)  # no more than there are already
    storage.on_outage = mending = Mending(lambda: limit_pages(storage, 10**6))
    recovered: list[bool] = []
    storage.on_recovery = lambda: recovered.append(True)
    trial = study.ask()
    long = "x" * 100_000
    trial.set_user_attr("note", long)
    assert study.trials[0].user_attrs == {"note": long}
    assert len(study.trials) == 1
    assert [one.reason for one in mending.heard] == ["database or disk is full"] * 2
    assert not mending.heard[0].locked
    assert recovered == [True]


def test_a_database_that_became_read_only_is_waited_for(
    storage: RetryingStorage, study: optuna.Study
) -> None:
    def read_only(on: int) -> None:
        with storage.engine.connect() as connection:
            connection.execute(text(f"PRAGMA query_only={on}"))

    read_only(1)
    storage.on_outage = mending = Mending(lambda: read_only(0))
    study.set_user_attr("key", "value")
    assert study.user_attrs == {"key": "value"}
    assert "readonly" in mending.heard[0].reason


def test_a_lock_is_waited_for_without_more_for_a_minute(
    storage: RetryingStorage,
    database: Path,
    study: optuna.Study,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retrying, "SECONDS_OF_A_LOCK", 0.0)
    with storage.engine.connect() as connection:  # the only one, which waits for seconds by itself
        connection.execute(text("PRAGMA busy_timeout=50"))
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageInternalError):
            study.set_user_attr("key", "value")


def test_without_a_handler_a_full_disk_is_an_error_at_once(
    storage: RetryingStorage, study: optuna.Study
) -> None:
    trial = study.ask()
    limit_pages(storage, 1)
    with pytest.raises(StorageInternalError):
        trial.set_user_attr("note", "x" * 100_000)
    limit_pages(storage, 10**6)
    study.tell(trial, 0.5)
    assert study.trials[0].state is TrialState.COMPLETE


def test_what_waiting_does_not_mend_is_an_error_at_once(
    storage: RetryingStorage, study: optuna.Study
) -> None:
    storage.on_outage = heard = Mending(lambda: None)
    with storage.engine.begin() as connection:
        connection.execute(text("DROP TABLE study_user_attributes"))
    with pytest.raises(StorageInternalError):
        study.set_user_attr("key", "value")
    assert heard.heard == []


def test_a_disk_that_fails_to_keep_it_is_waited_for(
    storage: RetryingStorage, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def fail(_: int) -> NoReturn:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    storage.on_outage = mending = Mending(lambda: monkeypatch.setattr(os, "fsync", fsync))
    trial = study.ask()
    study.tell(
        trial, 0.5
    )  # done in the database at the first try, so there is nothing to do at the third
    assert [one.state for one in study.trials] == [TrialState.COMPLETE]
    assert [one.reason for one in mending.heard] == ["Input/output error"] * 2


# -------------------------------------------------------------- a connection that breaks after a commit


def breaking_after(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the first call of the database's method do its work, and lose its answer."""
    method, calls = getattr(FastRDBStorage, name), iter(range(100))

    def broken(self: FastRDBStorage, *args: Any, **options: Any) -> Any:
        found = method(self, *args, **options)
        if next(calls) == 0:
            raise OperationalError("COMMIT", {}, ConnectionError("server closed the connection"))
        return found

    monkeypatch.setattr(FastRDBStorage, name, broken)


@pytest.mark.parametrize("enqueued", [False, True])
def test_a_trial_is_created_once(
    storage: RetryingStorage,
    study: optuna.Study,
    monkeypatch: pytest.MonkeyPatch,
    enqueued: bool,
) -> None:
    study.ask()
    study.enqueue_trial({"x": 1.0}, user_attrs={"known": "first"})
    breaking_after(monkeypatch, "_create_new_trial")
    storage.on_outage = heard = Mending(lambda: None)
    if enqueued:
        study.enqueue_trial({"x": 1.0}, user_attrs={"known": "second"})
        assert [one.user_attrs.get("known") for one in study.trials] == [None, "first", "second"]
    else:
        trial = study._storage.create_new_trial(study._study_id)
        assert [one._trial_id for one in study.trials][2:] == [trial]
    assert len(heard.heard) == 1
    assert [one.number for one in study.trials] == [0, 1, 2]


def test_a_study_is_created_and_deleted_once(
    storage: RetryingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.on_outage = Mending(lambda: None)
    for name in ("create_new_study", "delete_study"):
        breaking_after(monkeypatch, name)
    study = optuna.create_study(storage=storage, study_name="mine")
    assert optuna.get_all_study_names(storage) == ["mine"]
    optuna.delete_study(study_name="mine", storage=storage)
    assert optuna.get_all_study_names(storage) == []
    with pytest.raises(KeyError):  # a study that was not there is still an error
        storage.delete_study(study._study_id)


def test_an_end_that_was_written_is_not_an_error_when_it_is_repeated(
    storage: RetryingStorage, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = study.ask()
    breaking_after(monkeypatch, "set_trial_state_values")
    storage.on_outage = Mending(lambda: None)
    study.tell(trial, 0.25)
    assert [(one.state, one.value) for one in study.trials] == [(TrialState.COMPLETE, 0.25)]
    with pytest.raises(ValueError, match="Cannot tell"):
        study.tell(trial.number, 0.5)


def test_a_waiting_trial_that_was_taken_stays_taken(
    storage: RetryingStorage, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.enqueue_trial({"x": 1.0})
    breaking_after(monkeypatch, "set_trial_state_values")
    storage.on_outage = Mending(lambda: None)
    assert study.ask().number == 0
    assert [one.state for one in study.trials] == [TrialState.RUNNING]


# --------------------------------------------------------------------------------- what the user is told


def test_a_search_says_once_what_it_waits_for_and_when_it_is_over(
    storage: RetryingStorage, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if sum(slept) > 2.5:
            limit_pages(storage, 10**6)

    monkeypatch.setattr(outages.time, "sleep", sleep)
    limit_pages(storage, 1)
    with storage.waiting(events.append, lambda: False):
        study.set_user_attr("note", "x" * 100_000)
        assert study.user_attrs["note"]
    first, last = (event.text for event in events if isinstance(event, Notice))
    assert "database or disk is full" in first
    assert "Ctrl-C stops it" in first
    assert "continues" in last
    assert storage.on_outage is None


def test_a_stop_ends_the_waiting_with_a_word(
    storage: RetryingStorage, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages.time, "sleep", lambda _: None)
    asked = iter([False] * 30)
    limit_pages(storage, 1)
    with (
        storage.waiting(lambda _: None, lambda: next(asked, True)),
        pytest.raises(ServiceError, match=r"did not work .* disk is full.*cifar-search resume"),
    ):
        study.set_user_attr("note", "x" * 100_000)


def test_how_long_it_lasts_is_known() -> None:
    clock = HandClock()
    trouble = Outage("away", locked=False, clock=clock)
    clock.now += 3.0
    assert trouble.seconds == 3.0


# -------------------------------------------------------------------------------------- a power cut


class Disk:
    """The database's files as they are on the disk for certain: as they were when they were last synced."""

    def __init__(self, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._database = database
        self._log = database.with_name(f"{database.name}-wal")
        self._kept = (database.read_bytes(), self._log.read_bytes())
        fsync = os.fsync

        def noted(handle: int) -> None:
            fsync(handle)
            if os.fstat(handle).st_ino == self._log.stat().st_ino:
                self._kept = (database.read_bytes(), self._log.read_bytes())

        monkeypatch.setattr(os, "fsync", noted)

    def cut(self, folder: Path) -> str:
        """The power fails; the URL of what is found afterwards."""
        after = folder / self._database.name
        folder.mkdir()
        content, log = self._kept
        after.write_bytes(content)
        after.with_name(f"{after.name}-wal").write_bytes(log)
        return f"sqlite:///{after}"


@pytest.mark.parametrize(("poll", "workers"), [(2, 1), (6, 2), (9, 1), (11, 2)])
def test_after_a_power_cut_no_finished_trial_and_no_saved_epoch_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poll: int, workers: int
) -> None:
    """Nothing is on the disk but what was put there, which is the worst that a power cut can do."""
    database, folder = tmp_path / "studies.db", folder_in(tmp_path)
    study = new_study(open_storage(f"sqlite:///{database}"), trials=5)
    disk = Disk(database, monkeypatch)
    pool = ScriptedPool(workers, after=kill_at(poll))
    with pytest.raises(Killed):
        search(study, pool, folder)
    finished = {row.number: row for row in study.rows() if row.finished}
    storage = open_storage(disk.cut(tmp_path / "after"))
    again = ScriptedPool(workers, checkpoints=pool.checkpoints)
    found = reopened(study, storage)
    rows = {row.number: row for row in found.rows()}
    assert {number: rows[number] for number in finished} == finished
    assert search(found, again, folder) == "finished"
    assert states_of(found) == ["complete"] * 5
    assert sorted(pool.trained + again.trained) == [(t, e) for t in range(5) for e in (1, 2, 3, 4)]


def test_notes_of_the_study_survive_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "studies.db"
    study = new_study(open_storage(f"sqlite:///{database}"))
    disk = Disk(database, monkeypatch)
    bounds = [one.to_dict() for one in unmeasured(study.settings.space, "off")]
    study.write(attributes.LR_BOUNDS, bounds)
    found = reopened(study, open_storage(disk.cut(tmp_path / "after")))
    assert found.note(attributes.LR_BOUNDS) == bounds != []


# ------------------------------------------------------------------------------- trials that are hidden


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_does_not_see_what_another_program_added(
    storage: RetryingStorage, tmp_path: Path, sampler: str
) -> None:
    study = new_study(storage, trials=4, sampler=sampler)
    study.optuna.add_trial(optuna.create_trial(value=0.99))
    storage.hides = is_foreign
    assert search(study, ScriptedPool(), folder_in(tmp_path)) == "finished"
    assert [row.number for row in study.rows()] == [1, 2, 3, 4]
    storage.hides = None
    assert len(study.optuna.trials) == 5
