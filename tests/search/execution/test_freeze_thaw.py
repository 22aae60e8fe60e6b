"""The default policy in a whole search: totals, kills, and what it leaves behind."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.events import Event, Notice
from search.home import StudyFolder
from search.policy import run_search
from search.policy.factory import policy_of
from search.policy.model import gaussian_process
from search.policy.work import Allowance, looks_of
from search.study import attributes
from search.study.study import SearchStudy
from tests.search.script import HandClock
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    accuracy_of,
    enqueue_known,
    folder_in,
    kill_at,
    new_study,
    parameters_of,
    reopened,
    search,
    states_of,
)

TRIALS = 24


def thawing(**changes: Any) -> SearchStudy:
    return new_study(**({"trials": TRIALS, "pruner": "freeze-thaw", "sampler": "model"} | changes))


def epochs_of(study: SearchStudy) -> list[tuple[int, int]]:
    trials = study.optuna.get_trials(deepcopy=False)
    return sorted((trial.number, epoch) for trial in trials for epoch in trial.intermediate_values)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_total_is_begun_within_its_allowance_and_nothing_is_left_over(
    folder: StudyFolder, workers: int
) -> None:
    study, pool = thawing(), ScriptedPool(workers)
    assert search(study, pool, folder) == "finished"
    rows = study.rows()
    assert len(rows) == TRIALS
    assert {row.state for row in rows} == {"complete", "pruned"}
    assert sorted(pool.trained) == epochs_of(study), "no epoch twice, none unreported"
    assert len(set(pool.trained)) == len(pool.trained)
    looks = looks_of(4)
    assert len(pool.trained) <= Allowance(TRIALS, 4, looks).total(0)
    assert sum(row.state == "complete" for row in rows) >= 3
    assert folder.checkpoints() <= {row.number for row in rows if row.state == "complete"}
    for row in rows:
        if row.state == "pruned":
            assert row.epochs in looks
            assert row.reason == f"stopped early after epoch {row.epochs} by the freeze-thaw pruner"


def test_what_is_returned_is_near_the_best_there_is(folder: StudyFolder) -> None:
    """The script's accuracy is 0.1 + 0.05 * channels1 - 0.3 * dropout: 0.5 at the most."""
    study = thawing()
    search(study, ScriptedPool(), folder)
    assert study.optuna.best_value > 0.48
    nothing_better_is_left(study)


def test_a_trial_says_what_it_was_expected_to_come_to(folder: StudyFolder) -> None:
    study = thawing()
    search(study, ScriptedPool(), folder)
    notes = [trial.user_attrs[attributes.FORECAST] for trial in study.optuna.trials]
    known = [note for note in notes if "expected" in note]
    assert len(known) >= TRIALS / 3
    assert all(note["low"] <= note["expected"] <= note["high"] for note in known)
    complete = [trial for trial in study.optuna.trials if trial.value is not None]
    errors = [
        abs(trial.user_attrs[attributes.FORECAST]["expected"] - trial.value)
        for trial in complete
        if trial.state is TrialState.COMPLETE
        and "expected" in trial.user_attrs[attributes.FORECAST]
    ]
    assert sorted(errors)[len(errors) // 2] < 0.05


def test_known_configurations_are_trained_to_their_end_first(folder: StudyFolder) -> None:
    study, pool = thawing(trials=12), ScriptedPool()
    enqueue_known(study)
    known = len(study.settings.space.known)
    search(study, pool, folder)
    assert states_of(study)[:known] == ["complete"] * known
    assert pool.trained[: 4 * known] == [(t, e) for t in range(known) for e in (1, 2, 3, 4)]


@pytest.mark.parametrize("share", [0.02, 0.35, 0.95])
def test_a_resumed_search_asks_for_what_an_undisturbed_one_asks_for(
    tmp_path: Path, undisturbed: SearchStudy, share: float
) -> None:
    """It is killed after this share of its polls: in a look, between two, at the end."""
    resumed = thawing()
    folder = folder_in(tmp_path)
    pool = ScriptedPool(after=kill_at(max(2, round(share * len(epochs_of(undisturbed))))))
    with pytest.raises(Killed):
        search(resumed, pool, folder)
    search(reopened(resumed), ScriptedPool(checkpoints=pool.checkpoints), folder)
    assert parameters_of(resumed) == parameters_of(undisturbed)
    assert states_of(resumed) == states_of(undisturbed)
    assert epochs_of(resumed) == epochs_of(undisturbed)
    key = attributes.CURVE_MODEL
    assert resumed.note(key) == undisturbed.note(key)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> SearchStudy:
    study = thawing()
    search(study, ScriptedPool(), folder_in(tmp_path_factory.mktemp("alone")))
    return study


@pytest.mark.parametrize("power", [3.0])
def test_the_service_decides_what_the_simulation_decides_whatever_a_clock_says(
    undisturbed: SearchStudy, power: float
) -> None:
    """Costs follow from recipes, so a machine on which width is dear makes the same choices."""
    space = undisturbed.settings.space
    alike = optuna.create_study(direction="maximize")

    def train(values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
        recipe = space.recipe_of(values)
        for epoch in range(1, space.epochs + 1):
            yield epoch, accuracy_of(recipe, epoch)

    run_search(
        policy_of(undisturbed.settings, alike, trials=TRIALS),
        alike,
        choose=space.suggest,
        train=train,
        epochs=space.epochs,
        trials=TRIALS,
        epoch_seconds=lambda values: float(values["channels1"]) ** power,
    )
    assert [trial.params for trial in alike.trials] == [
        trial.params for trial in undisturbed.optuna.trials
    ]
    assert [sorted(trial.intermediate_values) for trial in alike.trials] == [
        sorted(trial.intermediate_values) for trial in undisturbed.optuna.trials
    ]


@pytest.mark.parametrize("poll", [5, 20])
def test_a_kill_costs_no_epoch_with_several_workers(folder: StudyFolder, poll: int) -> None:
    study = thawing()
    pool = ScriptedPool(3, after=kill_at(poll))
    with pytest.raises(Killed):
        search(study, pool, folder)
    again = ScriptedPool(3, checkpoints=pool.checkpoints)
    assert search(reopened(study), again, folder) == "finished"
    trained = pool.trained + again.trained
    assert len(set(trained)) == len(trained)
    assert sorted(trained) == epochs_of(study)
    assert len(study.rows()) == TRIALS


def test_a_raised_total_goes_on(folder: StudyFolder) -> None:
    study, checkpoints = thawing(trials=12), ScriptedPool().checkpoints
    search(study, ScriptedPool(checkpoints=checkpoints), folder)
    before = len(epochs_of(study))
    more = reopened(study, trials=TRIALS)
    assert search(more, ScriptedPool(checkpoints=checkpoints), folder) == "finished"
    assert len(more.rows()) == TRIALS
    assert before < len(epochs_of(more)) <= Allowance(TRIALS, 4, looks_of(4)).total(0)


def nothing_better_is_left(study: SearchStudy) -> None:
    """No paused trial would have come to clearly more: the script's curves are straight lines."""
    ends = [
        0.1 + (row.validation_accuracy - 0.1) * 4 / row.epochs
        for row in study.rows()
        if row.validation_accuracy is not None
    ]
    assert study.optuna.best_value > max(ends) - 0.02


def test_close_to_the_end_of_the_time_only_what_can_be_finished_goes_on(
    folder: StudyFolder,
) -> None:
    """An epoch takes 1.5 s by the workers' word; 60 s are 40 epochs, far from what the total allows."""
    clock = HandClock()
    study = thawing(trials=200, timeout=60.0)
    pool = ScriptedPool()

    def tick(_polls: int) -> None:
        clock.now = 1000.0 + 1.5 * len(pool.trained)

    pool._after = tick
    assert search(study, pool, folder, clock=clock) == "finished"
    assert len(pool.trained) == 40
    assert 4 in [epoch for _, epoch in pool.trained[-6:]]
    nothing_better_is_left(study)


def test_where_the_model_cannot_be_fitted_the_search_goes_on_and_says_so(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaussian_process, "JITTERS", (float("nan"),) * 4)
    study, events = thawing(trials=12), list[Event]()
    assert search(study, ScriptedPool(), folder, events=events) == "finished"
    told = [event.text for event in events if isinstance(event, Notice)]
    assert len([text for text in told if "cannot be fitted" in text]) == 1
    assert len(study.rows()) == 12
    assert "complete" in states_of(study)
