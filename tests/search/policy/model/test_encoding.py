"""Configurations as vectors: there and back, what applies, and what is alike."""

from typing import Any

import numpy as np
import pytest
from optuna.trial import Trial

from search.policy.model.encoding import Encoding
from spaces.files import load_space


def choose(trial: Trial) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": trial.suggest_categorical("kind", ["a", "b", "c"]),
        "batch": trial.suggest_categorical("batch", [128, 32, 64]),
        "on": trial.suggest_categorical("on", [True, False]),
        "layers": trial.suggest_int("layers", 1, 4),
        "lr": trial.suggest_float("lr", 1e-4, 1.0, log=True),
        "width": trial.suggest_int("width", 6, 256, log=True),
        "drop": trial.suggest_float("drop", 0.0, 0.5, step=0.1),
        "fixed": trial.suggest_float("fixed", 0.3, 0.3),
    }
    if values["kind"] == "b":
        values["beta"] = trial.suggest_float("beta", 0.8, 0.99)
        if values["layers"] >= 3:
            values["deep"] = trial.suggest_categorical("deep", [1, 2])
    return values


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    return Encoding(choose)


def test_every_configuration_comes_back_and_names_what_applies(encoding: Encoding) -> None:
    seen = set()
    for unit in encoding.draw(300, np.random.default_rng(0)):
        values = encoding.values(unit)
        assert ("beta" in values) == (values["kind"] == "b")
        assert ("deep" in values) == (values["kind"] == "b" and values["layers"] >= 3)
        assert isinstance(values["on"], bool)
        assert isinstance(values["layers"], int)
        assert "fixed" not in values
        assert encoding.values(encoding.unit(values)) == pytest.approx(values)
        seen |= {(name, value) for name, value in values.items() if name in {"layers", "drop"}}
    assert len(seen) == 4 + 6


def test_what_does_not_apply_makes_no_difference(encoding: Encoding) -> None:
    units = encoding.draw(200, np.random.default_rng(1))
    others = units.copy()
    place = encoding.names.index("beta")
    others[:, place] = 1.0 - others[:, place]
    same = (encoding.features(units) == encoding.features(others)).all(1)
    kinds = [encoding.values(unit)["kind"] for unit in units]
    assert same.tolist() == [kind != "b" for kind in kinds]
    assert ((encoding.settle(units) == encoding.settle(others)).all(1) == same).all()


def test_numbers_keep_their_order_and_choices_are_all_as_far_apart(encoding: Encoding) -> None:
    base = {"kind": "a", "batch": 64, "on": True, "layers": 1, "lr": 0.01, "width": 16, "drop": 0.1}

    def features(**changes: Any) -> Any:
        return encoding.features(encoding.unit({**base, **changes})[None])[0]

    def distance(one: Any, other: Any) -> float:
        return float(np.linalg.norm(one - other))

    assert distance(features(batch=32), features(batch=64)) == pytest.approx(0.5)
    assert distance(features(batch=32), features(batch=128)) == pytest.approx(1.0)
    assert distance(features(), features(kind="c")) == pytest.approx(1.0)
    assert distance(features(), features(on=False)) == pytest.approx(1.0)
    assert distance(features(lr=0.01), features(lr=0.1)) == pytest.approx(0.25)


def test_values_outside_of_what_is_searched_are_moved_inside(encoding: Encoding) -> None:
    unit = encoding.unit({"lr": 50.0, "width": 1, "kind": "unheard of", "batch": 32})
    values = encoding.values(unit)
    assert values["lr"] == pytest.approx(1.0)
    assert values["width"] == 6
    assert values["kind"] == "b"


@pytest.mark.parametrize("name", ["baseline_constrained", "speed", "resnet9"])
def test_in_a_shipped_space_the_parameters_that_apply_are_those_the_space_says(name: str) -> None:
    space = load_space(name)
    encoding = Encoding(space.suggest)
    single = {name for name, one in space.parameters.items() if len(set(one.extremes())) == 1}
    for unit in encoding.draw(60, np.random.default_rng(2)):
        values = encoding.values(unit)
        expected: dict[str, Any] = {}
        for key, parameter in space.parameters.items():
            if key not in single and parameter.applies(values):
                expected[key] = values.get(key)
        assert values.keys() == expected.keys()
        assert all(space.parameters[key].contains(value) for key, value in values.items())
