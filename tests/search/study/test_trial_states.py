"""How trials stand in a study: what is known of one without a look is what the study has."""

from collections.abc import Callable

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from search.storage.opening import open_storage
from search.study.trial_states import (
    LostTrialError,
    attach,
    begin,
    enqueued_waiting,
    give_up,
    is_paused,
    pause,
    resume,
    snapshot,
    take_up,
)

PARTS = ("number", "params", "distributions", "user_attrs", "intermediate_values", "datetime_start")


@pytest.fixture(params=["in memory", "sqlite"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> optuna.Study:
    folder = tmp_path_factory.mktemp("home")
    where = (
        InMemoryStorage()
        if request.param == "in memory"
        else open_storage(f"sqlite:///{folder}/studies.db")
    )
    return optuna.create_study(storage=where, direction="maximize")


def begun(study: optuna.Study) -> Trial:
    draft = optuna.create_study().ask()
    draft.suggest_float("lr", 1e-3, 1.0, log=True)
    return begin(study, draft, {"seed": 1, "recipe": {"epochs": 4}})


def queued(study: optuna.Study) -> Trial:
    study.enqueue_trial({"lr": 0.5}, user_attrs={"known": "base"})
    trial = take_up(study, 0)
    trial.suggest_float("lr", 1e-3, 1.0, log=True)
    return trial


def waited(study: optuna.Study) -> Trial:
    trial = begun(study)
    trial.report(0.25, 1)
    pause(trial)
    return take_up(study, trial.number)


def interrupted(study: optuna.Study) -> Trial:
    trial = begun(study)
    trial.report(0.25, 1)
    return attach(study, trial.number)


@pytest.mark.parametrize("made", [begun, queued, waited, interrupted])
def test_what_is_known_of_a_trial_is_what_the_study_has(
    study: optuna.Study, made: Callable[[optuna.Study], Trial]
) -> None:
    trial = made(study)
    trial.report(0.5, 2)
    trial.set_user_attr("interruptions", 1)
    trial.set_user_attr("interruptions", 2)
    stored: FrozenTrial = trial.storage.get_trial(trial._trial_id)
    assert {part: getattr(snapshot(trial), part) for part in PARTS} == {
        part: getattr(stored, part) for part in PARTS
    }
    assert snapshot(trial).state is stored.state is TrialState.RUNNING
    assert stored.intermediate_values[2] == 0.5
    assert stored.user_attrs["interruptions"] == 2


def test_a_trial_that_waits_is_known_to_wait_and_ends_with_its_last_score(
    study: optuna.Study,
) -> None:
    trial = begun(study)
    trial.report(0.25, 3)
    trial.report(0.125, 6)
    pause(trial)
    waiting = attach(study, trial.number)
    assert is_paused(snapshot(waiting))
    give_up(waiting)
    (ended,) = study.trials
    assert (ended.state, ended.value) == (TrialState.PRUNED, 0.125)


def test_a_trial_that_resumes_as_it_was_attached_is_running_with_all_that_it_had(
    study: optuna.Study,
) -> None:
    begun_before = begun(study)
    begun_before.report(0.25, 1)
    pause(begun_before)
    trial = attach(study, 0)
    resume(trial)
    trial.report(0.5, 2)
    assert snapshot(trial).state is study.trials[0].state is TrialState.RUNNING
    assert snapshot(trial).intermediate_values == study.trials[0].intermediate_values
    with pytest.raises(LostTrialError):
        resume(attach(study, 0))  # it runs already


def test_enqueued_trials_are_found_without_those_that_run_wait_at_a_look_or_have_ended(
    url: str,
) -> None:
    """As Optuna would find them, from which a storage in memory still has them."""
    found = []
    for storage in (open_storage(url), InMemoryStorage()):
        study = optuna.create_study(study_name="mine", storage=storage, direction="maximize")
        other = optuna.create_study(study_name="another", storage=storage)
        other.enqueue_trial({"x": 0.1})
        for value in (0.2, 0.3, 0.4):
            study.enqueue_trial({"x": value})
        take_up(study, 0).report(0.5, 1)
        pause(attach(study, 0))
        take_up(study, 1)
        study.enqueue_trial({"x": 0.5})
        study.tell(study.ask(), 1.0)  # it takes the first that waits, which is the paused one
        found.append(enqueued_waiting(study))
    assert found == [[2, 3], [2, 3]]
