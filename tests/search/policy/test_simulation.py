"""Whole searches in simulated time: what is counted, when they end, and that the service decides alike."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from search.policy import OptunaPolicy, Policy, Promotion, RungSystem, Seen, run_search
from search.policy.factory import promotion_policy, pruner_of
from tests.search.scripted import ScriptedPool, accuracy_of, folder_in, new_study, search

EPOCHS = 9


def choose(trial: Trial) -> Mapping[str, Any]:
    return {"x": trial.suggest_float("x", 0.0, 1.0)}


def curve(values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    for epoch in range(1, EPOCHS + 1):
        yield epoch, values["x"] * epoch / EPOCHS


def promotion(study: optuna.Study, rungs: tuple[int, ...] = (1, 3)) -> Promotion:
    return Promotion(study, lambda number: RandomSampler(seed=number), RungSystem(rungs, 3))


def simulated(make: Any = promotion, **options: Any) -> tuple[optuna.Study, list[Seen]]:
    study = optuna.create_study(direction="maximize")
    seen = run_search(make(study), study, choose=choose, train=curve, epochs=EPOCHS, **options)
    return study, seen


def states(study: optuna.Study) -> list[TrialState]:
    return [trial.state for trial in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_no_epoch_is_trained_twice_and_nothing_is_left_over(workers: int) -> None:
    study, seen = simulated(trials=27, workers=workers)
    epochs = [(one.trial, one.epoch) for one in seen]
    assert len(set(epochs)) == len(epochs)
    assert [one.epochs for one in seen] == list(range(1, len(seen) + 1))
    assert set(states(study)) == {TrialState.COMPLETE, TrialState.PRUNED}
    reached = [sum(one.epoch == epoch for one in seen) for epoch in (1, 3, 9)]
    assert reached[0] == 27
    assert 9 <= reached[1] < 18
    assert 3 <= reached[2] < 9
    assert study.best_value == max(trial.params["x"] for trial in study.trials)


def test_workers_share_the_time_and_an_epoch_takes_what_its_configuration_takes() -> None:
    everything: Any = {
        "make": lambda study: OptunaPolicy(
            study, lambda number: RandomSampler(seed=number), optuna.pruners.NopPruner()
        )
    }
    alone = simulated(**everything, trials=4, epoch_seconds=lambda _values: 2.0)[1]
    together = simulated(**everything, trials=4, workers=2, epoch_seconds=lambda _values: 2.0)[1]
    assert alone[-1].seconds == 4 * EPOCHS * 2.0
    assert together[-1].seconds == 2 * EPOCHS * 2.0
    by_x = simulated(**everything, trials=1, epoch_seconds=lambda values: values["x"])
    assert by_x[1][-1].seconds == pytest.approx(EPOCHS * by_x[0].trials[0].params["x"])


def test_a_search_ends_behind_so_many_epochs_or_when_it_is_told_to() -> None:
    assert len(simulated(most_epochs=20)[1]) == 20
    assert len(simulated(trials=50, stop=lambda seen: seen.epochs == 7)[1]) == 7
    with pytest.raises(ValueError, match="must be given"):
        simulated()


@pytest.mark.parametrize(
    ("pruner", "sampler"),
    [("promotion", "tpe"), ("promotion", "random"), ("halving", "random"), ("none", "random")],
)
def test_the_service_decides_what_the_simulation_decides(
    tmp_path: Path, pruner: Any, sampler: Any
) -> None:
    """One worker, the same seed: the same epochs of the same trials in the same order."""
    study = new_study(trials=20, pruner=pruner, sampler=sampler)
    pool = ScriptedPool()
    search(study, pool, folder_in(tmp_path))
    space = study.settings.space
    alike = optuna.create_study(direction="maximize")
    policy: Policy
    if pruner == "promotion":
        policy = promotion_policy(alike, epochs=space.epochs, seed=0, sampler=sampler)
    else:
        policy = OptunaPolicy(
            alike,
            lambda number: RandomSampler(seed=_sampler_seed(number)),
            pruner_of(pruner, space.epochs),
        )

    def train(values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
        recipe = space.recipe_of(values)
        for epoch in range(1, space.epochs + 1):
            yield epoch, accuracy_of(recipe, epoch)

    seen = run_search(
        policy, alike, choose=space.suggest, train=train, epochs=space.epochs, trials=20
    )
    assert [(one.trial, one.epoch) for one in seen] == pool.trained
    assert [trial.params for trial in alike.trials] == [t.params for t in study.optuna.trials]


def _sampler_seed(number: int) -> int:
    from cifar_core.seeds import derive

    return derive(0, "sampler", number) % 2**32


class Spy(RandomSampler):
    """Notes what it is shown."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.shown: list[tuple[TrialState, float | None, dict[str, Any]]] = []
        self.numbers: list[int] = []

    def sample_independent(self, study: Any, trial: Any, name: Any, distribution: Any) -> Any:
        others = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        self.shown = [(one.state, one.value, one.params) for one in others]
        self.numbers = [*(one.number for one in others), trial.number]
        return super().sample_independent(study, trial, name, distribution)


def told(study: optuna.Study, policy: Promotion, x: float, epochs: int, end: Any = None) -> Trial:
    """A trial that has come so far."""
    study.enqueue_trial({"x": x})
    trial = policy.ask(lambda one, _number: choose(one) and {})
    scores = dict(list(curve({"x": x}))[:epochs])
    for epoch, accuracy in scores.items():
        trial.report(accuracy, epoch)
    if scores:
        policy.verdict(trial, scores)
    if end is not None:
        study.tell(trial, None if end is not TrialState.COMPLETE else scores[EPOCHS], state=end)
        policy.ended(trial.number, end)
    return trial


def test_a_sampler_is_shown_each_configuration_once_where_it_stands() -> None:
    spy = Spy()
    study = optuna.create_study(direction="maximize")
    policy = Promotion(study, lambda _number: spy, RungSystem([1, 3], 3))
    told(study, policy, 0.9, 9, TrialState.COMPLETE)
    policy.pause(told(study, policy, 0.5, 3))
    policy.pause(told(study, policy, 0.6, 1))
    told(study, policy, 0.7, 0, TrialState.FAIL)
    told(study, policy, 0.1, 0)
    policy.ask(lambda one, _number: choose(one) and {})
    values = [value for _, value, _ in spy.shown]
    assert values == pytest.approx([2.9, 1 + 0.5 / 3, 0.6 / 9, -1.0, None])
    assert [state for state, _, _ in spy.shown] == [TrialState.COMPLETE] * 4 + [TrialState.RUNNING]
    assert [params["x"] for _, _, params in spy.shown] == [0.9, 0.5, 0.6, 0.7, 0.1]
    assert spy.numbers == [0, 1, 2, 3, 4, 5], "Optuna's samplers take numbers below 0 for unseen"


def with_an_exempt_one() -> tuple[Spy, optuna.Study, Promotion]:
    """A policy whose first trial is trained to its end in any case."""
    spy, study = Spy(), optuna.create_study(direction="maximize")
    ladder = RungSystem([1, 3], 3)
    return (
        spy,
        study,
        Promotion(study, lambda _number: spy, ladder, exempt=lambda trial: trial.number == 0),
    )


def test_what_is_trained_to_its_end_in_any_case_counts_only_as_far_as_it_has_earned() -> None:
    """Else the sampler would hold the weakest known configuration for the second best of all."""
    spy, study, policy = with_an_exempt_one()
    told(study, policy, 0.2, 9, TrialState.COMPLETE)
    for x in (0.5, 0.6, 0.7):
        policy.pause(told(study, policy, x, 1))
    policy.ask(lambda one, _number: choose(one) and {})
    assert [value for _, value, _ in spy.shown] == pytest.approx(
        [0.2 / 9, 0.5 / 9, 0.6 / 9, 0.7 / 9]
    )


def test_what_it_has_earned_depends_on_whoever_comes_later() -> None:
    spy, study, policy = with_an_exempt_one()
    told(study, policy, 0.6, 9, TrialState.COMPLETE)
    for x, worth in ((0.5, 2.6), (0.7, 0.6 / 9)):
        policy.pause(told(study, policy, x, 1))
        policy.ask(lambda one, _number: choose(one) and {})
        assert spy.shown[0][1] == pytest.approx(worth)


def test_who_fails_is_shown_as_failed_from_then_on() -> None:
    spy = Spy()
    study = optuna.create_study(direction="maximize")
    policy = Promotion(study, lambda _number: spy, RungSystem([1, 3], 3))
    trial = told(study, policy, 0.6, 1)
    policy.ask(lambda one, _number: choose(one) and {})
    assert spy.shown[0][1] == pytest.approx(0.6 / 9)
    study.tell(trial, state=TrialState.FAIL)
    policy.ended(trial.number, TrialState.FAIL)
    policy.ask(lambda one, _number: choose(one) and {})
    assert spy.shown[0][1] == -1.0


def test_in_a_long_search_each_choice_is_shown_the_best_and_the_newest_as_they_stand() -> None:
    """Held against all trials of the study, weighed anew for each choice."""
    rungs, looks = (1, 3), 0

    def worth(trial: Any) -> float:
        scores = trial.intermediate_values
        if trial.state is TrialState.COMPLETE:
            return len(rungs) + float(trial.value)
        return max(index + scores[one] for index, one in enumerate(rungs) if one in scores)

    class Compared(Spy):
        def sample_independent(self, *args: Any) -> Any:
            nonlocal looks
            found = super().sample_independent(*args)
            trials = study.get_trials(deepcopy=False)
            best = sorted(trials, key=lambda one: (-worth(one), one.number))[:50]
            newest = trials[-50:] if len(trials) > 100 else trials
            expected = sorted({one.number for one in (*best, *newest)})
            assert [value for _, value, _ in self.shown] == [worth(trials[n]) for n in expected]
            assert [params for *_, params in self.shown] == [trials[n].params for n in expected]
            looks += len(trials) > 100
            return found

    study, spy = optuna.create_study(direction="maximize"), Compared()
    policy = Promotion(study, lambda _number: spy, RungSystem(rungs, 3))
    run_search(policy, study, choose=choose, train=curve, epochs=EPOCHS, trials=180)
    assert looks == 79


def test_a_sampler_is_shown_the_best_and_the_newest_of_many() -> None:
    spy = Spy()
    study = optuna.create_study(direction="maximize")
    policy = Promotion(study, lambda _number: spy, RungSystem([1], 3))
    for number in range(260):
        policy.pause(told(study, policy, 1 - number / 1000, 1))
    policy.ask(lambda one, _number: choose(one) and {})
    shown = [round(1000 * (1 - params["x"])) for _, _, params in spy.shown]
    assert shown == [*range(50), *range(210, 260)]


def test_tpe_learns_from_trials_that_wait() -> None:
    """It asks for what is good, though little is complete."""
    study = optuna.create_study(direction="maximize")
    policy = Promotion(study, lambda number: TPESampler(seed=number), RungSystem([1, 3], 3))
    run_search(policy, study, choose=choose, train=curve, epochs=EPOCHS, most_epochs=150)
    begun = [trial.params["x"] for trial in study.trials]
    complete = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    assert len(complete) < len(begun) / 2
    assert sum(begun[-8:]) / 8 > sum(begun[:8]) / 8 + 0.15


def test_an_accuracy_of_zero_is_better_than_a_failure() -> None:
    study = optuna.create_study(direction="maximize")
    spy = Spy()
    policy = Promotion(study, lambda _number: spy, RungSystem([1, 3], 3))
    told(study, policy, 0.7, 0, TrialState.FAIL)
    policy.pause(told(study, policy, 0.0, 1))
    policy.ask(lambda one, _number: choose(one) and {})
    assert [number for _, number in policy._worths[:2]] == [1, 0]
