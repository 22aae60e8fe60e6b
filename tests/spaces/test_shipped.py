"""What every space that comes with the project must do, and what each of them promises."""

import tomllib
from importlib import resources
from typing import Any

import optuna
import pytest
from torch import nn

from cifar_core.models import network_of
from cifar_core.recipe import (
    Adam,
    Augmentation,
    Constant,
    Cosine,
    Net,
    OneCycle,
    Plateau,
    Recipe,
    ResNet9,
    ResNet18ImageNet,
    Sgd,
    Step,
)
from search.lr_range.corners import corners_of
from spaces.files import load_space, shipped_names
from spaces.parameter import Value
from spaces.reading import read_space, with_ranges
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
    assert space.grid or space.trials > len(space.known) + len(space.measured())


@EVERY_SPACE
def test_a_shipped_space_makes_valid_recipes_only(name: str) -> None:
    assert_makes_recipes(load_space(name))


@EVERY_SPACE
def test_a_quick_run_narrows_a_shipped_space(name: str) -> None:
    space = load_space(name)
    if space.quick is None:
        pytest.skip(f"{name} has no quick run")
    quick = with_ranges(space, space.quick.ranges).with_epochs(space.quick.epochs)
    assert_makes_recipes(quick)
    assert quick.epochs < space.epochs
    assert space.quick.train_images < 45_000
    trials = (len(quick.cells()), len(space.cells())) if space.grid else None
    fewer, all_of_them = trials or (space.quick.trials, space.trials)
    smaller = fewer * quick.epochs * space.quick.train_images
    assert smaller < all_of_them * space.epochs * 45_000 / 4
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
    corners = corners_of(space) if space.measured() else []
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
    assert read_space(written, name) == load_space(name)


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
            "augmentation": {
                "flip": 0.0,
                "crop_padding": 0,
                "cutout": 0,
                "probability": 0.6,  # of a policy of strength 0
                "strength": 0.0,
            },
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
            "augmentation": {
                "flip": 0.5,
                "crop_padding": 2,
                "cutout": 0,
                "policy": "auto",
                "probability": 0.6,
                "strength": 1.0,
            },
            "label_smoothing": 0.0,
            "normalization": "symmetric",
        }
    )


def test_the_one_cycle_sgd_is_what_its_sources_have_in_common() -> None:
    assert known_recipe("one-cycle SGD") == Recipe(
        network=Net(channels1=256, channels2=256, batch_norm=True),
        optimizer=Sgd(lr=0.05, nesterov=True, weight_decay=5e-4),
        schedule=OneCycle(),
        batch_size=64,
        augmentation=Augmentation(flip=0.5, crop_padding=2, probability=0.6),
        label_smoothing=0.1,
    )


def test_the_best_known_configuration_stands_first_and_the_weak_reference_last() -> None:
    names = [one.name for one in constrained().known]
    assert names == ["one-cycle SGD", "reference Net4", "reference base"]
    for name in ("baseline_constrained", "speed"):
        first = load_space(name).recipe_of(load_space(name).known[0].values)
        assert isinstance(first.optimizer, Sgd)
        assert first.optimizer.nesterov


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
        "nesterov": "optimizer.nesterov",
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
        "policy": "augmentation.policy",
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
        assert ("nesterov" in values) == (values["optimizer"] == "sgd")
        assert constrained().recipe_of(values).optimizer.lr == values[own]


# The reference's experiments


def recipe_of(name: str, **cell: Value) -> Recipe:
    return load_space(name).recipe_of(cell)


TUTORIAL = Recipe()
"""Net 6/16, SGD 0.001 with momentum 0.9, batches of 64, 12 epochs, nothing else."""


@pytest.mark.parametrize(
    ("name", "cell", "changes"),
    [
        ("batch_size", {"batch_size": 16}, {"batch_size": 16}),
        ("flip", {"flip": 0.5}, {"augmentation": Augmentation(flip=0.5)}),
        ("optimizer", {"optimizer": "SGD"}, {}),
        ("optimizer", {"optimizer": "Adam"}, {"optimizer": Adam(lr=0.001)}),
        ("scheduler", {"optimizer": "sgd", "schedule": "constant"}, {}),
        (
            "scheduler",
            {"optimizer": "adam", "schedule": "StepLR"},
            {"optimizer": Adam(lr=0.002), "schedule": Step(epochs=5, factor=0.5)},
        ),
        ("batchnorm", {"network": "Net1"}, {"network": Net(batch_norm=True)}),
        ("init", {"network": "Net2"}, {"network": Net(init="kaiming")}),
        ("channels", {"network": "Net3"}, {"network": Net(channels1=12, channels2=32)}),
        ("tutorial", {"epochs": 2}, {"batch_size": 4, "epochs": 2}),
        (
            "resnet9",
            {"augmentation": "crop + flip"},
            {
                "network": ResNet9(),
                "optimizer": Sgd(lr=5e-3, weight_decay_per_image=5e-4),
                "schedule": Cosine(),
                "epochs": 24,
                "augmentation": Augmentation(crop_padding=4, flip=0.5),
            },
        ),
        (
            "resnet18",
            {"network": "ResNet18"},
            {
                "network": ResNet18ImageNet(),
                "optimizer": Adam(lr=0.002, weight_decay=1e-4),
                "schedule": Cosine(),
                "augmentation": Augmentation(
                    flip=0.5, crop_padding=2, policy="auto", probability=0.6, strength=1.0
                ),
            },
        ),
    ],
)
def test_a_cell_is_the_published_experiment(
    name: str, cell: dict[str, Value], changes: dict[str, Any]
) -> None:
    """One change at a time to the tutorial's recipe, and for ResNet9 the notes' own recipe."""
    assert recipe_of(name, **cell) == TUTORIAL.model_copy(update=changes)


def test_weight_decay_of_the_resnet9_is_5e_4_times_the_batch_size() -> None:
    assert recipe_of("resnet9", augmentation="none").weight_decay == pytest.approx(5e-4 * 64)


def test_net4_of_the_grid_is_the_reference_of_the_search() -> None:
    assert recipe_of("resnet18", network="Net4") == known_recipe("reference Net4")


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("batch_size", [0.65, 0.63, 0.56, 0.47]),
        ("flip", [0.56, 0.56]),
        ("optimizer", [0.56, 0.65]),
        ("scheduler", [0.56, 0.60, 0.65, 0.65]),
        ("batchnorm", [0.56, 0.65]),
        ("init", [0.56, 0.57]),
        ("channels", [0.56, 0.60]),
        ("resnet18", [0.83, 0.83]),
        ("tutorial", [0.53, 0.57]),
        ("resnet9", [0.82, 0.88]),
        ("downsampling", [[0.88, 0.90], [0.94, 0.95], [0.94, 0.95]]),
    ],
)
def test_the_published_figures_are_those_of_the_reference(name: str, published: list[Any]) -> None:
    grid = load_space(name).grid
    assert grid is not None
    assert [one.accuracy for one in grid.published] == published


def test_the_plateau_space_divides_by_2_5_and_10_and_not_at_all() -> None:
    schedules = [
        load_space("plateau").recipe_of(cell).schedule for cell in load_space("plateau").cells()
    ]
    divisors = [one.divisor for one in schedules if isinstance(one, Plateau)]
    assert divisors == [2.0, 5.0, 10.0]
    assert Constant() in schedules
