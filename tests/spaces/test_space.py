"""Spaces: what they mean, and what is said about those that mean nothing."""

import copy
import math
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib import resources
from typing import Any

import optuna
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cifar_core.errors import RecipeError
from spaces.errors import SpaceError
from spaces.reading import read_space, with_ranges
from tests.spaces.making import ORIGIN, one_parameter, plain_space, small_space

LIGHT = settings(database=None, deadline=None, max_examples=150)
SHIPPED = tomllib.loads(
    resources.files("spaces.shipped").joinpath("baseline_constrained.toml").read_text("utf-8")
)


def problems(plain: object) -> list[str]:
    """What is said about values that are no space, a line each; the file's name is always there."""
    with pytest.raises(SpaceError) as caught:
        read_space(plain, ORIGIN)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{ORIGIN} is not a valid space:"
    assert lines
    assert all(line.startswith("  ") for line in lines)
    return [line.strip() for line in lines]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The small space with one key, given by its dotted path, set to something else."""
    plain = copy.deepcopy(plain_space())
    *sections, key = path.split(".")
    place: Any = plain
    for section in sections:
        place = place[int(section) if isinstance(place, list) else section]
    place[int(key) if isinstance(place, list) else key] = value
    return plain


def without(path: str) -> dict[str, Any]:
    plain = copy.deepcopy(plain_space())
    *sections, key = path.split(".")
    place: Any = plain
    for section in sections:
        place = place[int(section) if isinstance(place, list) else section]
    del place[key]
    return plain


# ---------------------------------------------------------------------------------------- meaning


def test_fixed_fields_and_values_make_the_recipe() -> None:
    recipe = small_space().recipe_of(
        {"optimizer": "adam", "adam_lr": 0.003, "batch_size": 64, "channels1": 5, "dropout": 0.2}
    )
    assert recipe.optimizer.name == "adam"
    assert recipe.optimizer.lr == 0.003
    assert (recipe.batch_size, recipe.epochs) == (64, 4)
    network = recipe.network
    assert (network.channels1, network.channels2, network.dropout) == (5, 4, 0.2)


def test_a_section_without_a_name_is_the_recipes_default_kind() -> None:
    plain = one_parameter(sets="optimizer.lr", low=0.1, high=0.2)
    plain["recipe"] = {"schedule": {}, "optimizer": {"momentum": 0.8}, "network": {"channels1": 3}}
    recipe = read_space(plain, ORIGIN).recipe_of({"it": 0.1})
    assert (recipe.optimizer.name, recipe.schedule.name) == ("sgd", "constant")
    assert recipe.network.channels1 == 3


def test_making_a_recipe_leaves_the_space_as_it_is() -> None:
    space = small_space()
    before = space.model_dump()
    space.recipe_of(space.known[0].values)
    with_ranges(space, {"channels1": {"high": 4}})
    space.with_epochs(9)
    assert space.model_dump() == before


def test_the_number_of_epochs_is_the_fixed_one_or_the_recipes_default() -> None:
    assert small_space().epochs == 4
    assert small_space(recipe={"network": {"channels2": 4}}).epochs == 12
    assert small_space().with_epochs(7).recipe_of(small_space().known[0].values).epochs == 7


def test_values_that_make_no_recipe_are_refused_with_the_spaces_name() -> None:
    with pytest.raises(RecipeError, match=r"recipe of space small[\s\S]*batch_size"):
        small_space().recipe_of({"batch_size": 0})


def test_only_the_parameters_that_apply_are_suggested() -> None:
    fixed = {
        "optimizer": "adam",
        "adam_lr": 0.001,
        "batch_size": 32,
        "channels1": 2,
        "dropout": 0.0,
    }
    trial = optuna.trial.FixedTrial({**fixed, "sgd_lr": 0.01})
    assert small_space().suggest(trial) == fixed  # type: ignore[arg-type]
    assert "sgd_lr" not in trial.params


def test_other_ranges_cut_the_known_configurations_and_say_so() -> None:
    quick = with_ranges(small_space(), {"channels1": {"high": 4}, "dropout": {"low": 0.05}})
    base, best = quick.known
    assert quick.parameters["channels1"].extremes() == [2, 4]
    assert (base.values["channels1"], base.values["dropout"]) == (4, 0.05)
    assert base.about == "Cut to this run's ranges: channels1 4 for 6, dropout 0.05 for 0.0."
    assert best.about == "Found by hand. Cut to this run's ranges: channels1 4 for 8."


def test_a_measured_rate_is_never_cut() -> None:
    narrow = with_ranges(small_space(), {"adam_lr": {"low": 0.005, "high": 0.01}})
    assert narrow.known[1].values["adam_lr"] == 0.002
    assert narrow.known[1].about == "Found by hand."


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"nonsense": {"high": 4}}, "has no parameter 'nonsense'"),
        ({"channels1": {"high": 1}}, "`low` must be at most `high`, but got 2 and 1"),
        ({"channels1": {"high": "4"}}, "parameters.channels1.high"),
        ({"channels1": {"choices": [2, 4]}}, "`choices` cannot be combined with"),
        ({"channels1": {"high": 9_000}}, "at most 4096"),
        ({"optimizer": {"choices": ["sgd"]}}, "parameters.adam_lr.when.optimizer"),
    ],
)
def test_other_ranges_that_are_none_are_refused(ranges: dict[str, Any], words: str) -> None:
    with pytest.raises(SpaceError) as caught:
        with_ranges(small_space(), ranges)
    assert words in str(caught.value)
    assert "small" in str(caught.value)


def test_values_are_moved_into_their_ranges() -> None:
    values: dict[str, Any] = {"optimizer": "sgd", "sgd_lr": 5.0, "channels1": 1, "dropout": 0.3}
    fitted = {"optimizer": "sgd", "sgd_lr": 0.1, "channels1": 2, "dropout": 0.3}
    assert small_space().fit(values) == fitted


# ------------------------------------------------------------------- what is wrong, key by key


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("nonsense", 1, "nonsense: no such key (found with the value 1)"),
        ("parameters.channels1.stop", 2, "parameters.channels1.stop: no such key"),
        ("known.1.score", 0.8, "known.1.score: no such key (found with the value 0.8)"),
        ("lr_range.steps", 9, "lr_range.steps: no such key (found with the value 9)"),
        ("quick.workers", 2, "quick.workers: no such key (found with the value 2)"),
        ("name", "two words", "name: "),
        ("name", "", "name: "),
        ("name", 5, "name: input should be a valid string, but got 5."),
        ("title", "", "title: "),
        ("title", "x" * 121, "title: "),
        ("about", 5, "about: "),
        ("trials", 0, "trials: must be at least 1, but got 0."),
        ("trials", 1.5, "trials: input should be a valid integer, but got 1.5."),
        ("trials", True, "trials: input should be a valid integer, but got True."),
        ("parameters", {}, "parameters: "),
        ("parameters", [], "parameters: "),
        ("parameters.9lives", {"sets": "a", "choices": [1]}, "parameters.9lives"),
        ("parameters.channels1", 5, "parameters.channels1: "),
        ("parameters.channels1.sets", 5, "parameters.channels1.sets: "),
        ("parameters.channels1.log", "yes", "parameters.channels1.log: "),
        ("parameters.channels1.low", 9, "parameters.channels1: `low` must be at most `high`"),
        ("parameters.channels1.low", 0, "parameters.channels1: `low` must be above 0 where `log`"),
        ("parameters.batch_size.choices", [], "parameters.batch_size.choices: "),
        ("parameters.batch_size.choices", [32, 32], "parameters.batch_size: `choices` names a"),
        ("parameters.batch_size.choices", 32, "parameters.batch_size.choices: "),
        (
            "parameters.batch_size.low",
            3,
            "parameters.batch_size: `choices` cannot be combined with",
        ),
        ("parameters.sgd_lr.when", ["optimizer"], "parameters.sgd_lr.when: "),
        ("parameters.sgd_lr.when.optimizer", "sgd", "parameters.sgd_lr.when.optimizer: "),
        ("known", {"name": "base"}, "known: "),
        ("known.0.name", "", "known.0.name: "),
        ("known.0.values", [], "known.0.values: "),
        ("lr_range", 3, "lr_range: "),
        ("lr_range.seeds", 0, "lr_range.seeds: must be at least 1, but got 0."),
        ("lr_range.seeds", 21, "lr_range.seeds: must be at most 20, but got 21."),
        ("lr_range.corners", ["batch_size"], "lr_range.corners.0: "),
        ("lr_range.low", 0.0, "lr_range.low: must be above 0.0, but got 0.0."),
        ("lr_range.low", -1.0, "lr_range.low: must be above 0.0, but got -1.0."),
        ("lr_range.low", math.nan, "lr_range.low: "),
        ("lr_range.low", "1e-5", "lr_range.low: "),
        ("lr_range.high", 2e3, "lr_range.high: must be at most 1000.0, but got 2000.0."),
        ("lr_range.high", math.inf, "lr_range.high: "),
        ("quick.epochs", 0, "quick.epochs: must be at least 1, but got 0."),
        ("quick.train_images", 9, "quick.train_images: must be at least 10, but got 9."),
        ("quick.trials", 0, "quick.trials: must be at least 1, but got 0."),
        ("quick.ranges", [1], "quick.ranges: "),
        ("recipe", 5, "recipe: "),
    ],
)
def test_a_wrong_key_is_named_with_what_was_found(path: str, value: Any, words: str) -> None:
    assert any(line.startswith(words) for line in problems(changed(path, value)))


@pytest.mark.parametrize(
    "key",
    ["name", "title", "parameters", "known.0.values", "quick.epochs"],
)
def test_a_missing_key_is_named(key: str) -> None:
    assert f"{key}: is missing." in problems(without(key))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("parameters.dropout.low", "0"),
        ("parameters.dropout.low", True),
        ("parameters.dropout.high", math.nan),
        ("parameters.dropout.high", math.inf),
        ("parameters.batch_size.choices.0", [32]),
        ("parameters.sgd_lr.when.optimizer.0", {}),
        ("known.0.values.dropout", []),
    ],
)
def test_a_wrong_number_is_named_once_by_the_key_that_stands_in_the_file(
    path: str, value: Any
) -> None:
    (line,) = problems(changed(path, value))
    assert line.startswith(f"{path}: ")


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_range_ends_at_numbers(end: str, value: float) -> None:
    assert any(
        line.startswith(f"parameters.dropout.{end}") and repr(value) in line
        for line in problems(changed(f"parameters.dropout.{end}", value))
    )


def test_every_problem_is_told_at_once() -> None:
    said = problems(plain_space(title="", trials=0, nonsense=1))
    assert len(said) == 3


@pytest.mark.parametrize("plain", [None, 5, "text", [], [{}], {1: 2}])
def test_what_is_no_table_is_no_space(plain: object) -> None:
    assert problems(plain)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"nonsense": 1}, "recipe field nonsense: no such key (found with the value 1)"),
        ({"network": {"layers": 3}}, "recipe field network.layers: no such key"),
        ({"epochs": "12"}, "recipe field epochs: input should be a valid integer, but got '12'."),
        ({"epochs": 0}, "recipe field epochs: must be at least 1, but got 0."),
        ({"label_smoothing": math.nan}, "recipe field label_smoothing: "),
        ({"optimizer": {"name": "lion"}}, "recipe field optimizer.name: must be one of"),
    ],
)
def test_a_fixed_field_that_no_recipe_has_is_named(recipe: dict[str, Any], words: str) -> None:
    plain = one_parameter(sets="batch_size", choices=[32])
    assert problems({**plain, "recipe": recipe})[0].startswith(words)


@pytest.mark.parametrize("section", ["network", "optimizer", "schedule", "augmentation"])
@pytest.mark.parametrize("value", [5, "net", [1], True])
def test_a_section_that_is_no_table_is_refused(section: str, value: object) -> None:
    plain = one_parameter(sets="batch_size", choices=[32])
    said = problems({**plain, "recipe": {section: value}})
    assert all("recipe" in line for line in said)


@pytest.mark.parametrize("section", ["network", "optimizer", "schedule"])
def test_a_section_that_is_no_table_is_named_with_what_was_found(section: str) -> None:
    plain = one_parameter(sets="batch_size", choices=[32])
    (line,) = problems({**plain, "recipe": {section: 5}})
    assert line.startswith(f"recipe.{section}: ")
    assert line.endswith("but got 5.")


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ({"sets": "nonsense", "low": 1, "high": 2}, "recipe field nonsense: no such key"),
        ({"sets": "network.channels3", "low": 1, "high": 2}, "recipe field network.channels3"),
        ({"sets": "network.channels1", "low": 1, "high": 4097}, "must be at most 4096"),
        ({"sets": "network.channels1", "low": 1, "high": 10**18}, "must be at most 4096"),
        ({"sets": "network.channels1", "low": 0, "high": 8}, "must be at least 1, but got 0"),
        ({"sets": "network.channels1", "low": 1.0, "high": 8.0}, "should be a valid integer"),
        ({"sets": "network.dropout", "low": 0.0, "high": 1.0}, "must be below 1.0, but got 1.0"),
        ({"sets": "network.init", "choices": ["default", "xavier"]}, "but got 'xavier'"),
        ({"sets": "network.batch_norm", "choices": [0, 1]}, "should be a valid boolean"),
        ({"sets": "optimizer.name", "choices": ["sgd", "lion"]}, "'lion'"),
        ({"sets": "optimizer.lr.x", "low": 0.1, "high": 0.2}, "recipe field optimizer.lr"),
        ({"sets": "optimizer", "choices": ["sgd"]}, "parameters.it.sets: must name a single field"),
        ({"sets": "batch_size", "low": -5, "high": 8}, "but got -5"),
    ],
)
def test_an_extreme_that_makes_no_recipe_is_refused(parameter: dict[str, Any], words: str) -> None:
    assert any(words in line for line in problems(one_parameter(**parameter)))


def test_the_parameter_whose_value_makes_no_recipe_is_named() -> None:
    said = problems(changed("parameters.dropout.high", 1.5))
    assert said == [
        "with parameters.dropout = 1.5, recipe field network.dropout: must be below 1.0, but got 1.5."
    ]


def test_extremes_behind_a_condition_are_tried_where_it_holds() -> None:
    said = problems(changed("parameters.adam_lr.high", 2_000.0))
    (line,) = said
    assert line.startswith("with parameters.adam_lr = 2000.0, recipe field optimizer.lr: must be")


def behind_two_conditions(sets: str, low: float, high: float) -> dict[str, Any]:
    plain = one_parameter(sets="optimizer.name", choices=["sgd", "adam"])
    plain["parameters"] |= {
        "norm": {"sets": "network.batch_norm", "choices": [False, True], "when": {"it": ["adam"]}},
        "deep": {"sets": sets, "low": low, "high": high, "when": {"norm": [True]}},
    }
    return plain


def test_what_stands_behind_two_conditions_is_checked_too() -> None:
    said = problems(behind_two_conditions("network.nonsense", 0.1, 0.2))
    assert any("network.nonsense" in line for line in said)


def test_both_extremes_behind_two_conditions_are_tried() -> None:
    said = problems(behind_two_conditions("network.dropout", 0.1, 1.5))
    assert any("but got 1.5" in line for line in said)


# ---------------------------------------------------------------------- what doesn't fit together


def test_two_parameters_may_not_set_one_field_at_once() -> None:
    plain = plain_space()
    plain["parameters"]["wide"] = {"sets": "network.channels1", "low": 2, "high": 8}
    del plain["known"], plain["lr_range"], plain["quick"]
    for one in ("sgd_lr", "adam_lr"):
        plain["parameters"][one]["measured"] = False
    assert problems(plain) == [
        "parameters: network.channels1 is set by two parameters at once, channels1 and wide."
    ]


def test_two_parameters_that_meet_only_in_a_corner_may_not_set_one_field_either() -> None:
    plain = one_parameter(sets="optimizer.name", choices=["sgd", "adam"])
    plain["parameters"] |= {
        "norm": {"sets": "network.batch_norm", "choices": [False, True]},
        "lr1": {"sets": "optimizer.lr", "low": 0.1, "high": 0.2, "when": {"norm": [True]}},
        "lr2": {"sets": "optimizer.lr", "low": 0.3, "high": 0.4, "when": {"it": ["adam"]}},
    }
    assert any("optimizer.lr is set by two parameters" in line for line in problems(plain))


@pytest.mark.parametrize("other", ["dropout", "channels1", "sgd_lr", "nonsense"])
def test_a_condition_names_an_earlier_parameter(other: str) -> None:
    said = problems(changed("parameters.sgd_lr.when", {other: [0.1]}))
    assert said[0].startswith(
        f"parameters.sgd_lr.when.{other}: must name a parameter that is defined"
    )
    assert "(optimizer)" in said[0]


@pytest.mark.parametrize("value", ["rmsprop", 1, True])
def test_a_condition_asks_for_a_value_that_the_other_can_have(value: object) -> None:
    (line, *_) = problems(changed("parameters.sgd_lr.when.optimizer", ["sgd", value]))
    key = "parameters.sgd_lr.when.optimizer"
    assert line == f"{key}: must be among sgd, adam, but got {value!r}."


def test_a_condition_that_never_holds_is_refused() -> None:
    plain = one_parameter(sets="optimizer.name", choices=["sgd", "adam"])
    plain["parameters"]["lr"] = {
        "sets": "optimizer.lr",
        "low": 0.1,
        "high": 0.2,
        "when": {"it": []},
    }
    assert any("parameters.lr.when.it" in line for line in problems(plain))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("known.0.values.dropout", 0.5, "known.0 (base).values.dropout: must be in 0 to 0.4, but"),
        ("known.0.values.channels1", 9, "known.0 (base).values.channels1: must be in 2 to 8, log"),
        ("known.0.values.channels1", 4.0, "known.0 (base).values.channels1: must be in 2 to 8"),
        ("known.0.values.batch_size", 48, "known.0 (base).values.batch_size: must be in 32, 64"),
        ("known.0.values.batch_size", "64", "known.0 (base).values.batch_size: must be in 32, 64"),
        ("known.0.values.sgd_lr", 0.0, "known.0 (base).values.sgd_lr: must be in 0.001 to 0.1"),
        ("known.0.values.sgd_lr", -0.1, "known.0 (base).values.sgd_lr: must be in 0.001 to 0.1"),
        ("known.0.values.sgd_lr", "1", "known.0 (base).values.sgd_lr: must be in 0.001 to 0.1"),
        ("known.0.values.sgd_lr", True, "known.0 (base).values.sgd_lr: must be in 0.001 to 0.1"),
        ("known.0.values.nonsense", 1, "known.0 (base).values.nonsense: is not a parameter that"),
        ("known.0.values.adam_lr", 0.01, "known.0 (base).values.adam_lr: is not a parameter that"),
        ("known.1.name", "base", "known.1 (base): the name is used twice."),
    ],
)
def test_a_known_configuration_must_fit_the_space(path: str, value: Any, words: str) -> None:
    assert any(line.startswith(words) for line in problems(changed(path, value)))


@pytest.mark.parametrize("name", ["optimizer", "sgd_lr", "dropout"])
def test_a_known_configuration_has_every_parameter_that_applies(name: str) -> None:
    said = problems(without(f"known.0.values.{name}"))
    assert f"known.0 (base).values.{name}: is missing." in said


def test_a_known_rate_may_lie_outside_of_a_range_that_is_measured() -> None:
    space = read_space(changed("known.0.values.sgd_lr", 0.5), ORIGIN)
    assert space.known[0].values["sgd_lr"] == 0.5


@pytest.mark.parametrize("rate", [5_000.0, 1e17])
def test_a_known_configuration_that_makes_no_recipe_is_refused(rate: float) -> None:
    assert any(
        "known.0 (base)" in line for line in problems(changed("known.0.values.sgd_lr", rate))
    )


@pytest.mark.parametrize(
    ("name", "measured"),
    [
        ("dropout", {"sets": "network.dropout", "low": 0.1, "high": 0.4, "log": True}),
        ("channels1", {"sets": "network.channels1", "low": 2, "high": 8, "log": True}),
        ("sgd_lr", {"sets": "optimizer.lr", "low": 0.001, "high": 0.1}),
        ("sgd_lr", {"sets": "optimizer.lr", "low": 1, "high": 2, "log": True}),
    ],
)
def test_only_a_learning_rate_on_the_logarithm_can_be_measured(
    name: str, measured: dict[str, Any]
) -> None:
    when = plain_space()["parameters"][name].get("when", {})
    said = problems(changed(f"parameters.{name}", {**measured, "measured": True, "when": when}))
    assert any(line.startswith(f"parameters.{name}.measured: only a float") for line in said)


def test_a_measured_rate_needs_a_place_to_measure_at() -> None:
    said = problems(plain_space(lr_range=None))
    assert said == ["lr_range: is missing, although a parameter is `measured`."]


def test_the_lr_range_test_starts_from_a_known_configuration() -> None:
    said = problems(changed("lr_range.base", "worst"))
    assert said == ["lr_range.base: must name a known configuration, but got 'worst'."]
    assert any("lr_range.base" in line for line in problems(plain_space(known=[])))


@pytest.mark.parametrize("name", ["nonsense", "-nonsense"])
def test_the_corners_of_the_lr_range_test_are_parameters(name: str) -> None:
    said = problems(changed("lr_range.corners", [["batch_size", name]]))
    assert said == ["lr_range.corners: there is no parameter 'nonsense'."]


@pytest.mark.parametrize("name", ["optimizer", "-optimizer", "adam_lr", "-adam_lr"])
def test_a_corner_moves_neither_a_measured_rate_nor_what_it_depends_on(name: str) -> None:
    bare = name.removeprefix("-")
    assert problems(changed("lr_range.corners", [["batch_size"], [name]])) == [
        f"lr_range.corners: {bare} cannot vary: it is measured, or other parameters depend on it."
    ]


@pytest.mark.parametrize(
    "name", ["", "-", "--batch_size", "- batch_size", "batch-size", "batch_size-", "+batch_size"]
)
def test_a_corner_is_a_name_with_at_most_one_minus_before_it(name: str) -> None:
    (line,) = problems(changed("lr_range.corners", [["channels1", name]]))
    assert line.startswith("lr_range.corners.0.1: ")


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ({"low": 0.1, "high": 0.1}, "but got 0.1 and 0.1."),
        ({"low": 1.0, "high": 0.1}, "but got 1 and 0.1."),
        ({"low": 20.0}, "but got 20 and 10."),
        ({"high": 1e-6}, "but got 1e-05 and 1e-06."),
    ],
)
def test_a_sweep_that_would_not_go_upwards_is_refused_with_both_rates(
    ends: dict[str, float], words: str
) -> None:
    said = problems(plain_space(lr_range={"base": "best", **ends}))
    assert said == [f"lr_range: low must be below high, {words}"]


def test_a_space_says_through_which_rates_it_is_swept() -> None:
    given = small_space(lr_range={"base": "best", "low": 1e-7, "high": 2.0}).lr_range
    default = small_space().lr_range
    assert given is not None
    assert default is not None
    assert (given.low, given.high) == (1e-7, 2.0)
    assert (default.low, default.high) == (1e-5, 10.0)


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"nonsense": {"high": 4}}, "quick.ranges.nonsense: there is no such parameter."),
        ({"channels1": {"log": True}}, "quick.ranges.channels1.log: must be `low`, `high` or"),
        (
            {"channels1": {"top": 4}},
            "quick.ranges.channels1.top: must be `low`, `high` or `choices`",
        ),
        ({"channels1": 4}, "quick.ranges.channels1: "),
    ],
)
def test_a_quick_run_narrows_parameters_that_are_there(ranges: dict[str, Any], words: str) -> None:
    assert any(line.startswith(words) for line in problems(changed("quick.ranges", ranges)))


@pytest.mark.parametrize(
    "ranges",
    [
        {"channels1": {"high": "4"}},
        {"channels1": {"high": 1}},
        {"channels1": {"high": math.nan}},
        {"channels1": {"high": 9_000}},
        {"channels1": {"choices": [2, 4]}},
        {"batch_size": {"choices": []}},
        {"batch_size": {"choices": [32]}},  # the known ones have 64
        {"optimizer": {"choices": ["adam"]}},
    ],
)
def test_a_quick_run_that_cannot_be_is_refused_when_the_file_is_read(
    ranges: dict[str, Any],
) -> None:
    assert any("quick" in line for line in problems(changed("quick.ranges", ranges)))


def test_epochs_that_are_searched_are_refused_or_counted() -> None:
    try:
        space = read_space(one_parameter(sets="epochs", low=1, high=3), ORIGIN)
    except SpaceError:
        return
    assert space.epochs == 3


def test_a_number_beyond_all_floats_is_refused_in_words() -> None:
    plain = one_parameter(sets="batch_size", low=1, high=10**400)
    plain["known"] = [{"name": "base", "values": {"it": "x"}}]
    assert problems(plain)


def test_a_value_is_shown_shortened() -> None:
    (line,) = problems(plain_space(title="x" * 10_000))
    assert len(line) < 200


# ----------------------------------------------------------------------------- whatever comes in

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2, -1, 12, 2**63, 10**30])
    | st.floats()
    | st.sampled_from(
        ["", "sgd", "net", "optimizer.lr", "batch_size", "-batch_size", "x" * 200, "\0", "é"]
    )
    | st.text(max_size=8)
    | st.dates()
)
WORDS = (
    "name title about recipe parameters known lr_range quick trials sets choices low high log when "
    "measured values base corners seeds optimizer network lr epochs"
)
KEYS = st.sampled_from(WORDS.split()) | st.text(max_size=4)
JSON_LIKE = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values within a value, sections included."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    if isinstance(value, list):
        for index in range(len(value)):
            yield from leaves(value[index], (*path, index))


def assert_is_no_space_or_makes_recipes(plain: object, seed: int) -> None:
    """Nothing but the errors of this project is raised, and what is suggested is in the ranges."""
    try:
        space = read_space(plain, ORIGIN)
    except SpaceError:
        return
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(2):
        values = space.suggest(study.ask())
        assert all(space.parameters[name].contains(value) for name, value in values.items())
        fixed = optuna.trial.FixedTrial(dict(values))
        assert space.suggest(fixed) == values  # type: ignore[arg-type]
        with suppress(RecipeError):
            space.recipe_of(values)
    if space.quick is not None:
        with suppress(SpaceError):
            with_ranges(space, space.quick.ranges)


@LIGHT
@given(JSON_LIKE)
@example({"name": "a", "title": "b", "parameters": {"a": {"sets": "batch_size", "choices": [1]}}})
def test_whatever_is_read_is_a_space_or_an_error(plain: object) -> None:
    assert_is_no_space_or_makes_recipes(plain, 0)


SHIPPED_LEAVES = list(leaves(SHIPPED))


@LIGHT
@given(st.sampled_from(SHIPPED_LEAVES), JSON_LIKE, st.integers(0, 1_000))
def test_a_shipped_space_with_one_thing_changed_is_a_space_or_an_error(
    path: tuple[Any, ...], value: Any, seed: int
) -> None:
    plain = copy.deepcopy(SHIPPED)
    place: Any = plain
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert_is_no_space_or_makes_recipes(plain, seed)


@LIGHT
@given(st.sampled_from(SHIPPED_LEAVES), st.sampled_from(SHIPPED_LEAVES), st.integers(0, 1_000))
def test_a_shipped_space_with_two_things_swapped_is_a_space_or_an_error(
    path: tuple[Any, ...], other: tuple[Any, ...], seed: int
) -> None:
    plain, source = copy.deepcopy(SHIPPED), copy.deepcopy(SHIPPED)
    value: Any = source
    for key in other:
        value = value[key]
    place: Any = plain
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert_is_no_space_or_makes_recipes(plain, seed)


def test_the_former_name_of_a_field_is_read_wherever_a_space_names_it() -> None:
    def set_and_fixed(field: str) -> dict[str, Any]:
        plain = one_parameter(sets=f"optimizer.{field}", low=0.0, high=1e-3)
        return plain | {"recipe": {"optimizer": {field: 1e-4}}}

    def varied(field: str) -> dict[str, Any]:
        return one_parameter(variants={"it": {"optimizer": {field: 1e-4}}})

    for made in (set_and_fixed, varied):
        former, current = (made(f"weight_decay_per_{one}") for one in ("picture", "image"))
        assert read_space(former, ORIGIN) == read_space(current, ORIGIN)
