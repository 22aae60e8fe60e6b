"""What every space that comes with the project must do, and what each of them promises."""

import tomllib
from importlib import resources

import optuna
import pytest
from torch import nn

from cifar_core.models import network_of
from cifar_core.recipe import Recipe
from search.bounds import corner_recipes
from spaces.files import load_space, shipped_names
from spaces.space import Space, Values

EVERY_SPACE = pytest.mark.parametrize("name", shipped_names())
SUGGESTIONS = 30


def suggestions(space: Space, seed: int = 0, count: int = SUGGESTIONS) -> list[Values]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [space.suggest(study.ask()) for _ in range(count)]


def assert_makes_recipes(space: Space) -> None:
    """Known configurations, extremes and random suggestions make recipes, within the ranges."""
    for known in space.known:
        space.recipe_of(known.values)
    found = suggestions(space)
    for values in found:
        space.recipe_of(values)
        applying = [name for name, one in space.parameters.items() if one.applies(values)]
        assert list(values) == applying
        assert all(space.parameters[name].contains(value) for name, value in values.items())
    for name, parameter in space.parameters.items():
        somewhere = next(values for values in found if name in values)
        for extreme in parameter.extremes():
            # Another choice may change which parameters apply, as the next test of a space shows.
            if not any(name in one.when for one in space.parameters.values()):
                space.recipe_of({**somewhere, name: extreme})
        seen = {values[name] for values in found if name in values}
        if parameter.choices is not None:
            assert seen == set(parameter.choices)


def test_there_is_a_space_to_begin_with() -> None:
    assert "baseline_constrained" in shipped_names()


@EVERY_SPACE
def test_a_shipped_space_has_its_files_name_and_a_title(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    assert space.title.strip() == space.title
    assert not space.title.endswith(".")
    assert space.trials > len(space.known) + len(space.measured())


@EVERY_SPACE
def test_a_shipped_space_makes_valid_recipes_only(name: str) -> None:
    assert_makes_recipes(load_space(name))


@EVERY_SPACE
def test_a_quick_run_narrows_a_shipped_space(name: str) -> None:
    space = load_space(name)
    if space.quick is None:
        pytest.skip(f"{name} has no quick run")
    quick = space.with_ranges(space.quick.ranges).with_epochs(space.quick.epochs)
    assert_makes_recipes(quick)
    assert quick.epochs < space.epochs
    assert space.quick.train_images < 45_000
    smaller = space.quick.trials * quick.epochs * space.quick.train_images
    assert smaller < space.trials * space.epochs * 45_000 / 4
    assert quick.parameters.keys() == space.parameters.keys()
    for changed, changes in space.quick.ranges.items():
        before, after = space.parameters[changed], quick.parameters[changed]
        assert changes
        assert before != after
        assert all(before.contains(end) for end in after.extremes())
    for known in quick.known:
        for one, value in known.values.items():
            assert quick.parameters[one].measured or quick.parameters[one].contains(value)


@EVERY_SPACE
def test_the_lr_range_test_of_a_shipped_space_measures_valid_recipes(name: str) -> None:
    space = load_space(name)
    corners = corner_recipes(space) if space.measured() else []
    assert {corner.parameter for corner in corners} == space.measured().keys()
    for corner in corners:
        assert corner.recipe == space.recipe_of(corner.values)
        assert corner.parameter in corner.values


@EVERY_SPACE
def test_a_shipped_space_survives_the_way_into_a_study_and_back(name: str) -> None:
    space = load_space(name)
    assert Space.model_validate(space.model_dump(mode="json")) == space


@EVERY_SPACE
def test_a_shipped_file_says_what_it_says_once(name: str) -> None:
    text = resources.files("spaces.shipped").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    written = tomllib.loads(text)
    assert written["name"] == name
    assert Space.read(written, name) == load_space(name)


def constrained() -> Space:
    return load_space("baseline_constrained")


def known_recipe(name: str) -> Recipe:
    space = constrained()
    (known,) = [one for one in space.known if one.name == name]
    return space.recipe_of(known.values)


def test_the_reference_base_has_the_published_settings() -> None:
    assert known_recipe("reference base") == Recipe.read(
        {
            "network": {
                "name": "net",
                "channels1": 6,
                "channels2": 16,
                "batch_norm": False,
                "dropout": 0.0,
                "init": "default",
            },
            "optimizer": {
                "name": "sgd",
                "lr": 0.001,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 0.0,
            },
            "schedule": {"name": "constant"},
            "batch_size": 64,
            "epochs": 12,
            "augmentation": {"flip": 0.0, "crop_padding": 0, "cutout": 0, "strength": 0.0},
            "label_smoothing": 0.0,
            "normalization": "symmetric",
        }
    )


def test_the_reference_net4_has_the_published_settings() -> None:
    assert known_recipe("reference Net4") == Recipe.read(
        {
            "network": {
                "name": "net",
                "channels1": 256,
                "channels2": 256,
                "batch_norm": True,
                "dropout": 0.1,
                "init": "default",
            },
            "optimizer": {
                "name": "adam",
                "lr": 0.002,
                "beta1": 0.9,
                "beta2": 0.999,
                "weight_decay": 1e-4,
            },
            "schedule": {"name": "cosine"},
            "batch_size": 64,
            "epochs": 12,
            "augmentation": {"flip": 0.5, "crop_padding": 2, "cutout": 0, "strength": 0.6},
            "label_smoothing": 0.0,
            "normalization": "symmetric",
        }
    )


def test_the_constrained_space_keeps_two_convolutions_three_linear_layers_and_12_epochs() -> None:
    space = constrained()
    for values in suggestions(space, seed=1, count=8):
        recipe = space.recipe_of(values)
        layers = list(network_of(recipe.network).modules())
        assert sum(isinstance(layer, nn.Conv2d) for layer in layers) == 2
        assert sum(isinstance(layer, nn.Linear) for layer in layers) == 3
        assert recipe.epochs == space.epochs == 12
    searched = {parameter.sets for parameter in space.parameters.values()}
    assert "network.name" not in searched
    assert "epochs" not in searched


def test_the_constrained_space_searches_everything_else() -> None:
    space = constrained()
    assert {name: parameter.sets for name, parameter in space.parameters.items()} == {
        "optimizer": "optimizer.name",
        "sgd_lr": "optimizer.lr",
        "adam_lr": "optimizer.lr",
        "batch_size": "batch_size",
        "weight_decay": "optimizer.weight_decay",
        "channels1": "network.channels1",
        "channels2": "network.channels2",
        "batch_norm": "network.batch_norm",
        "dropout": "network.dropout",
        "init": "network.init",
        "schedule": "schedule.name",
        "label_smoothing": "label_smoothing",
        "flip": "augmentation.flip",
        "crop_padding": "augmentation.crop_padding",
        "cutout": "augmentation.cutout",
        "strength": "augmentation.strength",
    }
    assert space.parameters["optimizer"].choices == ["sgd", "adam"]
    assert space.measured().keys() == {"sgd_lr", "adam_lr"}


def test_each_optimizer_of_the_constrained_space_has_its_own_learning_rate() -> None:
    found = suggestions(constrained(), seed=2)
    assert {one["optimizer"] for one in found} == {"sgd", "adam"}
    for values in found:
        own = f"{values['optimizer']}_lr"
        assert [name for name in values if name.endswith("_lr")] == [own]
        assert constrained().recipe_of(values).optimizer.lr == values[own]
