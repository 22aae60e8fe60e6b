"""Searches that are killed or whose budget changes continue where they were, over scripted workers."""

import sqlite3
import warnings
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from cifar_core.epoch import Epoch
from search.events import EpochSeen, Event
from search.home import Home, StudyFolder
from search.request import StartRequest
from search.service import session
from search.storage.opening import open_storage
from search.storage.study_lock import StudyLock
from search.study import attributes
from tests.search.script import HandClock
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    enqueue_known,
    fails,
    folder_in,
    kill_at,
    new_study,
    parameters_of,
    reopened,
    search,
    states_of,
)
from tests.spaces.making import small_space


@pytest.mark.parametrize(
    ("poll", "workers"), [(1, 1), (3, 3), (4, 1), (5, 3), (7, 1), (12, 3), (20, 1)]
)
def test_a_killed_search_continues_where_it_was(
    folder: StudyFolder, poll: int, workers: int
) -> None:
    study, events = new_study(trials=6), list[Event]()
    pool = ScriptedPool(workers, after=kill_at(poll))
    try:
        search(study, pool, folder, events=events)
    except Killed:
        before = parameters_of(study)
        again = ScriptedPool(workers, checkpoints=pool.checkpoints)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Optuna warns of an epoch that is reported twice
            search(reopened(study), again, folder, events=events)
        after = parameters_of(study)
        assert {number: after[number] for number in before} == before
        assert sorted(pool.trained + again.trained) == [
            (t, e) for t in range(6) for e in (1, 2, 3, 4)
        ]
    assert states_of(study) == ["complete"] * 6
    # An epoch may be trained and saved, and the kill come before it was reported; then it is now.
    seen = [(e.number, e.epoch.number) for e in events if isinstance(e, EpochSeen)]
    assert sorted(seen) == [(trial, epoch) for trial in range(6) for epoch in (1, 2, 3, 4)]
    assert [len(t.user_attrs[attributes.EPOCHS]) for t in study.optuna.trials] == [4] * 6


def test_a_search_that_is_killed_again_and_again_trains_its_total(folder: StudyFolder) -> None:
    study, checkpoints, trained = new_study(trials=7), dict[int, list[Epoch]](), list[Any]()
    for kill in (3, 4, 2, 6, 1, 5, 3):
        pool = ScriptedPool(2, checkpoints=checkpoints, after=kill_at(kill))
        with pytest.raises(Killed):
            search(reopened(study), pool, folder)
        trained += pool.trained
    pool = ScriptedPool(2, checkpoints=checkpoints)
    assert search(reopened(study), pool, folder) == "finished"
    assert sorted(trained + pool.trained) == [(t, e) for t in range(7) for e in (1, 2, 3, 4)]
    assert states_of(study) == ["complete"] * 7


def test_a_trial_without_its_checkpoint_is_trained_again_and_reported_once(
    folder: StudyFolder,
) -> None:
    study, events = new_study(trials=1), list[Event]()
    with pytest.raises(Killed):
        search(study, ScriptedPool(after=kill_at(4)), folder, events=events)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search(reopened(study), ScriptedPool(), folder, events=events)
    assert states_of(study) == ["complete"]
    assert [e.epoch.number for e in events if isinstance(e, EpochSeen)] == [1, 2, 3, 4]
    assert len(study.optuna.trials[0].user_attrs[attributes.EPOCHS]) == 4


def test_a_total_counts_what_is_finished_already(folder: StudyFolder) -> None:
    study = new_study(trials=3)
    search(study, ScriptedPool(), folder)
    pool = ScriptedPool()
    assert search(reopened(study), pool, folder) == "finished"
    assert pool.tasks == []
    assert search(reopened(study, trials=5), pool, folder) == "finished"
    assert [task.number for task in pool.tasks] == [3, 4]


@pytest.mark.parametrize("budget", [{"trials": 2}, {"timeout": 1.0}])
def test_a_total_that_is_lowered_leaves_nothing_running(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch, budget: dict[str, float]
) -> None:
    clock, asked = HandClock(), [False]

    def after(polls: int) -> None:
        clock.now += 1.0
        asked[0] = polls >= 7

    study = new_study(trials=9, lr_bounds="off")
    pool = ScriptedPool(2, after=after)
    search(study, pool, folder, clock=clock, stop=lambda: asked[0])
    assert states_of(study) == ["complete", "complete", "running", "running"]
    again = ScriptedPool(2, checkpoints=pool.checkpoints)
    engine: Any = SimpleNamespace(
        described=lambda: "2 workers", pool=lambda *_, **_options: nullcontext(again)
    )
    monkeypatch.setattr(session, "pixel_statistics", lambda _images: {})
    home, storage = Home(folder.root.parent.parent), open_storage(f"sqlite:///{folder.root}/no.db")
    lowered = reopened(study, **budget)
    with StudyLock(home, storage, study.name) as lock:
        outcome = session.Session(
            lowered, storage, lock, home, engine, StartRequest("mine"), list[Event]().append
        ).run()
    assert outcome == "finished"
    assert "running" not in states_of(lowered)


def test_failed_trials_count_towards_the_total(folder: StudyFolder) -> None:
    study = new_study(trials=3)
    search(study, ScriptedPool(trouble=fails(0, 1)), folder)
    pool = ScriptedPool()
    search(reopened(study), pool, folder)
    assert pool.tasks == []


@pytest.mark.parametrize(("sampler", "poll"), [("random", 9), ("tpe", 32), ("tpe", 37)])
def test_a_resumed_study_asks_for_what_an_undisturbed_one_asks_for(
    tmp_path: Path, sampler: str, poll: int
) -> None:
    short = small_space(recipe={"epochs": 2, "network": {"channels2": 4}})
    alone, resumed = (new_study(trials=15, sampler=sampler, space=short) for _ in range(2))
    for study in (alone, resumed):
        enqueue_known(study)
    search(alone, ScriptedPool(), folder_in(tmp_path / "alone"))
    folder = folder_in(tmp_path / "resumed")
    pool = ScriptedPool(after=kill_at(poll))
    with pytest.raises(Killed):
        search(resumed, pool, folder)
    search(reopened(resumed), ScriptedPool(checkpoints=pool.checkpoints), folder)
    assert parameters_of(resumed) == parameters_of(alone)
    assert [t.value for t in resumed.optuna.trials] == [t.value for t in alone.optuna.trials]
    if sampler == "tpe":
        assert len({str(values) for values in parameters_of(alone).values()}) == 15


def test_a_trial_that_was_asked_for_but_not_yet_chosen_is_chosen_on_resuming(
    tmp_path: Path,
) -> None:
    alone, killed = new_study(trials=3), new_study(trials=3)
    search(alone, ScriptedPool(), folder_in(tmp_path / "alone"))
    killed.optuna.ask()  # and the kill
    assert states_of(killed) == ["running"]
    search(reopened(killed), ScriptedPool(), folder_in(tmp_path / "killed"))
    assert parameters_of(killed) == parameters_of(alone)


def test_studies_of_different_seeds_ask_for_different_parameters(tmp_path: Path) -> None:
    found = []
    for seed in (0, 1):
        study = new_study(trials=3, seed=seed)
        search(study, ScriptedPool(), folder_in(tmp_path / str(seed)))
        found.append(parameters_of(study))
    assert all(found[0][number] != found[1][number] for number in range(3))


def test_everything_holds_in_a_database_too(tmp_path: Path, folder: StudyFolder) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    study = new_study(open_storage(url), trials=5, sampler="tpe", pruner="halving")
    enqueue_known(study)
    pool = ScriptedPool(2, after=kill_at(5))
    with pytest.raises(Killed):
        search(study, pool, folder)
    again = new_study(open_storage(url), trials=5, sampler="tpe", pruner="halving")
    assert search(again, ScriptedPool(2, checkpoints=pool.checkpoints), folder) == "finished"
    ours = optuna.load_study(study_name="mine", storage=url)
    assert len(ours.trials) == 5
    assert all(trial.state.is_finished() for trial in ours.trials)
    assert {trial.state for trial in ours.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}


def test_a_trial_that_was_to_be_stopped_when_the_search_was_killed_is_stopped(
    tmp_path: Path, folder: StudyFolder
) -> None:
    """The kill comes between the trial's last note and its end."""
    study = new_study(open_storage(f"sqlite:///{tmp_path}/studies.db"), 12, pruner="halving")
    pool = ScriptedPool()
    search(study, pool, folder)
    before = {row.number: (row.state, row.reason, row.epochs) for row in study.rows()}
    number = max(number for number, (state, *_) in before.items() if state == "pruned")
    with closing(sqlite3.connect(tmp_path / "studies.db")) as connection, connection:
        connection.execute(
            "UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE number = ?",
            (number,),
        )
    again = ScriptedPool(checkpoints=pool.checkpoints)
    assert search(reopened(study), again, folder) == "finished"
    assert {row.number: (row.state, row.reason, row.epochs) for row in study.rows()} == before
    assert again.trained == []
