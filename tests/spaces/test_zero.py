"""A share of configurations in which a parameter is 0, on a logarithmic range."""

from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler

from cifar_core.recipe import Recipe
from spaces.errors import SpaceError
from spaces.fitting import fitted
from spaces.parameter import Parameter
from spaces.reading import read_space, with_ranges
from tests.spaces.making import ORIGIN, one_parameter

DECAY = {"sets": "optimizer.weight_decay", "low": 1e-5, "high": 1e-2, "log": True, "zero": 0.2}


def decay(**changes: Any) -> Parameter:
    return Parameter.model_validate(DECAY | changes)


@pytest.mark.parametrize("zero", [0.01, 0.2, 0.9])
def test_a_share_of_random_configurations_has_0_and_the_others_are_in_the_range(
    zero: float,
) -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    found = [decay(zero=zero).suggest("it", study.ask()) for _ in range(500)]
    assert found.count(0.0) / len(found) == pytest.approx(zero, abs=0.06)
    assert 0.0 in found
    assert all(value == 0.0 or 1e-5 <= float(value) <= 1e-2 for value in found)


@pytest.mark.parametrize("value", [0.0, 1e-5, 3e-4, 1e-2])
def test_a_value_comes_back_as_it_was_stored_whatever_a_database_rounds(value: float) -> None:
    one = decay()
    stored = float(one.stored(value))
    assert stored > 0.0
    for rounded in (stored, stored * (1 + 1e-7), stored * (1 - 1e-7)):
        assert one.value_of(rounded) == pytest.approx(value)
    assert one.contains(value)
    assert one.clip(value) == value


@pytest.mark.parametrize("value", [-1e-5, 1e-7, 9e-6, 2e-2, "0", False, None])
def test_nothing_between_0_and_the_range_is_a_value(value: object) -> None:
    assert not decay().contains(value)


def test_without_a_share_0_is_no_value() -> None:
    one = decay(zero=None)
    assert not one.contains(0.0)
    assert one.value_of(1e-9) == 1e-9
    assert "0 (" not in one.described()
    assert decay().described() == "1e-05 to 0.01, log, or 0 (20 %)"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"log": False}, "`zero` is for a range of fractions with `log` true"),
        ({"low": 1, "high": 8}, "`zero` is for a range of fractions"),
        ({"high": 1e-5}, "`zero` needs a range of a few decades at most, but got 1e-05 to 1e-05."),
        ({"low": 1e-18, "high": 1e18, "zero": 0.9}, "`zero` needs a range of a few decades"),
        ({"zero": 0.0}, "zero: must be at least 0.01, but got 0.0."),
        ({"zero": 1.0}, "zero: must be at most 0.9, but got 1.0."),
        ({"measured": True}, "`zero` is for a range of fractions"),
        ({"low": None, "high": None, "log": False, "choices": [1e-4]}, "cannot be combined"),
    ],
)
def test_a_share_of_0_that_means_nothing_is_refused(changes: Any, words: str) -> None:
    with pytest.raises(SpaceError) as caught:
        read_space(one_parameter(**(DECAY | changes)), ORIGIN)
    assert words in str(caught.value)


def test_a_field_that_must_not_be_0_has_no_share_of_it() -> None:
    with pytest.raises(SpaceError, match=r"it = 0\.0, recipe field optimizer\.lr: must be above 0"):
        read_space(one_parameter(**(DECAY | {"sets": "optimizer.lr"})), ORIGIN)


@pytest.mark.parametrize(("value", "fits"), [(0.0, True), (1e-4, True), (1e-7, False)])
def test_a_known_configuration_and_a_belief_may_be_0(value: float, fits: bool) -> None:
    plain = one_parameter(**DECAY, prior={"value": value, "spread": 3.0})
    plain["known"] = [{"name": "off", "values": {"it": value}}]
    if not fits:
        with pytest.raises(SpaceError) as caught:
            read_space(plain, ORIGIN)
        assert len(str(caught.value).splitlines()) == 3
        return
    space = read_space(plain, ORIGIN)
    assert space.recipe_of(space.known[0].values).optimizer.weight_decay == value
    prior = space.parameters["it"].prior_within()
    assert prior is not None
    assert prior.value == value
    narrower = with_ranges(space, {"it": {"low": 1e-4}})
    assert narrower.known[0].values == {"it": value}


@pytest.mark.parametrize(
    ("found", "value", "moved"),
    [(0.0, 0.0, 0), (1e-3, 1e-3, 0), (1e-7, 1e-5, 1), (1.0, 1e-2, 1)],
)
def test_a_recipe_without_it_fits_as_it_is(found: float, value: float, moved: int) -> None:
    space = read_space(one_parameter(**DECAY), ORIGIN)
    fit = fitted(space, Recipe.read({"optimizer": {"weight_decay": found}}))
    assert fit.values == {"it": value}
    assert len(fit.moved) == moved
