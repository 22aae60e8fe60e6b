"""Priors of a space file: what they may say, and what becomes of them where ranges change."""

from typing import Any

import pytest

from spaces.errors import SpaceError
from spaces.prior import Prior
from spaces.reading import quicker, read_space, with_ranges
from spaces.space import Space
from tests.spaces.making import ORIGIN, one_parameter, plain_space, small_space


def with_prior(name: str, prior: Any, **changes: Any) -> dict[str, Any]:
    """The small space with a prior for one parameter."""
    plain = plain_space(**changes)
    plain["parameters"][name]["prior"] = prior
    return plain


def problem(plain: dict[str, Any]) -> str:
    """The one thing that is said to be wrong."""
    with pytest.raises(SpaceError) as caught:
        read_space(plain, ORIGIN)
    _, line = str(caught.value).splitlines()
    return line.strip()


def test_a_space_without_priors_has_none() -> None:
    assert {one.prior for one in small_space().parameters.values()} == {None}


@pytest.mark.parametrize(
    ("name", "prior", "words"),
    [
        ("dropout", {}, ": needs both `value` and `spread` for a range, or `weights` for choices."),
        ("dropout", {"value": 0.1}, ": needs both `value` and `spread`"),
        ("dropout", {"spread": 0.1}, ": needs both `value` and `spread`"),
        (
            "batch_size",
            {"weights": {"32": 2.0}, "value": 32.0},
            ": `weights` cannot be combined with `value` or `spread`.",
        ),
        ("dropout", {"value": 0.1, "spread": 0.0}, ".spread: must be above 0.0, but got 0.0."),
        ("dropout", {"value": "0.1", "spread": 0.1}, ".value: "),
        ("dropout", {"value": 0.5, "spread": 0.1}, ".value: must be in 0 to 0.4, but got 0.5."),
        (
            "channels1",
            {"value": 4, "spread": 1.0},
            ".spread: must be above 1 where `log` is true, for it is a factor, but got 1.",
        ),
        ("dropout", {"weights": {"0.1": 1.0}}, ".weights: is for choices; a range has `value` and"),
        (
            "batch_size",
            {"value": 32, "spread": 2},
            ".value: is for a range; choices have `weights`.",
        ),
        ("batch_size", {"weights": {"128": 1.0}}, ".weights.128: must be among 32, 64."),
        ("batch_size", {"weights": {"32": 0.0}}, ".weights.32: must be above 0.0, but got 0.0."),
        ("batch_size", {"weights": {}}, ".weights: "),
        ("sgd_lr", {"value": -0.1, "spread": 2.0}, ".value: must be in 0.001 to 0.1, log, but got"),
    ],
)
def test_a_prior_that_means_nothing_is_named_by_its_key(name: str, prior: Any, words: str) -> None:
    assert problem(with_prior(name, prior)).startswith(f"parameters.{name}.prior{words}")


def test_a_prior_of_a_measured_rate_may_lie_outside_of_the_range_that_the_file_has() -> None:
    space = read_space(with_prior("sgd_lr", {"value": 0.2, "spread": 2.0}), ORIGIN)
    wider = with_ranges(space, {"sgd_lr": {"low": 0.01, "high": 0.5}})
    assert wider.parameters["sgd_lr"].prior == Prior(value=0.2, spread=2.0)


def test_weights_name_choices_as_a_file_writes_them() -> None:
    plain = with_prior("batch_size", {"weights": {"64": 3}})
    plain["parameters"]["batch_norm"] = {
        "sets": "network.batch_norm",
        "choices": [True, False],
        "prior": {"weights": {"true": 4}},
    }
    for known in plain["known"]:
        known["values"]["batch_norm"] = True
    parameters = read_space(plain, ORIGIN).parameters
    assert parameters["batch_size"].prior == Prior(weights={"64": 3.0})
    assert parameters["batch_norm"].prior == Prior(weights={"true": 4.0})


def test_other_ranges_move_a_priors_value_inside() -> None:
    space = read_space(with_prior("channels1", {"value": 6, "spread": 1.5}), ORIGIN)
    quick = quicker(space)
    assert quick.parameters["channels1"].extremes() == [2, 4]
    assert quick.parameters["channels1"].prior == Prior(value=4.0, spread=1.5)
    assert Space.model_validate(quick.model_dump(mode="json")) == quick


def test_choices_that_are_gone_lose_their_weight() -> None:
    weights = {"weights": {"32": 2, "64": 5}}
    plain = one_parameter(sets="batch_size", choices=[32, 64], prior=weights)
    space = read_space(plain, ORIGIN)
    assert with_ranges(space, {"it": {"choices": [32, 16]}}).parameters["it"].prior == (
        Prior(weights={"32": 2.0})
    )
    assert with_ranges(space, {"it": {"choices": [16, 8]}}).parameters["it"].prior is None


def test_a_grid_has_no_use_for_priors() -> None:
    grid = {
        "name": "grid",
        "title": "A grid",
        "parameters": {
            "it": {"sets": "batch_size", "choices": [32, 64], "prior": {"weights": {"32": 2}}}
        },
        "grid": {},
    }
    assert problem(grid) == (
        "parameters.it.prior: a grid trains every combination, whatever is believed."
    )
