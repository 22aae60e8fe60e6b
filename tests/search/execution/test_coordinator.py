"""The coordinator over scripted workers: questions, reports, early stopping, stops and time."""

import warnings
from collections import Counter
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest
from optuna.trial import TrialState

from cifar_core.checkpoint import save_state
from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from cifar_core.seeds import derive
from search.events import EpochSeen, Event, Notice, Stopping, TrialEnded, TrialPaused, TrialStarted
from search.home import StudyFolder
from search.study import attributes
from search.study.rows import best_rows
from search.workers.messages import Died, Remark, WorkerMessage
from tests.search.script import HandClock
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    accuracy_of,
    enqueue_known,
    epoch_of,
    fails,
    kill_at,
    new_study,
    parameters_of,
    reasons_of,
    reopened,
    search,
    states_of,
)
from tests.spaces.making import small_space

# ---------------------------------------------------------------------------- a search left alone


@pytest.mark.parametrize("workers", [1, 2, 5, 9])
def test_a_search_trains_exactly_its_total(folder: StudyFolder, workers: int) -> None:
    study, pool = new_study(trials=6), ScriptedPool(workers)
    assert search(study, pool, folder) == "finished"
    assert states_of(study) == ["complete"] * 6
    assert Counter(number for number, _ in pool.trained) == dict.fromkeys(range(6), 4)


def test_a_finished_trial_has_all_that_is_known_about_it(folder: StudyFolder) -> None:
    study = new_study(trials=2)
    search(study, ScriptedPool(), folder)
    for trial in study.optuna.trials:
        recipe = Recipe.read(trial.user_attrs[attributes.RECIPE])
        assert recipe == study.settings.space.recipe_of(trial.params)
        assert trial.user_attrs[attributes.SEED] == derive(0, "trial", trial.number)
        assert trial.intermediate_values == {n: accuracy_of(recipe, n) for n in (1, 2, 3, 4)}
        assert trial.value == accuracy_of(recipe, 4)
        assert trial.user_attrs[attributes.TRIAL_SECONDS] == 6.0
        epochs = trial.user_attrs[attributes.EPOCHS]
        assert [epoch["number"] for epoch in epochs] == [1, 2, 3, 4]
        assert epochs[3]["validation_accuracy"] == pytest.approx(trial.value, abs=1e-6)


def test_workers_are_given_recipe_seed_and_checkpoint(folder: StudyFolder) -> None:
    study, pool = new_study(trials=3, seed=7), ScriptedPool(2)
    search(study, pool, folder)
    for task, trial in zip(pool.tasks, study.optuna.trials, strict=True):
        assert task.number == trial.number
        assert task.recipe == Recipe.read(trial.user_attrs[attributes.RECIPE])
        assert task.seed == derive(7, "trial", task.number)
        assert task.checkpoint == folder.checkpoint(task.number)


def test_everything_that_happens_is_told_in_order(folder: StudyFolder) -> None:
    study, events = new_study(trials=1), list[Event]()
    enqueue_known(study)
    search(study, ScriptedPool(), folder, events=events)
    first, *epochs, last = events
    assert isinstance(first, TrialStarted)
    assert (first.number, first.label, first.epochs_done) == (0, "base", 0)
    assert first.values == study.settings.space.known[0].values
    assert [e.epoch.number for e in epochs if isinstance(e, EpochSeen)] == [1, 2, 3, 4]
    assert len(epochs) == 4
    assert isinstance(last, TrialEnded)
    assert replace(last.row, ended=None) == replace(study.rows()[0], ended=None)


def test_what_is_told_of_a_trial_that_ended_or_waits_is_what_the_study_has(
    folder: StudyFolder,
) -> None:
    states = set[str]()

    class Compared(list[Event]):
        def append(self, event: Event) -> None:
            if isinstance(event, TrialEnded | TrialPaused):
                told, stored = event.row, study.rows()[event.row.number]
                assert replace(told, ended=None) == replace(stored, ended=None)
                assert (told.ended is None) == (stored.ended is None) == (told.state == "paused")
                if told.ended and stored.ended:
                    assert abs(told.ended - stored.ended) < timedelta(seconds=5)
                states.add(told.state)

    study = new_study(trials=12, pruner="promotion")
    enqueue_known(study)
    search(study, ScriptedPool(2, trouble=fails(5)), folder, events=Compared())
    assert states == {"complete", "pruned", "failed", "paused"}


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_only_the_states_of_unfinished_and_of_the_best_trials_are_kept(
    folder: StudyFolder, keep: int
) -> None:
    def save(_polls: int) -> None:
        for number in pool.checkpoints:
            if study.optuna.trials[number].state is TrialState.RUNNING:
                folder.checkpoint(number).touch()
        best = {row.number for row in best_rows(study.rows(), keep)}
        running = {row.number for row in study.rows() if row.state == "running"}
        assert folder.checkpoints() <= best | running
        most.append(len(folder.checkpoints()))

    study, most = new_study(trials=9, keep=keep), list[int]()
    pool = ScriptedPool(2, trouble=fails(2), after=save)
    search(study, pool, folder)
    assert folder.checkpoints() == {row.number for row in best_rows(study.rows(), keep)}
    assert len(folder.checkpoints()) == keep
    assert max(most) <= keep + 2


def test_what_a_killed_search_left_behind_is_removed_by_the_next(folder: StudyFolder) -> None:
    study, checkpoints = new_study(trials=4, keep=1), dict[int, list[Epoch]]()
    with pytest.raises(Killed):
        search(study, ScriptedPool(2, checkpoints=checkpoints, after=kill_at(7)), folder)
    assert states_of(study) == ["complete", "complete", "running", "running"]
    for number in range(5):
        folder.checkpoint(number).touch()
    again = ScriptedPool(2, checkpoints=checkpoints, after=kill_at(1))
    with pytest.raises(Killed):
        search(reopened(study), again, folder)
    (best,) = best_rows(study.rows())
    assert folder.checkpoints() == {best.number, 2, 3}


def test_the_time_a_search_has_run_is_kept(folder: StudyFolder) -> None:
    clock = HandClock()

    def tick(_polls: int) -> None:
        clock.now += 1.0

    study = new_study(trials=1)
    search(study, ScriptedPool(after=tick), folder, clock=clock)
    assert reopened(study).seconds == 5.0  # four epochs and the last word
    search(reopened(study, trials=2), ScriptedPool(after=tick), folder, clock=clock)
    assert reopened(study).seconds == 10.0


def test_the_time_is_noted_while_a_search_runs(folder: StudyFolder) -> None:
    clock, study, noted = HandClock(), new_study(trials=20), list[float]()

    def tick(_polls: int) -> None:
        clock.now += 1.0
        noted.append(reopened(study).seconds)

    search(study, ScriptedPool(after=tick), folder, clock=clock)
    assert len(set(noted)) > 4
    assert max(clock.now - 1000.0 - noted[-1], 0) <= 16


# --------------------------------------------------------------------------------- early stopping


def test_the_pruner_stops_trials_and_says_so(folder: StudyFolder) -> None:
    study = new_study(trials=20, pruner="halving")
    pool = ScriptedPool()
    search(study, pool, folder)
    pruned = [row for row in study.rows() if row.state == "pruned"]
    assert 5 <= len(pruned) < 20
    for row in pruned:
        assert row.reason == f"stopped early after epoch {row.epochs} by the halving pruner"
        assert row.epochs < 4
        assert (row.number, row.epochs + 1) not in pool.trained
    assert {row.state for row in study.rows()} == {"complete", "pruned"}


def test_known_configurations_are_never_pruned(folder: StudyFolder) -> None:
    def poor_if_known(recipe: Recipe, number: int) -> Epoch:
        known = {one["dropout"] for one in (k.values for k in small_space().known)}
        accuracy = 0.01 if recipe.network.dropout in known else accuracy_of(recipe, number)
        return replace(epoch_of(recipe, number), validation_accuracy=accuracy)

    study = new_study(trials=12, pruner="halving")
    for _ in range(6):
        study.optuna.enqueue_trial({"dropout": 0.3, "channels1": 8})
    enqueue_known(study)
    search(study, ScriptedPool(epoch=poor_if_known), folder)
    known = [row for row in study.rows() if row.known]
    assert [row.label for row in known] == ["base", "best"]
    assert [row.state for row in known] == ["complete", "complete"]
    assert all(row.epochs == 4 for row in known)
    assert min(row.validation_accuracy or 0 for row in study.rows()) == 0.01


def test_a_diverged_trial_ends_as_pruned_with_the_reason(folder: StudyFolder) -> None:
    def diverges(recipe: Recipe, number: int) -> Epoch:
        epoch = epoch_of(recipe, number)
        return replace(epoch, train_loss=float("nan")) if number == 2 else epoch

    study = new_study(trials=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search(study, ScriptedPool(epoch=diverges), folder)
    assert states_of(study) == ["pruned", "pruned"]
    assert reasons_of(study) == ["diverged: the loss became non-finite in epoch 2"] * 2
    assert study.optuna.trials[0].user_attrs[attributes.EPOCHS][1]["train_loss"] is None


@pytest.mark.parametrize("loss", ["train_loss", "validation_loss"])
def test_a_trial_that_diverges_in_its_last_epoch_is_not_complete(
    folder: StudyFolder, loss: str
) -> None:
    def diverges(recipe: Recipe, number: int) -> Epoch:
        epoch = epoch_of(recipe, number)
        return replace(epoch, **{loss: float("inf")}) if number == 4 else epoch  # type: ignore[arg-type]

    study = new_study(trials=1)
    search(study, ScriptedPool(epoch=diverges), folder)
    assert states_of(study) == ["pruned"]


# ---------------------------------------------------------------------------------------- remarks


def test_a_remark_that_every_trial_brings_is_passed_on_once(folder: StudyFolder) -> None:
    """Two workers say the same of each trial, and of one trial something else, twice."""
    other = [Remark("something else"), Remark("something else")]

    def trouble(trial: int, epoch: int) -> WorkerMessage | None:
        if (trial, epoch) in {(2, 2), (2, 3)}:
            return other.pop()
        return Remark("networks are not compiled") if epoch == 1 else None

    study, events, pool = new_study(trials=5), list[Event](), ScriptedPool(2, trouble=trouble)
    assert search(study, pool, folder, events=events) == "finished"
    assert [event for event in events if isinstance(event, Notice)] == [
        Notice("networks are not compiled"),
        Notice("something else"),
    ]
    assert other == []


def test_a_trial_that_brings_a_remark_goes_on_as_any_other(folder: StudyFolder) -> None:
    """A remark is neither answered, which a worker would take for that of its first epoch, nor an end."""

    def trouble(_trial: int, _epoch: int) -> WorkerMessage | None:
        return Remark("networks are not compiled")

    study, pool = new_study(trials=4, pruner="halving"), ScriptedPool(2, trouble=trouble)
    undisturbed = new_study(trials=4, pruner="halving")
    assert search(study, pool, folder) == "finished"
    search(undisturbed, ScriptedPool(2), folder)
    assert [task.number for task in pool.tasks] == [0, 1, 2, 3]
    assert states_of(study) == states_of(undisturbed)
    assert parameters_of(study) == parameters_of(undisturbed)
    assert reasons_of(study) == reasons_of(undisturbed)


# ---------------------------------------------------------------------------------- stop and time


def test_a_stop_saves_the_epoch_and_leaves_trials_to_be_continued(folder: StudyFolder) -> None:
    asked, events = [False], list[Event]()

    def after(polls: int) -> None:
        asked[0] = polls >= 2

    study = new_study(trials=4)
    pool = ScriptedPool(2, after=after)
    assert search(study, pool, folder, events=events, stop=lambda: asked[0]) == "stopped"
    assert states_of(study) == ["running", "running"]
    assert [row.epochs for row in study.rows()] == [3, 3]
    assert [e.reason for e in events if isinstance(e, Stopping)] == [
        "Stopping: running trials finish their epoch and are saved."
    ]
    again = ScriptedPool(2, checkpoints=pool.checkpoints)
    assert search(reopened(study), again, folder) == "finished"
    assert states_of(study) == ["complete"] * 4
    assert sorted(again.trained)[:2] == [(0, 4), (1, 4)]


def test_a_stop_during_last_epochs_completes_those_trials(folder: StudyFolder) -> None:
    asked = [False]

    def after(polls: int) -> None:
        asked[0] = polls >= 3

    study = new_study(trials=2)
    outcome = search(study, ScriptedPool(2, after=after), folder, stop=lambda: asked[0])
    assert states_of(study) == ["complete", "complete"]
    assert outcome == "finished"


def test_a_stop_before_the_first_trial_trains_nothing(folder: StudyFolder) -> None:
    study, pool = new_study(trials=2), ScriptedPool()
    assert search(study, pool, folder, stop=lambda: True) == "stopped"
    assert (study.rows(), pool.tasks) == ([], [])


def test_a_worker_that_dies_during_a_stop_leaves_its_trial_to_be_continued(
    folder: StudyFolder,
) -> None:
    asked = [False]

    def trouble(_trial: int, epoch: int) -> WorkerMessage | None:
        asked[0] = epoch == 2
        return Died("killed by SIGTERM") if epoch == 2 else None

    study = new_study(trials=1)
    assert search(study, ScriptedPool(trouble=trouble), folder, stop=lambda: asked[0]) == "stopped"
    assert states_of(study) == ["running"]
    assert [row.epochs for row in study.rows()] == [1]


def timed(seconds_at_poll: dict[int, float]) -> tuple[HandClock, Any]:
    clock = HandClock()

    def after(polls: int) -> None:
        clock.now += seconds_at_poll.get(polls, 0.0)

    return clock, after


def test_when_the_time_is_used_up_nothing_is_left_running(folder: StudyFolder) -> None:
    clock, after = timed({6: 100.0})
    study, events = new_study(trials=9, timeout=60.0), list[Event]()
    pool = ScriptedPool(2, after=after)
    assert search(study, pool, folder, events=events, clock=clock) == "finished"
    assert states_of(study) == ["complete", "complete", "pruned", "pruned"]
    assert reasons_of(study)[2:] == ["the study's time was used up after epoch 2"] * 2
    assert [e.reason for e in events if isinstance(e, Stopping)] == [
        "The time is used up: running trials finish their epoch."
    ]
    assert reopened(study).complete


def test_time_counts_over_restarts(folder: StudyFolder) -> None:
    clock, after = timed({2: 40.0})
    study = new_study(trials=9, timeout=60.0)
    pool = ScriptedPool(after=after)

    def late() -> bool:
        return clock.now > 1030.0

    assert search(study, pool, folder, clock=clock, stop=late) == "stopped"
    clock, after = timed({4: 30.0})
    again = ScriptedPool(after=after, checkpoints=pool.checkpoints)
    assert search(reopened(study), again, folder, clock=clock) == "finished"
    assert states_of(study) == ["complete", "pruned"]
    assert reopened(study).seconds == 70.0


def test_interrupted_trials_end_too_when_the_time_is_used_up(folder: StudyFolder) -> None:
    study = new_study(trials=4)
    pool = ScriptedPool(2, after=kill_at(3))
    with pytest.raises(Killed):
        search(study, pool, folder)
    assert states_of(study) == ["running", "running"]
    late = reopened(study, timeout=1.0)
    clock = HandClock()
    again = ScriptedPool(after=timed({})[1], checkpoints=pool.checkpoints)

    def stop() -> bool:
        clock.now += 10.0
        return False

    assert search(late, again, folder, clock=clock, stop=stop) == "finished"
    assert states_of(study) == ["pruned", "pruned"]
    assert reasons_of(study) == ["the study's time was used up"] * 2
    assert again.tasks == []


def test_interrupted_trials_keep_their_time_and_epochs_when_the_time_is_used_up(
    folder: StudyFolder,
) -> None:
    asked = [False]

    def after(polls: int) -> None:
        asked[0] = polls >= 2

    study, pool = new_study(trials=1), ScriptedPool(after=after)
    search(study, pool, folder, stop=lambda: asked[0])
    assert [row.epochs for row in study.rows()] == [3]
    history = [asdict(epoch) for epoch in pool.checkpoints[0]]
    folder.checkpoint(0).parent.mkdir(parents=True, exist_ok=True)
    save_state({"history": history}, folder.checkpoint(0))
    clock = HandClock()

    def late() -> bool:
        clock.now += 10.0
        return False

    search(reopened(study, timeout=1.0), ScriptedPool(), folder, clock=clock, stop=late)
    (row,) = study.rows()
    assert (row.state, row.epochs, row.seconds) == ("pruned", 3, 4.5)
