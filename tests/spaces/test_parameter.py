"""One searched parameter."""

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from spaces.parameter import Parameter, Value

LIGHT = settings(database=None, deadline=None, max_examples=60)
NUMBERS = st.floats(1e-9, 1e9) | st.integers(1, 10**9)


@st.composite
def ranges(draw: st.DrawFn) -> Parameter:
    """Any parameter with a range."""
    ends = sorted([draw(NUMBERS), draw(NUMBERS)])
    return Parameter(sets="it", low=ends[0], high=ends[1], log=draw(st.booleans()))


def parameter(**values: object) -> Parameter:
    return Parameter.model_validate({"sets": "it", **values})


def test_two_whole_ends_make_an_integer_parameter_and_no_others_do() -> None:
    assert parameter(low=1, high=3).is_integer
    assert not parameter(low=1, high=3.0).is_integer
    assert not parameter(low=1.0, high=3).is_integer
    assert not parameter(choices=[1, 3]).is_integer


def test_extremes_are_both_ends_or_every_choice() -> None:
    assert parameter(low=1, high=3).extremes() == [1, 3]
    assert parameter(choices=["b", "a", "c"]).extremes() == ["b", "a", "c"]


@pytest.mark.parametrize("value", [0, 4, 2.0, True, "2", None, [2]])
def test_an_integer_range_holds_whole_numbers_within_it_alone(value: object) -> None:
    integers = parameter(low=1, high=3)
    assert integers.contains(1)
    assert integers.contains(3)
    assert not integers.contains(value)


@pytest.mark.parametrize("value", [0.99, 3.01, True, "2", float("nan"), None])
def test_a_float_range_holds_numbers_within_it_alone(value: object) -> None:
    floats = parameter(low=1.0, high=3.0)
    assert floats.contains(1.0)
    assert floats.contains(2)
    assert not floats.contains(value)


@pytest.mark.parametrize("value", [1, 1.0, "True", "a ", None, []])
def test_a_choice_is_recognised_by_type_and_value(value: object) -> None:
    choices = parameter(choices=[True, "a", 2])
    assert choices.contains(True)
    assert choices.contains("a")
    assert not choices.contains(value)


def test_clipping_moves_numbers_to_the_nearest_end_and_leaves_choices() -> None:
    assert parameter(low=1, high=3).clip(9) == 3
    assert parameter(low=0.5, high=3.0).clip(0.1) == 0.5
    assert parameter(low=1, high=3).clip(2) == 2
    assert parameter(choices=["a"]).clip("z") == "z"


def test_a_condition_asks_for_the_value_of_an_earlier_parameter() -> None:
    conditional = parameter(low=1, high=3, when={"kind": ["a", "b"], "wide": [True]})
    assert conditional.applies({"kind": "b", "wide": True})
    assert not conditional.applies({"kind": "c", "wide": True})
    assert not conditional.applies({"kind": "a", "wide": False})
    assert not conditional.applies({"wide": True})


@LIGHT
@given(ranges(), st.floats(allow_nan=False) | st.integers())
def test_ends_and_clipped_numbers_of_any_range_are_in_it(record: Parameter, number: Value) -> None:
    assert all(record.contains(end) for end in record.extremes())
    if not record.is_integer:
        assert record.contains(record.clip(number))


@LIGHT
@given(ranges(), st.integers(0, 2**32 - 1))
def test_what_optuna_suggests_is_in_the_range(record: Parameter, seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    assert record.contains(record.suggest("it", study.ask()))


def test_a_range_on_the_logarithm_is_suggested_on_the_logarithm() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    record = parameter(low=1e-6, high=1.0, log=True)
    values = [record.suggest("it", study.ask()) for _ in range(60)]
    below = sum(isinstance(value, float) and value < 1e-3 for value in values)
    assert 20 <= below <= 40
    (distribution,) = study.trials[0].distributions.values()
    assert distribution == optuna.distributions.FloatDistribution(1e-6, 1.0, log=True)


def test_choices_keep_their_order_and_type_in_the_study() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    values = {repr(parameter(choices=["b", True, 3]).suggest("it", study.ask())) for _ in range(30)}
    assert values == {"'b'", "True", "3"}
    (distribution,) = study.trials[0].distributions.values()
    assert distribution == optuna.distributions.CategoricalDistribution(["b", True, 3])


def test_a_description_names_range_scale_and_choices() -> None:
    assert parameter(low=0.001, high=0.1, log=True).described() == "0.001 to 0.1, log"
    assert parameter(low=16, high=256).described() == "16 to 256"
    assert parameter(choices=["sgd", "adam"]).described() == "sgd, adam"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "needs either `choices`, or both `low` and `high`"),
        ({"low": 1}, "needs either `choices`, or both `low` and `high`"),
        ({"high": 1}, "needs either `choices`, or both `low` and `high`"),
        ({"low": 2, "high": 1}, "`low` must be at most `high`, but got 2 and 1"),
        (
            {"low": 0, "high": 1, "log": True},
            "`low` must be above 0 where `log` is true, but got 0",
        ),
        ({"low": -1.0, "high": 1.0, "log": True}, "above 0 where `log` is true, but got -1.0"),
        ({"choices": [1], "low": 1}, "`choices` cannot be combined with"),
        ({"choices": [1], "log": True}, "`choices` cannot be combined with"),
        ({"choices": [1], "measured": True}, "`choices` cannot be combined with"),
        ({"choices": ["a", "b", "a"]}, "names a value twice: ['a', 'b', 'a']"),
        ({"choices": []}, "at least 1 item"),
        ({"choices": list(range(101))}, "at most 100 items"),
        ({"low": 1, "high": 2, "sets": "Optimizer.LR"}, "should match pattern"),
        ({"low": 1, "high": 2, "sets": "optimizer..lr"}, "should match pattern"),
        ({"low": 1, "high": 2, "sets": ""}, "should match pattern"),
        ({"low": 1, "high": 2, "stop": 1}, "Extra inputs are not permitted"),
        ({"low": 0, "high": 1, "step": 0}, "`step` must be above 0, but got 0"),
        ({"low": 1, "high": 2, "step": 0.1, "log": True}, "`step` cannot be combined with `log`"),
        ({"low": 16, "high": 63, "step": 16}, "steps above `low`, such as 48 or 64, but got 63"),
        ({"choices": [1], "step": 1}, "`choices` cannot be combined with"),
        ({"low": float("-inf"), "high": 2.0}, "must be a number"),
    ],
)
def test_a_parameter_that_cannot_be_searched_is_refused(
    values: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        parameter(**values)
    assert words in str(caught.value)


@pytest.mark.parametrize("choices", [[0, 0.0], [1, True], [False, 0.0]])
def test_choices_that_optuna_would_take_for_one_are_refused(choices: list[Value]) -> None:
    with pytest.raises(ValidationError, match="twice"):
        parameter(choices=choices)


def test_a_range_with_steps_has_its_steps_alone() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    widths, rates = parameter(low=16, high=64, step=16), parameter(low=0.0, high=0.5, step=0.1)
    trials = [study.ask() for _ in range(40)]
    assert {widths.suggest("width", one) for one in trials} == {16, 32, 48, 64}
    drawn = {rates.suggest("rate", one) for one in trials}
    assert len(drawn) == 6
    assert all(rates.contains(one) for one in drawn)
    assert not widths.contains(17)
    assert not rates.contains(0.25)
    assert (widths.clip(41), widths.clip(100)) == (48, 64)
    assert rates.clip(0.29) == pytest.approx(0.3)
    assert rates.described() == "0 to 0.5, step 0.1"


@pytest.mark.parametrize(("field", "kind"), [("augmentation.flip", float), ("batch_size", int)])
def test_whole_ends_mean_whole_values_only_where_the_recipe_holds_them(
    field: str, kind: type
) -> None:
    record = parameter(sets=field, low=1, high=2).of_its_field()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    values = [record.suggest("it", study.ask()) for _ in range(20)]
    assert {type(one) for one in values} == {kind}
    assert any(one not in {1, 2} for one in values) == (kind is float)
