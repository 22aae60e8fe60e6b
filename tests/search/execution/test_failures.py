"""Trials that fail, workers that die, and parameters that make no recipe, over scripted workers."""

import optuna
import pytest

from search.errors import ServiceError
from search.events import EpochSeen, Event, Notice, TrialStarted
from search.home import StudyFolder
from search.policy import factory
from search.study import attributes
from search.workers.messages import Died, Failed, WorkerMessage
from search.workers.pool import Worker
from spaces.space import Space
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    fails,
    kill_at,
    new_study,
    reasons_of,
    reopened,
    search,
    states_of,
)
from tests.spaces.making import small_space


def test_a_failed_trial_keeps_its_reason_and_the_search_goes_on(folder: StudyFolder) -> None:
    study, pool = new_study(trials=4), ScriptedPool(trouble=fails(1))
    assert search(study, pool, folder) == "finished"
    assert states_of(study) == ["complete", "failed", "complete", "complete"]
    assert reasons_of(study) == [None, "out of memory: 3 GiB", None, None]
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
    assert reasons_of(study)[1] == "its worker ended 3 times, at last killed by SIGKILL"
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
    assert (states_of(study), reasons_of(study)) == (["complete"], [None])


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


def test_a_suggestion_that_makes_no_recipe_names_parameter_value_and_what_to_change(
    folder: StudyFolder,
) -> None:
    parameters = {
        "norm": {"sets": "network.batch_norm", "choices": [False, True]},
        "size": {"sets": "batch_size", "choices": [32, 1]},
    }
    network = {"name": "net", "channels2": 4}
    space = small_space(
        recipe={"epochs": 1, "network": network},
        parameters=parameters,
        known=None,
        lr_range=None,
        quick=None,
    )
    study = new_study(trials=2, space=space)
    study.optuna.enqueue_trial({"norm": True, "size": 1})
    search(study, ScriptedPool(), folder)
    assert reasons_of(study)[0] == (
        "batch_size must be at least 2 with BatchNorm, but got 1 "
        "(chosen: size = 1; narrow that in the space)"
    )


def test_a_search_of_nothing_but_bad_suggestions_is_given_up(folder: StudyFolder) -> None:
    study = new_study(trials=30, space=clashing_space())
    for _ in range(30):
        study.optuna.enqueue_trial({"momentum": 0.0, "nesterov": True})
    with pytest.raises(ServiceError, match="nesterov needs"):
        search(study, ScriptedPool(), folder)
