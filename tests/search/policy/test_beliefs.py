"""Beliefs as densities: where they draw, what they weigh, and what they refuse."""

from typing import Any

import numpy as np
import pytest
from optuna.trial import Trial

from search.policy.beliefs import Beliefs
from search.policy.knowledge import Belief, ExperienceRecord
from search.policy.model.encoding import Encoding


def choose(trial: Trial) -> dict[str, Any]:
    kind = trial.suggest_categorical("kind", ["sgd", "adam", "other"])
    values: dict[str, Any] = {"kind": kind, "x": trial.suggest_float("x", 0.0, 1.0)}
    if kind == "sgd":
        values["lr"] = trial.suggest_float("lr", 1e-3, 1.0, log=True)
    return values


BELIEVED = {
    "lr": Belief(value=0.1, spread=0.1),
    "kind": Belief(weights={"sgd": 8.0}),
    "unheard of": Belief(value=1.0, spread=1.0),
}


def test_draws_lie_where_beliefs_are_but_nowhere_is_ruled_out() -> None:
    encoding = Encoding(choose)
    units = Beliefs(encoding, BELIEVED).draw(2000, np.random.default_rng(0))
    values = [encoding.values(unit) for unit in units]
    kinds = [one["kind"] for one in values]
    assert kinds.count("sgd") > 1100
    assert min(kinds.count("adam"), kinds.count("other")) > 100
    rates = np.log10([float(one["lr"]) for one in values if "lr" in one])
    assert abs(np.median(rates) + 1.0) < 0.1
    assert np.mean(np.abs(rates + 1.0) < 0.3) > 0.5
    assert rates.min() < -2.8


def test_a_density_counts_only_what_applies_and_is_one_in_the_mean() -> None:
    encoding = Encoding(choose)
    beliefs = Beliefs(encoding, {"lr": Belief(value=0.1, spread=0.1)})
    units = encoding.draw(5000, np.random.default_rng(1))
    density = np.exp(beliefs.log_density(units))
    is_sgd = np.array([encoding.values(unit)["kind"] == "sgd" for unit in units])
    assert (density[~is_sgd] == 1.0).all()
    assert density[is_sgd].mean() == pytest.approx(1.0, abs=0.1)
    assert density[is_sgd].max() > 3 > 0.3 > density[is_sgd].min()
    assert not Beliefs(encoding, {"unheard of": Belief(value=1.0, spread=1.0)})


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({}, "needs either"),
        ({"value": 1.0}, "needs either"),
        ({"value": 1.0, "spread": 0.0}, "`spread` must be above 0"),
        ({"value": float("inf"), "spread": 0.1}, "`value` must be finite"),
        ({"value": 1.0, "spread": 0.1, "weights": {"a": 1.0}}, "needs either"),
        ({"weights": {"a": -1.0}}, "'a' has -1.0"),
        ({"weights": {"a": 0.0}}, "must not all be 0"),
    ],
)
def test_a_wrong_belief_names_what_is_wrong(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Belief(**wrong)


@pytest.mark.parametrize("scores", [{}, {0: 0.5}, {7: 0.5}])
def test_a_record_of_experience_has_epochs_of_its_training(scores: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="from 1 to 6"):
        ExperienceRecord("old", {}, scores, 6)
