"""What decides: samplers and pruners."""

import warnings
from typing import get_args

import optuna
import pytest

from search.policy.factory import pruner_of, sampler_of
from search.study.settings import OptunaPruner, Sampler
from spaces.files import load_space
from tests.search.scripted import settings_of

SPACE = load_space("baseline_constrained")


def suggested(sampler: Sampler, seed: int, trials: int = 0) -> list[object]:
    """What the sampler of this seed suggests in a study of so many finished trials."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    for number in range(trials):
        trial = study.ask()
        values = SPACE.suggest(trial)
        study.tell(trial, number / 100 + float(values["dropout"]))
    study.sampler = sampler_of(settings_of(SPACE, sampler=sampler), seed)
    return list(SPACE.suggest(study.ask()).items())


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("trials", [0, 15])
def test_the_same_seed_suggests_the_same_and_another_something_else(
    sampler: Sampler, trials: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = suggested(sampler, 2**62, trials)
        assert suggested(sampler, 2**62, trials) == first
        assert suggested(sampler, 2**62 + 1, trials) != first


def test_tpe_learns_from_what_is_finished() -> None:
    random = [suggested("random", seed, 25) for seed in range(5)]
    assert [suggested("tpe", seed, 25) for seed in range(5)] != random
    assert [suggested("tpe", seed) for seed in range(5)] == [
        suggested("random", seed) for seed in range(5)
    ]


@pytest.mark.parametrize("name", get_args(OptunaPruner))
@pytest.mark.parametrize("epochs", [1, 2, 3, 6, 12, 100])
def test_every_pruner_takes_every_number_of_epochs_without_a_warning(
    name: OptunaPruner, epochs: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = optuna.create_study(direction="maximize", pruner=pruner_of(name, epochs))
        for number in range(12):
            trial = study.ask()
            for epoch in range(1, epochs + 1):
                trial.report(0.5 + number / 100, epoch)
                trial.should_prune()
            study.tell(trial, 0.5)


def first_pruned_epoch(name: OptunaPruner, epochs: int) -> int | None:
    """The epoch after which a hopeless trial is stopped, behind twelve good ones."""
    study = optuna.create_study(direction="maximize", pruner=pruner_of(name, epochs))
    for _ in range(12):
        good = study.ask()
        for epoch in range(1, epochs + 1):
            good.report(0.9, epoch)
            good.should_prune()
        study.tell(good, 0.9)
    poor = study.ask()
    for epoch in range(1, epochs):
        poor.report(0.1, epoch)
        if poor.should_prune():
            return epoch
    return None


@pytest.mark.parametrize(("epochs", "rung"), [(2, 1), (3, 1), (4, 2), (6, 2), (12, 2), (60, 10)])
def test_halving_looks_first_after_epoch_two_or_a_sixth_of_a_long_trial(
    epochs: int, rung: int
) -> None:
    assert first_pruned_epoch("halving", epochs) == rung


def test_no_pruner_stops_nothing() -> None:
    assert first_pruned_epoch("none", 12) is None


def test_the_median_stops_what_is_below_it() -> None:
    assert first_pruned_epoch("median", 12) is not None


def test_halving_keeps_the_best_third() -> None:
    study = optuna.create_study(direction="maximize", pruner=pruner_of("halving", 12))
    kept = []
    for accuracy in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.45, 0.3, 0.7):
        trial = study.ask()
        for epoch in (1, 2):
            trial.report(accuracy, epoch)
        if not trial.should_prune():
            kept.append(accuracy)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    assert kept[-1] == 0.7
    assert 0.3 not in kept[4:]
    assert 0.45 not in kept
