"""Trials that wait at a rung: no epoch twice, nothing lost, nothing left over."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from cifar_core.checkpoint import save_state
from cifar_core.epoch import Epoch
from search.events import Event, TrialEnded, TrialPaused
from search.home import StudyFolder
from search.storage.opening import open_storage
from search.study import attributes
from search.study.study import SearchStudy
from tests.search.script import HandClock
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    enqueue_known,
    folder_in,
    kill_at,
    new_study,
    parameters_of,
    reopened,
    search,
    states_of,
)

TRIALS = 12
"""Of four epochs each, with rungs behind epochs 1 and 3."""


def promoting(**changes: Any) -> SearchStudy:
    return new_study(**({"trials": TRIALS, "pruner": "promotion"} | changes))


def epochs_of(study: SearchStudy) -> list[tuple[int, int]]:
    """Every epoch that the study has."""
    trials = study.optuna.get_trials(deepcopy=False)
    return sorted((trial.number, epoch) for trial in trials for epoch in trial.intermediate_values)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_best_go_on_and_no_epoch_is_trained_twice(folder: StudyFolder, workers: int) -> None:
    study, pool = promoting(), ScriptedPool(workers)
    assert search(study, pool, folder) == "finished"
    rows = study.rows()
    assert {row.state for row in rows} == {"complete", "pruned"}
    assert len(rows) == TRIALS
    assert {row.epochs for row in rows if row.state == "pruned"} == {1}, "from epoch 3 all finish"
    assert {row.epochs for row in rows if row.state == "complete"} == {4}
    assert sum(row.epochs >= 3 for row in rows) >= TRIALS / 3
    assert len(pool.trained) < 0.8 * 4 * TRIALS
    assert sorted(pool.trained) == epochs_of(study)
    assert len(set(pool.trained)) == len(pool.trained)


def test_the_best_at_the_rung_is_never_among_those_that_are_given_up(folder: StudyFolder) -> None:
    study = promoting()
    search(study, ScriptedPool(2), folder)
    trials = study.optuna.get_trials(deepcopy=False)
    for rung in (1, 3):
        at_rung = [trial for trial in trials if rung in trial.intermediate_values]
        best = max(at_rung, key=lambda one: (one.intermediate_values[rung], -one.number))
        assert rung + 1 in best.intermediate_values


def test_a_trial_that_was_passed_over_goes_on_later(folder: StudyFolder) -> None:
    """What Optuna's pruners cannot do: it has waited while others were begun."""
    study, pool = promoting(trials=30), ScriptedPool()
    search(study, pool, folder)
    order = [task.number for task in pool.tasks]
    again = [number for index, number in enumerate(order) if number in order[:index]]
    assert again
    assert any(pool.trained.index((n, 2)) > pool.trained.index((n, 1)) + 1 for n in again)


def test_those_that_are_given_up_say_so_and_the_others_are_told_when_they_wait(
    folder: StudyFolder,
) -> None:
    study, events = promoting(trials=30), list[Event]()
    search(study, ScriptedPool(), folder, events=events)
    for row in study.rows():
        if row.state == "pruned":
            assert row.reason == f"stopped early after epoch {row.epochs} by the promotion pruner"
    waited = [event.row for event in events if isinstance(event, TrialPaused)]
    assert {(row.state, row.epochs) for row in waited} == {("paused", 1), ("paused", 3)}
    assert all(row.seconds == 1.5 * row.epochs for row in waited)
    ended = [event.row for event in events if isinstance(event, TrialEnded)]
    assert sorted(row.number for row in ended) == list(range(30))
    assert [len(t.user_attrs[attributes.EPOCHS]) for t in study.optuna.trials] == [
        row.epochs for row in study.rows()
    ]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_trial_that_is_given_up_at_the_rung_it_has_come_to_is_told_once(
    folder: StudyFolder, workers: int
) -> None:
    study, events = promoting(trials=30), list[Event]()
    search(study, ScriptedPool(workers), folder, events=events)
    twice = [
        one
        for one, following in pairwise(events)
        if isinstance(one, TrialPaused) and isinstance(following, TrialEnded)
        if one.row.number == following.row.number
    ]
    assert twice == []
    waited = {event.row.number for event in events if isinstance(event, TrialPaused)}
    given_up = {row.number for row in study.rows() if row.state == "pruned"}
    assert given_up & waited
    assert given_up - waited


def test_known_configurations_do_not_wait(folder: StudyFolder) -> None:
    study, pool = promoting(), ScriptedPool()
    enqueue_known(study)
    known = len(study.settings.space.known)
    search(study, pool, folder)
    assert states_of(study)[:known] == ["complete"] * known
    assert pool.trained[: 4 * known] == [(t, e) for t in range(known) for e in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("poll", "workers"), [(1, 3), (4, 1), (7, 3), (10, 1), (16, 3), (22, 1), (31, 1)]
)
def test_a_kill_costs_no_epoch_that_was_saved(folder: StudyFolder, poll: int, workers: int) -> None:
    study = promoting()
    pool = ScriptedPool(workers, after=kill_at(poll))
    try:
        search(study, pool, folder)
    except Killed:
        waiting = [row.number for row in study.rows() if row.state == "paused"]
        again = ScriptedPool(workers, checkpoints=pool.checkpoints)
        assert search(reopened(study), again, folder) == "finished"
        assert not any((number, 1) in again.trained for number in waiting)
        trained = pool.trained + again.trained
        assert len(set(trained)) == len(trained)
        assert sorted(trained) == epochs_of(study)
    rows = study.rows()
    assert len(rows) == TRIALS
    assert {row.state for row in rows} == {"complete", "pruned"}
    assert sum(row.state == "complete" for row in rows) >= 2


@pytest.mark.parametrize(("sampler", "poll"), [("tpe", 17), ("random", 31)])
def test_a_resumed_study_asks_for_what_an_undisturbed_one_asks_for(
    tmp_path: Path, sampler: str, poll: int
) -> None:
    alone, resumed = (promoting(trials=20, sampler=sampler) for _ in range(2))
    search(alone, ScriptedPool(), folder_in(tmp_path / "alone"))
    folder = folder_in(tmp_path / "resumed")
    pool = ScriptedPool(after=kill_at(poll))
    with pytest.raises(Killed):
        search(resumed, pool, folder)
    search(reopened(resumed), ScriptedPool(checkpoints=pool.checkpoints), folder)
    assert parameters_of(resumed) == parameters_of(alone)
    assert states_of(resumed) == states_of(alone)


def test_a_stop_leaves_the_paused_waiting_with_their_states(folder: StudyFolder) -> None:
    study, checkpoints = promoting(trials=30), dict[int, list[Epoch]]()
    pool = ScriptedPool(checkpoints=checkpoints)
    assert search(study, pool, folder, stop=lambda: len(pool.trained) >= 20) == "stopped"
    paused = {row.number for row in study.rows() if row.state == "paused"}
    assert len(paused) >= 2
    for number in [*paused, 99]:
        save_state({}, folder.checkpoint(number))
    again = ScriptedPool(checkpoints=checkpoints)
    search(reopened(study), again, folder, stop=lambda: True)
    assert folder.checkpoints() >= paused
    assert 99 not in folder.checkpoints()
    assert search(reopened(study), again, folder) == "finished"
    assert len(set(pool.trained + again.trained)) == len(pool.trained + again.trained)
    assert {row.state for row in study.rows()} == {"complete", "pruned"}
    assert folder.checkpoints() <= {row.number for row in study.rows() if row.state == "complete"}


def test_nobody_waits_when_the_time_is_used_up(folder: StudyFolder) -> None:
    clock = HandClock()
    study = promoting(timeout=50.0)

    def tick(_polls: int) -> None:
        clock.now += 3.0

    pool = ScriptedPool(after=tick)
    assert search(study, pool, folder, clock=clock) == "finished"
    rows = study.rows()
    assert {row.state for row in rows} <= {"complete", "pruned"}
    assert "the study's time was used up" in [row.reason for row in rows]


def test_no_more_states_are_kept_than_may_be_needed(folder: StudyFolder) -> None:
    most = 0

    def look(_polls: int) -> None:
        nonlocal most
        waiting = [row.epochs for row in study.rows() if row.state == "paused"]
        most = max([most, *Counter(waiting).values()])

    study = promoting(trials=150)
    search(study, ScriptedPool(2, after=look), folder)
    assert 20 < most <= 33


def test_in_a_database_a_paused_trial_is_one_that_waits(
    tmp_path: Path, folder: StudyFolder
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    study = promoting(storage=open_storage(url), sampler="tpe")
    pool = ScriptedPool(2, after=kill_at(10))
    with pytest.raises(Killed):
        search(study, pool, folder)
    seen = optuna.load_study(study_name="mine", storage=url).get_trials()
    waiting = [trial for trial in seen if trial.state is TrialState.WAITING]
    assert waiting
    assert all(set(trial.intermediate_values) in ({1}, {1, 2, 3}) for trial in waiting)
    again = reopened(study, open_storage(url))
    assert search(again, ScriptedPool(2, checkpoints=pool.checkpoints), folder) == "finished"
    done = optuna.load_study(study_name="mine", storage=url)
    assert len(done.trials) == TRIALS
    assert all(trial.state.is_finished() for trial in done.trials)
    assert (
        done.best_trial.number
        == max(
            (t for t in done.trials if t.state is TrialState.COMPLETE), key=lambda t: t.value or 0
        ).number
    )
