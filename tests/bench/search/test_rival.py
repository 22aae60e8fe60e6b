"""The frame of rivals, around a library of a dozen lines, and the clock around any policy."""

from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from bench.search.made_up import MadeUp
from bench.search.rival import Rival
from bench.search.timed import Timed
from search.policy import Decision
from search.policy.simulation import run_search

EPOCHS = 4


class Alternating(Rival):
    """Begins two trials, pauses both after an epoch, then takes up the better one, and so on."""

    def __init__(self, study: optuna.Study) -> None:
        super().__init__(study, MadeUp("plain", 0).space)
        self.numbers: list[int] = []
        self.pauses = 0

    def suggest(self) -> int | Mapping[str, Any]:
        if len(self.paused) == 2:
            return max(self.paused)
        return {"x": len(self.numbers) / 10, "unused": 1}

    def begun(self, number: int) -> None:
        self.numbers.append(number)

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        if max(scores) == 1:
            self.pauses += 1
            return "pause"
        return "go on"


def searched(policy: Any, study: optuna.Study) -> list[tuple[int, int]]:
    def train(values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
        return iter([(epoch, values["x"]) for epoch in range(1, EPOCHS + 1)])

    seen = run_search(
        policy,
        study,
        choose=lambda trial: {"x": trial.suggest_float("x", 0.0, 1.0)},
        train=train,
        epochs=EPOCHS,
        most_epochs=10,
    )
    return [(one.trial, one.epoch) for one in seen]


def test_a_paused_trial_of_a_rival_goes_on_where_it_was_and_new_ones_are_what_it_suggested() -> (
    None
):
    study = optuna.create_study(direction="maximize")
    policy = Alternating(study)
    found = searched(policy, study)
    # Trials 0 and 1 pause; 1 goes on to its end; 2 begins, is paused and goes on.
    assert found == [(0, 1), (1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (2, 3), (2, 4), (3, 1)]
    assert [trial.params for trial in study.trials] == [{"x": n / 10} for n in range(4)]
    assert policy.numbers == [0, 1, 2, 3]
    assert study.trials[1].state is TrialState.COMPLETE
    assert study.trials[0].state is TrialState.WAITING
    assert study.trials[0].intermediate_values == {1: 0.0}


def test_a_clock_around_a_policy_counts_decisions_and_changes_none() -> None:
    plain, timed = (optuna.create_study(direction="maximize") for _ in range(2))
    watch = Timed(Alternating(timed))
    assert searched(watch, timed) == searched(Alternating(plain), plain)
    # Four trials began, and two of them went on after a pause.
    assert [trials for trials, _ in watch.decisions] == [1, 2, 2, 3, 3, 4]
    assert all(seconds >= 0 for _, seconds in watch.decisions)
    assert watch.paused == [0]
