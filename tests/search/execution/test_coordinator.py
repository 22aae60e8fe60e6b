"""The coordinator, over workers that follow a script: what is asked, reported, told, and when it ends."""

import warnings
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from cifar_core.checkpoint import save_state
from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from cifar_core.seeds import derive
from search.errors import ServiceError
from search.events import EpochSeen, Event, Notice, Stopping, TrialEnded, TrialPaused, TrialStarted
from search.home import Home, StudyFolder
from search.policy import factory
from search.request import StartRequest
from search.service import session
from search.storage.opening import open_storage
from search.storage.study_lock import StudyLock
from search.study import attributes
from search.study.rows import best_rows
from search.study.study import SearchStudy
from search.workers.messages import Died, Failed, Remark, Unsaved, WorkerMessage
from search.workers.pool import Worker
from search.workers.slots import Slot
from spaces.space import Space
from tests.search.script import HandClock
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    accuracy_of,
    enqueue_known,
    epoch_of,
    folder_in,
    kill_at,
    new_study,
    parameters_of,
    reopened,
    search,
    states_of,
)
from tests.spaces.making import small_space


def reasons(study: SearchStudy) -> list[str | None]:
    return [row.reason for row in study.rows()]


# ------------------------------------------------------------------------------ a search left alone


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


# ----------------------------------------------------------------------------------- early stopping


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
    assert reasons(study) == ["diverged: the loss became non-finite in epoch 2"] * 2
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


# ---------------------------------------------------------------------------------------- failures


def fails(*numbers: int, reason: str = "out of memory: 3 GiB") -> Any:
    def trouble(trial: int, _epoch: int) -> WorkerMessage | None:
        return Failed(reason) if trial in numbers else None

    return trouble


def test_a_failed_trial_keeps_its_reason_and_the_search_goes_on(folder: StudyFolder) -> None:
    study, pool = new_study(trials=4), ScriptedPool(trouble=fails(1))
    assert search(study, pool, folder) == "finished"
    assert states_of(study) == ["complete", "failed", "complete", "complete"]
    assert reasons(study) == [None, "out of memory: 3 GiB", None, None]
    assert [task.number for task in pool.tasks] == [0, 1, 2, 3]


def test_a_trial_that_fails_later_keeps_its_epochs(folder: StudyFolder) -> None:
    def trouble(trial: int, epoch: int) -> WorkerMessage | None:
        return Failed("disk full") if (trial, epoch) == (0, 3) else None

    study = new_study(trials=1)
    search(study, ScriptedPool(trouble=trouble), folder)
    (row,) = study.rows()
    assert (row.state, row.epochs, row.seconds) == ("failed", 2, 3.0)
    assert len(study.optuna.trials[0].user_attrs[attributes.EPOCHS]) == 2


def test_five_failures_in_a_row_end_the_search(folder: StudyFolder) -> None:
    study = new_study(trials=20)
    with pytest.raises(ServiceError) as caught:
        search(study, ScriptedPool(trouble=fails(*range(2, 20))), folder)
    said = str(caught.value)
    assert "The last 5 trials all failed, the newest with: out of memory: 3 GiB." in said
    assert str(folder.logs) in said
    assert states_of(study) == ["complete"] * 2 + ["failed"] * 5


def test_failures_between_which_a_trial_works_do_not_end_the_search(folder: StudyFolder) -> None:
    bad = [number for number in range(14) if number % 5]
    study = new_study(trials=14)
    assert search(study, ScriptedPool(trouble=fails(*bad)), folder) == "finished"
    assert [row.number for row in study.rows() if row.state == "complete"] == [0, 5, 10]


def test_a_trial_whose_worker_dies_twice_goes_on_from_its_last_epoch(folder: StudyFolder) -> None:
    deaths = {(1, 2): [Died("killed by SIGKILL")], (1, 4): [Died("killed by SIGSEGV")]}

    def trouble(trial: int, epoch: int) -> WorkerMessage | None:
        left = deaths.get((trial, epoch))
        return left.pop() if left else None

    study, events, pool = new_study(trials=3), list[Event](), ScriptedPool(trouble=trouble)
    search(study, pool, folder, events=events)
    assert states_of(study) == ["complete"] * 3
    assert [task.number for task in pool.tasks] == [0, 1, 1, 1, 2]
    assert [epoch for trial, epoch in pool.trained if trial == 1] == [1, 2, 3, 4]
    seen = [(e.number, e.epoch.number) for e in events if isinstance(e, EpochSeen)]
    assert seen == [(trial, epoch) for trial in range(3) for epoch in (1, 2, 3, 4)]
    assert [e.text for e in events if isinstance(e, Notice)] == [
        f"The worker of trial 1 was killed by {name}; the trial continues from its last epoch."
        for name in ("SIGKILL", "SIGSEGV")
    ]
    assert [e.epochs_done for e in events if isinstance(e, TrialStarted)] == [0, 0, 1, 3, 0]
    assert study.optuna.trials[1].user_attrs[attributes.INTERRUPTIONS] == 2
    assert study.optuna.trials[1].user_attrs[attributes.TRIAL_SECONDS] == 6.0


def test_a_trial_whose_worker_dies_a_third_time_fails(folder: StudyFolder) -> None:
    def trouble(trial: int, epoch: int) -> WorkerMessage | None:
        return Died("killed by SIGKILL") if (trial, epoch) == (1, 2) else None

    study, pool = new_study(trials=3), ScriptedPool(trouble=trouble)
    assert search(study, pool, folder) == "finished"
    assert states_of(study) == ["complete", "failed", "complete"]
    assert reasons(study)[1] == "its worker ended 3 times, at last killed by SIGKILL"
    assert [task.number for task in pool.tasks] == [0, 1, 1, 1, 2]


def test_deaths_are_counted_over_restarts(folder: StudyFolder) -> None:
    def trouble(trial: int, epoch: int) -> WorkerMessage | None:
        return Died("killed by SIGKILL") if epoch == 2 else None

    study = new_study(trials=1)
    with pytest.raises(Killed):
        search(study, ScriptedPool(trouble=trouble, after=kill_at(4)), folder)
    pool = ScriptedPool(trouble=trouble)
    search(reopened(study), pool, folder)
    assert states_of(study) == ["failed"]
    assert len(pool.tasks) == 2


def test_a_death_that_meets_a_verdict_does_not_lose_the_trial(folder: StudyFolder) -> None:
    """The answer `stop` was on its way when the worker died: the trial is decided upon once more."""
    died = [False]

    class DyingPool(ScriptedPool):
        def answer(self, worker: Worker, keep_going: bool) -> None:
            super().answer(worker, keep_going)
            if not keep_going and not died[0]:
                died[0] = True
                self._goes_on.pop(worker.index)
                self._scripts[worker.index] = iter([Died("killed by SIGKILL")])

    study = new_study(trials=20, pruner="halving")
    search(study, DyingPool(), folder)
    assert died[0]
    assert len(study.rows()) == 20
    assert set(states_of(study)) == {"complete", "pruned"}


def test_a_verdict_that_a_death_came_before_is_forgotten(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pruner would have stopped the trial, but now that it is asked again it does not."""
    answers, died = [True], [False]

    class OncePruner(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return answers.pop() if answers else False

    class DyingPool(ScriptedPool):
        def answer(self, worker: Worker, keep_going: bool) -> None:
            super().answer(worker, keep_going)
            if not keep_going:
                died[0] = True
                self._goes_on.pop(worker.index)
                self._scripts[worker.index] = iter([Died("killed by SIGKILL")])

    monkeypatch.setattr(factory, "pruner_of", lambda *_: OncePruner())
    study = new_study(trials=1, pruner="median")
    search(study, DyingPool(), folder)
    assert died[0]
    assert (states_of(study), reasons(study)) == (["complete"], [None])


def clashing_space() -> Space:
    """A space of which a quarter makes no valid recipe: Nesterov's momentum without momentum."""
    parameters = {
        "momentum": {"sets": "optimizer.momentum", "choices": [0.9, 0.0]},
        "nesterov": {"sets": "optimizer.nesterov", "choices": [False, True]},
    }
    return small_space(parameters=parameters, known=None, lr_range=None, quick=None)


def test_suggestions_that_make_no_recipe_fail_with_the_reason(folder: StudyFolder) -> None:
    study, pool = new_study(trials=16, space=clashing_space()), ScriptedPool(2)
    assert search(study, pool, folder) == "finished"
    failed = [row for row in study.rows() if row.state == "failed"]
    assert 0 < len(failed) < 12
    assert len(study.rows()) == 16
    for row in failed:
        assert row.values == {"momentum": 0.0, "nesterov": True}
        assert "nesterov needs a `momentum` above 0" in (row.reason or "")
        assert row.number not in [task.number for task in pool.tasks]


def test_a_search_of_nothing_but_bad_suggestions_is_given_up(folder: StudyFolder) -> None:
    study = new_study(trials=30, space=clashing_space())
    for _ in range(30):
        study.optuna.enqueue_trial({"momentum": 0.0, "nesterov": True})
    with pytest.raises(ServiceError, match="nesterov needs"):
        search(study, ScriptedPool(), folder)


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
    assert reasons(study) == reasons(undisturbed)


# -------------------------------------------------------------------------------- stop and time


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
    assert reasons(study)[2:] == ["the study's time was used up after epoch 2"] * 2
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
    assert reasons(study) == ["the study's time was used up"] * 2
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


# -------------------------------------------------------------------------------- without space


class FullDisk:
    """A worker's disk that has no space from one epoch of a trial on, for so many tries."""

    def __init__(self, trial: int, epoch: int, tries: int, clock: HandClock | None = None) -> None:
        self._where, self._tries, self._clock = (trial, epoch), tries, clock or HandClock()
        self.tried: list[float] = []

    def __call__(self, trial: int, epoch: int) -> Unsaved | None:
        if (trial, epoch) != self._where:
            return None
        self.tried.append(self._clock())
        if len(self.tried) > self._tries:
            return None
        return Unsaved("3.pt: No space left on device")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_state_that_cannot_be_saved_is_tried_again_and_nothing_is_lost(
    folder: StudyFolder, workers: int
) -> None:
    clock, events = HandClock(), list[Event]()

    def tick(_polls: int) -> None:
        clock.now += 0.5

    study, quiet = new_study(trials=4), new_study(trials=4, name="quiet")
    search(quiet, ScriptedPool(workers), folder)
    disk = FullDisk(1, 2, tries=3, clock=clock)
    pool = ScriptedPool(workers, trouble=disk, after=tick)
    assert search(study, pool, folder, events=events, clock=clock) == "finished"
    assert sorted(pool.trained) == [(trial, epoch) for trial in range(4) for epoch in (1, 2, 3, 4)]
    assert [row.validation_accuracy for row in study.rows()] == [
        row.validation_accuracy for row in quiet.rows()
    ]
    said = [event.text for event in events if isinstance(event, Notice)]
    assert len(said) == 2
    assert "No space left on device" in said[0]
    assert "make space" in said[0]
    assert "continues" in said[1]
    waits = [later - earlier for earlier, later in pairwise(disk.tried)]
    assert waits == [pytest.approx(2.0, abs=0.6)] * 3  # a full disk is not asked all the time


def test_a_stop_ends_the_waiting_for_space_and_the_trial_goes_on_later(
    folder: StudyFolder,
) -> None:
    asked = [False]

    def after(polls: int) -> None:
        asked[0] = polls >= 6

    study = new_study(trials=1)
    pool = ScriptedPool(trouble=FullDisk(0, 3, tries=10**6), after=after)
    assert search(study, pool, folder, stop=lambda: asked[0]) == "stopped"
    assert states_of(study) == ["running"]
    again = ScriptedPool(checkpoints=pool.checkpoints)
    assert search(reopened(study), again, folder) == "finished"
    assert again.trained == [(0, 3), (0, 4)]


def test_a_worker_that_dies_without_space_is_not_answered_any_more(folder: StudyFolder) -> None:
    clock = HandClock()

    def tick(_polls: int) -> None:
        clock.now += 0.5

    study = new_study(trials=2)
    pool = ScriptedPool(
        trouble=FullDisk(0, 2, tries=1), after=tick, meanwhile=lambda: Died("killed by SIGKILL")
    )
    assert search(study, pool, folder, clock=clock) == "finished"
    assert states_of(study) == ["complete", "complete"]


# ------------------------------------------------------------------------------------- going on


@pytest.mark.parametrize("poll", [1, 3, 4, 5, 7, 12, 20])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_search_goes_on_where_it_was(folder: StudyFolder, poll: int, workers: int) -> None:
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
    monkeypatch.setattr(session, "Pool", lambda *_, **_options: nullcontext(again))
    home, storage = Home(folder.root.parent.parent), open_storage(f"sqlite:///{folder.root}/no.db")
    lowered, slots = reopened(study, **budget), [Slot("cpu", 1)]
    with StudyLock(home, storage, study.name) as lock:
        outcome = session.Session(
            lowered, storage, lock, home, slots, StartRequest("mine"), list[Event]().append
        ).run()
    assert outcome == "finished"
    assert "running" not in states_of(lowered)


def test_failed_trials_count_towards_the_total(folder: StudyFolder) -> None:
    study = new_study(trials=3)
    search(study, ScriptedPool(trouble=fails(0, 1)), folder)
    pool = ScriptedPool()
    search(reopened(study), pool, folder)
    assert pool.tasks == []


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("poll", [9, 32, 33, 37])
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
