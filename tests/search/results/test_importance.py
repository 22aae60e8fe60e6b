"""What mattered: shares of made-up functions whose true shares are known, and too little to tell."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from search.results.importance import importance_of
from search.results.shares import Importance, ParameterImportance, Unknown
from search.study.rows import State, TrialRow
from spaces.reading import read_space
from spaces.space import Space, Values
from tests.search.script import row

EPOCHS = 6
Truth = Callable[[Values], float]


def space_of(**parameters: dict[str, Any]) -> Space:
    plain = {
        "name": "made_up",
        "title": "A made-up space",
        "recipe": {"epochs": EPOCHS, "network": {"name": "net"}},
        "parameters": parameters,
    }
    return read_space(plain, "made_up.toml")


THREE = space_of(
    dropout={"sets": "network.dropout", "low": 0.0, "high": 0.5},
    label_smoothing={"sets": "label_smoothing", "low": 0.0, "high": 0.4},
    flip={"sets": "augmentation.flip", "low": 0.0, "high": 1.0},
)


def trials(space: Space, truth: Truth, count: int, *, stopped: float = 0.0) -> list[TrialRow]:
    """Random trials that rise to their true accuracy, a share of them stopped after two epochs."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        values: Values = {}
        for name, one in space.parameters.items():
            if not one.applies(values):
                continue
            if one.choices is not None:
                values[name] = one.choices[int(rng.integers(len(one.choices)))]
            else:
                low, high = (float(end) for end in one.extremes())
                part = float(rng.random())
                values[name] = low * (high / low) ** part if one.log else low + part * (high - low)
        last = 2 if rng.random() < stopped else EPOCHS
        scores = {
            epoch: truth(values) * (1 - 0.5 / epoch) + 0.004 * float(rng.normal())
            for epoch in range(1, last + 1)
        }
        state: State = "complete" if last == EPOCHS else "pruned"
        made = row(number, state, scores[last], last)
        found.append(replace(made, values=values, scores=scores))
    return found


def known(space: Space, rows: list[TrialRow]) -> Importance:
    found = importance_of(space, rows)
    assert isinstance(found, Importance), found
    return found


def by_name(found: Importance) -> dict[str, ParameterImportance]:
    return {one.name: one for one in found.parameters}


def additive(values: Values) -> float:
    """Variances of 0.16 and 0.04 twelfths: shares of 80 and 20 %, and none for the flip."""
    dropout, smoothing = float(values["dropout"]), float(values["label_smoothing"])
    return 0.2 + 0.4 * (dropout / 0.5) + 0.2 * (smoothing / 0.4)


@cache
def of_a_sum(count: int) -> Importance:
    return known(THREE, trials(THREE, additive, count))


def test_shares_of_a_sum_are_those_of_its_terms_and_their_intervals_have_them() -> None:
    found = of_a_sum(40)
    assert [one.name for one in found.parameters] == ["dropout", "label_smoothing", "flip"]
    shares = by_name(found)
    for name, truth in (("dropout", 0.8), ("label_smoothing", 0.2)):
        one = shares[name].share
        assert one.low - 0.05 < truth < one.high + 0.05, (name, one)
        assert one.middle == pytest.approx(truth, abs=0.08)
    assert shares["flip"].share.high < 0.05
    assert [shares[n].verdict for n in ("dropout", "label_smoothing", "flip")] == [
        *("yes", "yes", "no")
    ]


def test_trials_that_were_stopped_early_count_too() -> None:
    """With the few complete ones alone, there would be too little to say anything."""
    rows = trials(THREE, additive, 40, stopped=0.8)
    complete = [one for one in rows if one.state == "complete"]
    assert isinstance(importance_of(THREE, complete), Unknown)
    found = known(THREE, rows)
    assert (found.trials, found.stopped) == (40, 40 - len(complete))
    assert found.parameters[0].name == "dropout"
    assert found.parameters[0].share.middle == pytest.approx(0.8, abs=0.12)
    truths = {one.number: additive(one.values) * (1 - 0.5 / EPOCHS) for one in rows}
    errors = [found.ends[n].middle - truths[n] for n in truths]
    assert float(np.mean(np.abs(errors))) < 0.03


def test_fewer_trials_mean_wider_intervals() -> None:
    few, many = of_a_sum(10), of_a_sum(40)

    def width(found: Importance) -> float:
        return sum(one.share.high - one.share.low for one in found.parameters)

    assert width(few) > 1.5 * width(many)


def test_what_only_works_together_has_a_share_with_interactions_and_none_alone() -> None:
    def crossed(values: Values) -> float:
        left, right = float(values["dropout"]) > 0.25, float(values["flip"]) > 0.5
        return 0.6 if left == right else 0.3

    shares = by_name(known(THREE, trials(THREE, crossed, 60)))
    for name in ("dropout", "flip"):
        assert shares[name].share.middle < 0.25
        assert shares[name].total.middle > 0.6
    assert shares["label_smoothing"].total.middle < 0.3


def test_a_parameter_that_applies_in_half_of_the_space_counts_for_half_of_it() -> None:
    """Within SGD all variance is its rate's, within Adam none: half of it in all, and the rate has it."""
    space = space_of(
        optimizer={"sets": "optimizer.name", "choices": ["sgd", "adam"]},
        sgd_lr={
            "sets": "optimizer.lr",
            "when": {"optimizer": ["sgd"]},
            "low": 1e-3,
            "high": 0.1,
            "log": True,
        },
        adam_lr={
            "sets": "optimizer.lr",
            "when": {"optimizer": ["adam"]},
            "low": 1e-4,
            "high": 1e-2,
            "log": True,
        },
        flip={"sets": "augmentation.flip", "low": 0.0, "high": 1.0},
    )

    def rate(values: Values) -> float:
        if values["optimizer"] == "adam":
            return 0.4
        return 0.4 + 0.3 * (math.log10(float(values["sgd_lr"])) + 2)

    found = known(space, trials(space, rate, 50))
    shares = by_name(found)
    assert found.parameters[0].name == "sgd_lr"
    assert shares["sgd_lr"].share.middle > 0.6
    assert shares["sgd_lr"].applies == pytest.approx(0.5, abs=0.02)
    for name in ("optimizer", "adam_lr", "flip"):
        assert shares[name].share.middle < 0.12
    levels = shares["sgd_lr"].levels
    assert levels[0].value < levels[-1].value  # type: ignore[operator]
    assert levels[0].accuracy.middle < 0.25 < 0.45 < levels[-1].accuracy.middle


def test_the_same_trials_give_the_same_figures_in_any_order() -> None:
    rows = trials(THREE, additive, 12)
    assert known(THREE, rows) == known(THREE, rows[::-1])


def test_too_little_is_said_to_be_too_little() -> None:
    rows = trials(THREE, additive, 12)
    assert importance_of(THREE, rows[:1]) == Unknown(
        "1 trial has a score; at least 10 are needed to tell parameters apart."
    )
    same = [replace(one, scores={1: 0.1}) for one in rows]
    found = importance_of(THREE, same)
    assert isinstance(found, Unknown)
    assert "same score" in found.reason
    alone = space_of(flip={"sets": "augmentation.flip", "low": 0.0, "high": 1.0})
    found = importance_of(alone, rows)
    assert isinstance(found, Unknown)
    assert "fewer than two parameters" in found.reason
