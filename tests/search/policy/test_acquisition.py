"""What is worth most: horizons, changes of the best, costs, and how much a search may train."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from search.policy.acquisition import Horizon, log_improvement, mutated, next_look
from search.policy.candidates import Candidates
from search.policy.model.cost_model import relative_costs
from search.policy.situation import Situation, Standing
from search.policy.work import Allowance, looks_of


def test_a_horizon_reaches_the_next_look_at_least_and_the_end_at_most() -> None:
    looks, at = (1, 2, 3, 6), np.array([0, 1, 2, 3, 6])
    assert next_look(at, looks).tolist() == [1, 2, 3, 6, 6]
    assert Horizon(1, 0.1).reach(at, looks).tolist() == [1, 2, 3, 6, 6]
    assert Horizon(4, 0.1).reach(at, looks).tolist() == [4, 5, 6, 6, 6]
    drawn = [Horizon.drawn(6, np.random.default_rng(seed)) for seed in range(200)]
    assert {one.epochs for one in drawn} == {1, 2, 3, 4, 5, 6}
    assert sum(one.epochs == 1 for one in drawn) > sum(one.epochs == 6 for one in drawn)
    assert all(1e-4 <= one.margin <= 0.1 for one in drawn)


@pytest.mark.parametrize("away", [-30.0, -8.0, -1.0, 0.0, 0.1, 6.0])
def test_the_expected_improvement_is_the_mean_of_what_exceeds_the_threshold(away: float) -> None:
    deviation, threshold = 0.3, 1.0
    grid = np.linspace(
        -away, max(-away, 0.0) + 12.0, 400_001
    )  # of the score, in deviations from its mean
    peak = max(-away, 0.0)
    density = np.exp(-0.5 * (grid**2 - peak**2)) / np.sqrt(2.0 * np.pi)
    gain = np.trapezoid((away + grid) * density, grid) * deviation
    mean = np.array([threshold + away * deviation])
    found = log_improvement(mean, np.array([deviation]), threshold)[0]
    assert found == pytest.approx(np.log(gain) - 0.5 * peak**2, rel=1e-6)


def test_the_better_is_worth_more_and_nothing_is_infinitely_unlikely() -> None:
    value = log_improvement(np.array([0.5, 0.6, 0.5]), np.array([0.2, 0.2, 0.3]), 0.7)
    assert value[1] > value[0]
    assert value[2] > value[0]
    assert np.isfinite(log_improvement(np.zeros(1), np.full(1, 1e-6), 9.0)).all()
    hopeless = log_improvement(np.array([-5e2, -1e3, -2e3, -1e6]), np.ones(4), 0.0)
    assert (np.diff(hopeless) < 0.0).all()


@dataclass(frozen=True)
class Known:
    """Stands in for the model: every candidate has its own mean and deviation at every epoch.

    Attributes:
        scores: Those that were seen; the best of them is to be bettered.
        means: (n,) by candidate.
        deviations: (n,) by candidate, at the end.
        before: (n,) the same before.
    """

    scores: Any
    means: Any
    deviations: Any
    before: Any

    def predict(self, _features: Any, epochs: Any) -> tuple[Any, Any]:
        return self.means, np.where(epochs == LOOKS[-1], self.deviations, self.before)


LOOKS = (1, 2, 3, 6)


def situation(trained: int, *, finish: bool = False) -> Situation:
    return Situation(
        [Standing(0, np.zeros(1), trained, trained, False, 0.6, 1.0)], LOOKS, True, finish=finish
    )


def pool(done: list[int], cost: list[float]) -> Candidates:
    n = len(done)
    return Candidates(
        np.arange(n),
        np.zeros((n, 1)),
        np.zeros((n, 1)),
        np.array(done),
        np.array(cost),
        np.zeros(n),
    )


def test_of_equals_the_cheaper_is_worth_more() -> None:
    known: Any = Known(np.array([0.0, 1.0]), np.full(2, 0.9), np.ones(2), np.ones(2))
    value = pool([0, 0], [1.0, 0.5]).value(known, Horizon(6, 0.01), situation(6))
    assert value[1] > value[0]


def test_late_where_nothing_has_a_chance_soon_the_end_counts_and_the_epochs_until_there() -> None:
    """Three candidates: uncertain and poor, good and new, good and further."""
    known: Any = Known(
        np.array([-1.0, 2.0]),
        np.array([-2.0, 1.5, 1.5]),
        np.array([1.6, 0.7, 0.7]),
        np.array([1.5, 0.05, 0.05]),
    )
    candidates = pool([0, 0, 2], [1.0, 1.0, 1.0])
    soon = Horizon(1, 0.01)
    early = candidates.value(known, soon, situation(12))
    late = candidates.value(known, soon, situation(60))
    assert np.argmax(early[:2]) == 0  # a look around
    assert late[2] > late[1] > late[0]
    # Where something has a chance within the horizon, the horizon decides as before.
    far = Horizon(6, 0.01)
    assert candidates.value(known, far, situation(60)) == pytest.approx(
        candidates.value(known, far, situation(12))
    )


def test_changes_stay_inside_and_leave_most_parameters_alone() -> None:
    best = np.array([[0.01, 0.5, 0.99, 0.2, 0.8, 0.5, 0.5, 0.5]])
    found = mutated(best, 500, np.random.default_rng(0))
    assert found.shape == (500, 8)
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    changed = (found != best).sum(1)
    assert changed.min() >= 1
    assert np.median(changed) <= 3


def test_costs_are_learned_over_a_fiftyfold_range_and_kept_within_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    features = rng.random((30, 4))
    seconds = 0.2 * np.exp(np.log(50) * features[:, 0]) * rng.uniform(0.95, 1.05, 30)
    asked = rng.random((100, 4))
    truth = 0.2 * np.exp(np.log(50) * asked[:, 0]) / np.median(seconds)
    found = relative_costs(features, seconds, asked)
    assert np.median(np.abs(np.log(found / truth))) < 0.4
    assert np.corrcoef(np.log(found), np.log(truth))[0, 1] > 0.9
    assert found.max() <= 2.1 * (seconds / np.median(seconds)).max()
    assert (relative_costs(features[:5], seconds[:5], asked) == 1.0).all()
    assert (relative_costs(features, np.full(30, 1.5), asked) == 1.0).all()
    assert (relative_costs(features, 7.0 * seconds, asked) == found).all(), "only ratios count"


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 6, 12, 27, 52, 100, 200])
def test_each_look_is_at_least_a_third_of_the_next_and_the_last_is_the_end(epochs: int) -> None:
    looks = looks_of(epochs)
    assert looks[-1] == epochs
    assert list(looks) == sorted(set(looks))
    assert looks[0] >= max(1, round(epochs / 18))
    assert all(later <= 3 * look for look, later in pairwise(looks))


def test_an_allowance_grows_with_trials_and_lets_one_training_end() -> None:
    looks = looks_of(6)
    totals = [Allowance(trials, 6, looks).total(0) for trials in (1, 2, 10, 50, 51)]
    assert totals == sorted(totals)
    assert totals[0] == 6
    assert 130 <= totals[3] <= 150
    assert Allowance(50, 6, looks).total(3) == 3 * 6 + round(47 * 2.75)
    even = Allowance(50, 6, looks)
    assert even.begun(even.total(0)) == pytest.approx(0.0, abs=0.5)
    assert even.begun(0) == 50
