"""Successive halving: which trials go on, and that asking twice changes nothing."""

import optuna
import pytest

from search.policy.rungs import rungs_of
from search.policy.successive_halving import HalvingPruner


def reported(study: optuna.Study, *accuracies: float) -> optuna.Trial:
    """A running trial with an epoch for each accuracy."""
    trial = study.ask()
    for epoch, accuracy in enumerate(accuracies, start=1):
        trial.report(accuracy, epoch)
    return trial


def study_of(*rungs: int, direction: str = "maximize") -> optuna.Study:
    return optuna.create_study(direction=direction, pruner=HalvingPruner(rungs, 3))


def test_the_first_trials_go_on_until_there_are_enough_to_choose_from() -> None:
    study = study_of(2)
    assert [reported(study, 0.0, value).should_prune() for value in (0.5, 0.1)] == [False, False]
    assert reported(study, 0.0, 0.2).should_prune()


def test_the_best_third_of_those_at_a_rung_goes_on() -> None:
    study = study_of(2)
    for value in (0.1, 0.2, 0.3, 0.4, 0.5):
        reported(study, 0.9, value)
    assert not reported(study, 0.0, 0.45).should_prune()  # second of six, of whom two go on
    assert reported(study, 0.9, 0.44).should_prune()  # third of seven, of whom two go on


def test_between_the_rungs_nothing_is_stopped() -> None:
    study = study_of(2, 4)
    for _ in range(9):
        reported(study, 0.9, 0.9, 0.9, 0.9)
    verdicts = []
    trial = study.ask()
    for epoch, accuracy in ((1, 0.0), (2, 0.9), (3, 0.0), (4, 0.0)):
        trial.report(accuracy, epoch)
        verdicts.append(trial.should_prune())
    assert verdicts == [False, False, False, True]


def test_asking_again_about_the_same_epoch_gives_the_same_answer() -> None:
    study = study_of(1)
    trials = [reported(study, value) for value in (0.9, 0.8, 0.7, 0.6)]
    first = [trial.should_prune() for trial in trials]
    assert first == [False, True, True, True]
    assert [trial.should_prune() for trial in trials] == first
    assert all(not trial.system_attrs for trial in study.get_trials())


def test_lower_is_better_in_a_study_that_minimizes() -> None:
    study = study_of(1, direction="minimize")
    trials = [reported(study, value) for value in (0.1, 0.2, 0.3)]
    assert [trial.should_prune() for trial in trials] == [False, True, True]


def test_what_is_no_number_is_stopped() -> None:
    assert reported(study_of(1), float("nan")).should_prune()


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, []), (2, []), (3, [2]), (6, [2]), (7, [2, 6]), (12, [2, 6])]
)
def test_the_last_epoch_is_no_rung(epochs: int, rungs: list[int]) -> None:
    assert rungs_of(epochs, first=2, reduction_factor=3) == rungs


@pytest.mark.parametrize(("rungs", "factor"), [([2, 2], 3), ([6, 2], 3), ([0], 3), ([2], 1)])
def test_wrong_settings_are_refused(rungs: list[int], factor: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        HalvingPruner(rungs, factor)
