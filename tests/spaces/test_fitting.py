"""Recipes from elsewhere as values of a space."""

from typing import Any

import optuna
import pytest

from cifar_core.recipe import Recipe
from spaces.errors import MisfitError
from spaces.files import load_space, shipped_names
from spaces.fitting import fitted
from spaces.reading import quicker, read_space, with_ranges
from spaces.space import Space, Values
from tests.spaces.making import ORIGIN, one_parameter, small_space

SUGGESTIONS = 30
FITTING: Values = {
    "optimizer": "adam",
    "adam_lr": 0.002,
    "batch_size": 32,
    "channels1": 8,
    "dropout": 0.1,
}
"""Values of the small space."""


def recipe(**changes: Any) -> Recipe:
    """The recipe that `FITTING` makes, with some fields of its sections, or whole fields, changed."""
    plain = small_space().recipe_of(FITTING).to_dict()
    for key, value in changes.items():
        plain[key] = {**plain[key], **value} if isinstance(value, dict) else value
    return Recipe.read(plain)


def space_of(parameters: dict[str, Any], **fixed: Any) -> Space:
    plain = {"name": "other", "title": "Another space", "recipe": fixed, "parameters": parameters}
    return read_space(plain, ORIGIN)


def misfit(space: Space, found: Recipe) -> str:
    with pytest.raises(MisfitError) as caught:
        fitted(space, found)
    text = str(caught.value)
    assert text.endswith(".")
    assert text.isprintable()
    return text


# ----------------------------------------------------------------------------- what was made here


def configurations(space: Space) -> list[Values]:
    """Known configurations and random suggestions; of a grid its cells."""
    if space.grid is not None:
        return space.cells()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    suggested = [space.suggest(study.ask()) for _ in range(SUGGESTIONS)]
    return [*suggested, *(space.fit(known.values) for known in space.known)]


@pytest.mark.parametrize("name", shipped_names())
def test_what_a_shipped_space_makes_it_finds_again(name: str) -> None:
    space = load_space(name)
    for values in configurations(space):
        fit = fitted(space, space.recipe_of(values))
        assert fit.values == values
        assert list(fit.values) == list(values)
        assert [type(one) for one in fit.values.values()] == [type(one) for one in values.values()]
        assert (fit.moved, fit.differs) == ((), ())


@pytest.mark.parametrize("name", [one for one in shipped_names() if load_space(one).quick])
def test_what_a_full_run_makes_a_quick_run_finds_as_near_as_it_can(name: str) -> None:
    space = load_space(name)
    assert space.quick is not None
    quick = quicker(space).with_epochs(space.quick.epochs)
    moved = 0
    for values in configurations(space):
        fit = fitted(quick, space.recipe_of(values))
        assert fit.values == quick.fit(values)
        assert fit.differs == (f"epochs {quick.epochs} instead of {space.epochs}",)
        assert len(fit.moved) == sum(fit.values[one] != values[one] for one in values)
        moved += len(fit.moved)
    assert moved > 0 or not space.quick.ranges


# ----------------------------------------------------------------------------------- near, and said


def test_a_number_outside_of_its_range_is_moved_to_its_end_and_said() -> None:
    found = recipe(network={"channels1": 100}, optimizer={"lr": 1e-6})
    fit = fitted(small_space(), found)
    assert fit.values == {**FITTING, "channels1": 8, "adam_lr": 1e-4}
    assert fit.moved == ("adam_lr 0.0001 instead of 1e-06", "channels1 8 instead of 100")
    assert fit.differs == ()


def test_what_the_space_fixes_otherwise_is_said() -> None:
    found = recipe(
        epochs=2,
        schedule={"name": "step", "epochs": 3},
        normalization="standard",
        network={"batch_norm": True},
    )
    fit = fitted(small_space(), found)
    assert (fit.values, fit.moved) == (FITTING, ())
    assert fit.differs == (
        "epochs 4 instead of 2",
        "network.batch_norm false instead of true",
        "normalization symmetric instead of standard",
        "schedule.name constant instead of step",
    )


def test_a_range_that_was_measured_is_the_one_that_counts() -> None:
    measured = with_ranges(small_space(), {"adam_lr": {"low": 0.003, "high": 0.03}})
    assert fitted(measured, recipe()).moved == ("adam_lr 0.003 instead of 0.002",)


# --------------------------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 48}, "batch_size is 48; this space has 32, 64."),
        (
            {"optimizer": {"name": "adamw"}},
            "optimizer.name is adamw; this space has sgd, adam.",
        ),
    ],
)
def test_a_choice_that_the_space_has_not_is_named(changes: dict[str, Any], words: str) -> None:
    assert misfit(small_space(), recipe(**changes)) == words


def test_another_network_is_none_of_the_space() -> None:
    found = load_space("speed").recipe_of(load_space("speed").known[0].values)
    assert misfit(small_space(), found) == "network.name is speednet; this space has net."


def test_another_optimizer_is_none_of_a_space_that_fixes_it() -> None:
    parameter = {"sets": "optimizer.lr", "low": 1e-3, "high": 0.1}
    space = space_of({"lr": parameter}, optimizer={"name": "sgd"})
    assert misfit(space, recipe()) == "optimizer.name is adam; this space has sgd."


def test_a_field_that_the_recipe_lacks_is_named() -> None:
    parameter = {"sets": "schedule.warmup", "low": 0.1, "high": 0.4}
    space = space_of({"warmup": parameter}, schedule={"name": "one_cycle"})
    words = "schedule.warmup: its schedule is constant, which has no such field."
    assert misfit(space, Recipe()) == words


def test_a_part_of_a_number_is_no_whole_one() -> None:
    space = read_space(one_parameter(sets="augmentation.strength", low=0, high=1), ORIGIN)
    found = Recipe.read({"augmentation": {"strength": 0.25}})
    words = "augmentation.strength is 0.25; this space has whole numbers, 0 to 1."
    assert misfit(space, found) == words
    whole = fitted(space, Recipe.read({"augmentation": {"strength": 1.0}})).values
    assert (whole, type(whole["it"])) == ({"it": 1}, int)


def test_what_the_space_makes_of_it_must_be_a_recipe() -> None:
    space = space_of(
        {
            "batch_size": {"sets": "batch_size", "choices": [1, 64]},
            "decay": {"sets": "optimizer.weight_decay", "low": 0.0, "high": 0.6},
        },
        optimizer={"weight_decay_per_image": 0.0078125},  # 0.5 with 64 images
    )
    found = Recipe.read({"optimizer": {"weight_decay": 0.6}})
    words = misfit(space, found)
    assert "weight_decay, with weight_decay_per_image * batch_size, must be at most 1" in words


# --------------------------------------------------------------------------------------- variants


def with_variants(**variants: Any) -> Space:
    return read_space(one_parameter(variants=variants), ORIGIN)


def test_a_variant_is_found_by_all_that_it_changes() -> None:
    space = with_variants(
        small={"network": {"channels1": 4}},
        wide={"network": {"channels1": 32, "channels2": 64}},
        deep={"network": {"name": "resnet9"}},
        slow={"optimizer": {"name": "adam", "lr": 1e-4}},
    )
    for name in space.parameters["it"].variants or {}:
        assert fitted(space, space.recipe_of({"it": name})).values == {"it": name}


def test_a_variant_that_changes_nothing_is_not_taken_for_another() -> None:
    space = with_variants(none={}, flip={"augmentation": {"flip": 0.5}})
    assert fitted(space, Recipe.read({"augmentation": {"flip": 0.5}})).values == {"it": "flip"}
    assert fitted(space, Recipe()).values == {"it": "none"}
    found = Recipe.read({"augmentation": {"flip": 0.4}})
    assert (
        misfit(space, found) == "augmentation.flip is 0.4; it in this space is one of none, flip."
    )


def test_a_variant_is_what_all_its_fields_are_and_not_some_of_them() -> None:
    space = with_variants(
        a={"network": {"channels1": 8}}, b={"network": {"channels2": 32}}, none={}
    )
    both = Recipe.read({"network": {"channels1": 8, "channels2": 32}})
    assert misfit(space, both) == "network.channels2 is 32; it in this space is one of a, b, none."


def test_of_another_kind_only_the_variant_with_its_defaults_is_meant() -> None:
    optimizers = with_variants(
        sgd={"optimizer": {"name": "sgd", "nesterov": True}}, adam={"optimizer": {"name": "adam"}}
    )
    words = "optimizer.nesterov is false; it in this space is one of sgd, adam."
    assert misfit(optimizers, Recipe.read({"optimizer": {"name": "sgd"}})) == words
    kinds = with_variants(
        step={"schedule": {"name": "step", "epochs": 2}}, cosine={"schedule": {"name": "cosine"}}
    )
    assert fitted(kinds, Recipe.read({"schedule": {"name": "cosine"}})).values == {"it": "cosine"}
    words = "schedule.name is linear; it in this space is one of step, cosine."
    assert misfit(kinds, Recipe.read({"schedule": {"name": "linear"}})) == words


def test_a_variant_without_a_kind_is_of_the_default_one() -> None:
    space = with_variants(none={}, step={"schedule": {"name": "step"}})
    assert fitted(space, Recipe.read({"schedule": {"name": "step"}})).values == {"it": "step"}
    assert fitted(space, Recipe()).values == {"it": "none"}


def test_a_choice_stands_as_the_space_has_it() -> None:
    space = space_of({"smoothing": {"sets": "label_smoothing", "choices": [0.1, 0]}})
    found = fitted(space, Recipe()).values["smoothing"]
    assert (found, type(found)) == (0, int)
