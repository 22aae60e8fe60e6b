"""Hands of others on a study while it is searched: its trials and its total stay in order."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from cifar_core.recipe import Recipe
from search.cli import run
from search.events import Event, TrialEnded, TrialStarted
from search.home import StudyFolder
from search.storage.opening import open_storage
from search.study.endings import ENDED_OUTSIDE
from search.study.study import SearchStudy
from search.study.trial_states import is_foreign
from search.workers.messages import Beat, EpochsDone, Finished, TrainTask, WorkerMessage
from search.workers.pool import Worker
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    accuracy_of,
    epoch_of,
    kill_at,
    new_study,
    reopened,
    search,
    states_of,
)

POLICIES = [("freeze-thaw", "model"), ("promotion", "tpe"), ("none", "random")]
TRIALS = 6


def named(policy: tuple[str, str]) -> str:
    return policy[0]


@pytest.fixture(params=POLICIES[:1], ids=named)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> SearchStudy:
    """A study in a database, with the default policy unless a test names others."""
    pruner, sampler = request.param
    storage = open_storage(f"sqlite:///{tmp_path}/studies.db")
    return new_study(storage, TRIALS, pruner=pruner, sampler=sampler)


with_every_policy = pytest.mark.parametrize("study", POLICIES, ids=named, indirect=True)


class Outside:
    """Another process that looks at the same database, as the dashboard does.

    Args:
        database: The database's file.
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    def tell(self, number: int, state: TrialState, *values: float) -> None:
        storage = RDBStorage(f"sqlite:///{self._database}")
        try:
            trial = storage.get_trial_id_from_study_id_trial_number(1, number)
            storage.set_trial_state_values(trial, state, values or None)
        finally:
            storage.engine.dispose()

    def enqueue(self, study: str, *configurations: dict[str, object]) -> None:
        storage = RDBStorage(f"sqlite:///{self._database}")
        try:
            opened = optuna.load_study(study_name=study, storage=storage)
            for values in configurations:
                opened.enqueue_trial(values)
        finally:
            storage.engine.dispose()

    def command(self, *words: object) -> None:
        storage = ("--storage", f"sqlite:///{self._database}", "--home", self._database.parent)
        assert run([str(word) for word in (*words, *storage)]) == 0

    def write(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self._database)) as connection, connection:
            connection.execute(statement, values)


def fail(outside: Outside, number: int) -> None:
    outside.tell(number, TrialState.FAIL)


def stop_trial(outside: Outside, number: int) -> None:
    outside.command("stop", "--trial", number)


def complete(outside: Outside, number: int) -> None:
    outside.tell(number, TrialState.COMPLETE, 0.999)


def delete(outside: Outside, number: int) -> None:
    own = "trial_id = (SELECT trial_id FROM trials WHERE number = ?)"
    for part in ("values", "params", "user_attributes", "intermediate_values"):
        outside.write(f"DELETE FROM trial_{part} WHERE {own}", number)  # noqa: S608
    outside.write("DELETE FROM trials WHERE number = ?", number)


def change(outside: Outside, number: int) -> None:
    outside.write(
        "UPDATE trial_user_attributes SET value_json = '12345' WHERE key = 'seed' AND trial_id = "
        "(SELECT trial_id FROM trials WHERE number = ?)",
        number,
    )


@pytest.mark.parametrize(
    ("study", "strike"),
    [
        *((POLICIES[0], strike) for strike in (fail, stop_trial, complete, delete, change)),
        *((policy, strike) for policy in POLICIES[1:] for strike in (delete,)),
    ],
    indirect=["study"],
    ids=lambda value: value.__name__ if callable(value) else named(value),
)
def test_a_running_trial_that_others_end_is_over_and_its_worker_gets_another(
    study: SearchStudy,
    folder: StudyFolder,
    tmp_path: Path,
    strike: Callable[[Outside, int], None],
) -> None:
    def after(polls: int) -> None:
        if polls == 2:
            strike(Outside(tmp_path / "studies.db"), 0)

    study.optuna.enqueue_trial({}, user_attrs={"known": "base"})  # trained to its end
    events, pool = list[Event](), ScriptedPool(2, after=after)
    assert search(study, pool, folder, events=events) == "finished"
    again = reopened(study, open_storage(f"sqlite:///{tmp_path}/studies.db"))
    rows = {row.number: row for row in again.rows()}
    assert len(rows) == TRIALS
    assert again.complete
    ended = [event.row for event in events if isinstance(event, TrialEnded)]
    (lost,) = [row for row in ended if row.number == 0]
    assert (lost.state, lost.ending) == ("failed", "outside")
    assert (lost.reason or "").startswith(ENDED_OUTSIDE)
    if strike is not delete:
        assert (rows[0].state, rows[0].ending, rows[0].reason) == (
            lost.state,
            lost.ending,
            lost.reason,
        )
    assert all(row.finished and row.ending != "outside" for row in rows.values() if row.number)
    assert len(set(pool.trained)) == len(pool.trained), "no epoch twice"
    if strike is not change:  # which only the end of the trial shows
        assert max(epoch for trial, epoch in pool.trained if trial == 0) <= 3
    idle = ScriptedPool()
    assert search(again, idle, folder) == "finished"
    assert idle.tasks == []


def test_the_number_of_a_deleted_trial_is_given_again_and_its_worker_does_not_mix_them_up(
    study: SearchStudy, folder: StudyFolder, tmp_path: Path
) -> None:
    """The newest trial is deleted while its worker is silent, and another worker gets a new one."""
    pool = ScriptedPool(2)
    silent = pool.workers[1]
    newest = list[int]()
    train = pool._work

    def work(worker: Worker, task: TrainTask) -> Iterator[WorkerMessage]:
        if worker is silent and not newest:
            newest.append(task.number)
            delete(Outside(tmp_path / "studies.db"), task.number)
            while len(pool.tasks) < 3 or pool.tasks[-1].number != task.number:
                yield Beat()
            yield EpochsDone(tuple(epoch_of(task.recipe, one) for one in (1, 2)))
            assert not pool._goes_on.pop(worker.index), "told to stop"
            yield Finished()
            return
        yield from train(worker, task)

    pool._work = work  # type: ignore[method-assign]
    assert search(study, pool, folder) == "finished"
    rows = reopened(study, open_storage(f"sqlite:///{tmp_path}/studies.db")).rows()
    assert [row.number for row in rows] == list(range(TRIALS))
    assert all(row.finished and row.ending != "outside" for row in rows)
    for row in rows:
        assert row.recipe is not None
        recipe = Recipe.read(row.recipe)
        assert row.scores == {one: accuracy_of(recipe, one) for one in row.scores}


@pytest.mark.parametrize(
    ("policy", "strike"),
    [*((POLICIES[0], strike) for strike in (stop_trial, delete)), (POLICIES[1], delete)],
    ids=lambda value: value.__name__ if callable(value) else named(value),
)
def test_a_paused_trial_that_others_end_is_not_taken_up(
    folder: StudyFolder,
    tmp_path: Path,
    policy: tuple[str, str],
    strike: Callable[[Outside, int], None],
) -> None:
    study = new_study(
        open_storage(f"sqlite:///{tmp_path}/studies.db"), 14, pruner=policy[0], sampler=policy[1]
    )
    struck = list[int]()

    def after(_polls: int) -> None:
        waiting = [row.number for row in study.rows() if row.state == "paused"]
        if len(waiting) > 2 and not struck:
            # The best of them is the next to be taken up.
            best = max(waiting, key=lambda number: study.rows()[number].score)
            struck.append(best)
            strike(Outside(tmp_path / "studies.db"), best)

    pool = ScriptedPool(2, after=after)
    assert search(study, pool, folder) == "finished"
    assert struck
    rows = reopened(study, open_storage(f"sqlite:///{tmp_path}/studies.db")).rows()
    assert len(rows) == 14
    assert all(row.finished for row in rows)
    if strike is not delete:
        (row,) = [row for row in rows if row.number == struck[0]]
        assert (row.state, row.ending) == ("failed", "outside")


@with_every_policy
def test_enqueued_nonsense_fails_with_its_reason_and_no_sampler_sees_it(
    study: SearchStudy, folder: StudyFolder
) -> None:
    user = optuna.load_study(study_name=study.name, storage=study.optuna._storage)
    user.enqueue_trial({"dropout": 5.0})
    user.enqueue_trial({"chanels1": 4})
    user.enqueue_trial({"channels1": "wide"})
    user.enqueue_trial({"channels1": 4.0})
    assert search(study, ScriptedPool(), folder) == "finished"
    rows = reopened(study).rows()
    assert [row.reason for row in rows[:3]] == [
        "enqueued with dropout = 5.0, which is not in 0 to 0.4",
        "enqueued with chanels1, which is no parameter; did you mean channels1?",
        "enqueued with channels1 = 'wide', which is not in 2 to 8, log",
    ]
    assert [row.state for row in rows[:3]] == ["failed"] * 3
    assert all(row.values == {} for row in rows[:3])
    assert (rows[3].values["channels1"], rows[3].finished) == (4, True)
    assert len(rows) == TRIALS
    more = reopened(study, trials=TRIALS + 2)
    assert search(more, ScriptedPool(), folder) == "finished"
    assert len(more.rows()) == TRIALS + 2


def test_what_a_script_enqueues_while_the_search_runs_is_the_next_new_trial(
    study: SearchStudy, folder: StudyFolder, tmp_path: Path
) -> None:
    outside, started = Outside(tmp_path / "studies.db"), list[int]()

    def after(polls: int) -> None:
        if polls == 3:
            started.append(len(study.optuna.get_trials(deepcopy=False)))
            outside.enqueue(study.name, {"dropout": 0.123}, {"dropout": 9.0})

    events = list[Event]()
    assert search(study, ScriptedPool(after=after), folder, events=events) == "finished"
    rows = reopened(study, open_storage(f"sqlite:///{tmp_path}/studies.db")).rows()
    (first,) = started
    assert first < TRIALS - 2
    assert [row.finished for row in rows] == [True] * TRIALS
    assert rows[first].values["dropout"] == 0.123
    assert rows[first + 1].reason == "enqueued with dropout = 9.0, which is not in 0 to 0.4"
    begun = [event.number for event in events if isinstance(event, TrialStarted)]
    assert list(dict.fromkeys(begun)) == [row.number for row in rows if row.state != "failed"]


def test_any_number_of_enqueued_mistakes_does_not_end_the_search(
    study: SearchStudy, folder: StudyFolder
) -> None:
    user = optuna.load_study(study_name=study.name, storage=study.optuna._storage)
    for _ in range(TRIALS - 1):
        user.enqueue_trial({"chanels1": 4})
    assert search(study, ScriptedPool(), folder) == "finished"
    assert states_of(reopened(study)) == ["failed"] * (TRIALS - 1) + ["complete"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("recipe", '{"epochs": 0}', "its recipe was damaged by another program: epochs: must"),
        ("seed", "null", "its seed was damaged by another program: must be a number from 0 on"),
    ],
)
def test_an_unfinished_trial_that_others_have_damaged_fails_and_the_others_continue(
    study: SearchStudy, folder: StudyFolder, tmp_path: Path, key: str, value: str, words: str
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    study.optuna.enqueue_trial({}, user_attrs={"known": "base"})
    with pytest.raises(Killed):
        search(study, ScriptedPool(after=kill_at(2)), folder)
    Outside(tmp_path / "studies.db").write(
        "UPDATE trial_user_attributes SET value_json = ? WHERE key = ? AND trial_id = "
        "(SELECT trial_id FROM trials WHERE number = 0)",
        *(value, key),
    )
    again = reopened(study, open_storage(url))
    assert again.rows()[0].unfinished
    assert search(again, ScriptedPool(), folder) == "finished"
    rows = reopened(study, open_storage(url)).rows()
    assert (rows[0].state, str(rows[0].reason)[: len(words)]) == ("failed", words)
    assert len(rows) == TRIALS
    assert {row.state for row in rows[1:]} <= {"complete", "pruned"}


@pytest.mark.parametrize(
    ("policy", "state"),
    [*((policy, TrialState.COMPLETE) for policy in POLICIES), (POLICIES[0], TrialState.FAIL)],
)
def test_a_foreign_finished_trial_counts_for_nothing(
    folder: StudyFolder, tmp_path: Path, policy: tuple[str, str], state: TrialState
) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/studies.db")
    storage.hides = is_foreign  # as a session does
    study = new_study(storage, TRIALS, pruner=policy[0], sampler=policy[1])
    value = 0.999 if state is TrialState.COMPLETE else None
    study.optuna.add_trial(optuna.create_trial(state=state, value=value))
    assert search(reopened(study), ScriptedPool(), folder) == "finished"
    again = reopened(study, open_storage(f"sqlite:///{tmp_path}/studies.db"))
    assert len(again.optuna.trials) == TRIALS + 1
    assert [row.number for row in again.rows()] == list(range(1, TRIALS + 1))
    assert again.complete
    assert set(states_of(again)) <= {"complete", "pruned"}


def test_a_study_with_foreign_trials_alone_is_somebody_elses(tmp_path: Path) -> None:
    """It must not be taken for one whose creation was interrupted, which is deleted."""
    from search.errors import UsageError

    storage = open_storage(f"sqlite:///{tmp_path}/studies.db")
    user = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    user.add_trial(optuna.create_trial(value=0.5))
    with pytest.raises(UsageError, match="was not created by cifar-search"):
        new_study(storage)
    assert len(user.trials) == 1
