"""One set of claims over everything that can be named: networks, schedules, augmentations, spaces."""

import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Splits
from cifar_core.errors import RecipeError
from cifar_core.models import NETWORKS, network_of
from cifar_core.models.counting import count
from cifar_core.optimizers import optimizer_of
from cifar_core.recipe import (
    Augmentation,
    Network,
    Optimizer,
    OwnNetwork,
    Plateau,
    Recipe,
    Schedule,
)
from cifar_core.schedules import schedule_of
from cifar_core.trainer import Training
from spaces.files import load_space, shipped_names
from tests.cifar_core.models.records import network_record
from tests.cifar_core.trainings import alike, begin
from tests.conftest import part_of

NARROW = {"width": 8, "channels1": 8, "channels2": 8, "channels3": 8, "dropout": 0.2}


def kinds(union: Any) -> list[type[BaseModel]]:
    """The records of one of the recipe's unions."""
    return list(get_args(get_args(union)[0]))


def narrow(kind: type[BaseModel]) -> BaseModel:
    keys = {"width"} if kind is OwnNetwork else kind.model_fields.keys()
    return network_record(kind, **{key: value for key, value in NARROW.items() if key in keys})


def augmentations() -> dict[str, Augmentation]:
    """Each on its own, every policy among them, and all at once."""
    policies = get_args(Augmentation.model_fields["policy"].annotation)
    found = {name: Augmentation(policy=name, strength=0.8, probability=0.7) for name in policies}
    for key, value in {
        "flip": 0.5,
        "crop_padding": 4,
        "cutout": 8,
        "mixup": 0.5,
        "cutmix": 1.0,
    }.items():
        found[key] = Augmentation(**{key: value})  # type: ignore[arg-type]
    found["crop reflect"] = Augmentation(crop_padding=4, crop_fill="reflect")
    found["all"] = Augmentation(
        flip=0.5, crop_padding=2, cutout=4, policy="auto", strength=1.0, mixup=0.2, cutmix=0.2
    )
    return found


BASE = Recipe(batch_size=8, epochs=3)
RECIPES = {
    **{f"network {kind.__name__}": {"network": narrow(kind)} for kind in kinds(Network)},
    **{f"schedule {kind.__name__}": {"schedule": kind()} for kind in kinds(Schedule)},
    "schedule Plateau, impatient": {"schedule": Plateau(patience=1, divisor=2.0)},
    **{f"optimizer {kind.__name__}": {"optimizer": kind()} for kind in kinds(Optimizer)},
    **{f"augmentation {name}": {"augmentation": one} for name, one in augmentations().items()},
}
everything = pytest.mark.parametrize(
    "recipe", [BASE.model_copy(update=changes) for changes in RECIPES.values()], ids=RECIPES
)


@pytest.fixture(scope="module")
def few(small_splits: Splits) -> Splits:
    """Two steps of 8 images."""
    return part_of(small_splits, 16)


def assert_trained(training: Training, before: list[torch.Tensor]) -> None:
    """The training's last epoch has possible figures, and its weights are not those of `before`."""
    epoch = training.history[-1]
    assert math.isfinite(epoch.train_loss)
    assert 0.0 <= epoch.train_accuracy <= 1.0
    assert 0.0 <= epoch.validation_accuracy <= 1.0
    changed = [
        not torch.equal(one, old)
        for one, old in zip(training.network.parameters(), before, strict=True)
        if one.requires_grad
    ]
    assert sum(changed) >= max(1, len(changed) // 2)


def weights(training: Training) -> list[torch.Tensor]:
    return [one.detach().clone() for one in training.network.parameters()]


# Each thing by itself


def test_there_is_a_recipe_for_everything_that_is_registered() -> None:
    assert {
        recipe["network"].name for key, recipe in RECIPES.items() if key.startswith("network")
    } == NETWORKS.keys() | {"own"}
    assert {one.__name__ for union in (Network, Schedule, Optimizer) for one in kinds(union)} <= {
        key.partition(" ")[2] for key in RECIPES
    }
    covered = {
        field
        for one in augmentations().values()
        for field in Augmentation.model_fields
        if getattr(one, field) != Augmentation.model_fields[field].default
    }
    assert covered == Augmentation.model_fields.keys()


@everything
def test_it_trains_and_a_run_that_was_stopped_ends_with_the_same_bits(
    recipe: Recipe, few: Splits, tmp_path: Path
) -> None:
    whole = begin(recipe, few)
    before = weights(whole)
    for epoch in whole.epochs():
        if epoch.number == 1:
            assert_trained(whole, before)
            save_state(whole.state_dict(), tmp_path / "state.pt")
    resumed = begin(recipe, few)
    resumed.load_state_dict(load_state(tmp_path / "state.pt"))
    list(resumed.epochs())
    assert alike(resumed, whole)


@everything
def test_it_survives_the_way_into_a_file_and_back(recipe: Recipe) -> None:
    assert Recipe.read(recipe.to_dict()) == recipe


@pytest.mark.parametrize("kind", kinds(Network), ids=lambda kind: kind.__name__)
def test_a_network_can_be_counted(kind: type[Any]) -> None:
    counts, made = count(network_record(kind)), network_of(network_record(kind))
    assert counts.parameters == sum(one.numel() for one in made.parameters())
    assert counts.multiply_adds > counts.parameters / 10


@pytest.mark.parametrize("kind", kinds(Schedule), ids=lambda kind: kind.__name__)
def test_a_schedule_never_leaves_0_to_1_and_is_at_1_once(kind: type[Any]) -> None:
    factor = schedule_of(kind(), epochs=12, steps_per_epoch=10)
    factors = [factor(step) for step in range(120)]
    assert max(factors) == 1.0
    assert min(factors) > 0.0


@pytest.mark.parametrize("kind", kinds(Optimizer), ids=lambda kind: kind.__name__)
def test_an_optimizer_has_the_recipes_rate(kind: type[Any]) -> None:
    recipe = Recipe(optimizer=kind(lr=0.125))
    made = optimizer_of(recipe, network_of(recipe.network).parameters())
    assert [group["lr"] for group in made.param_groups] == [0.125]


FIELDS = [
    (section, kind, field)
    for section, found in {
        "network": kinds(Network),
        "schedule": kinds(Schedule),
        "optimizer": kinds(Optimizer),
        "augmentation": [Augmentation],
    }.items()
    for kind in found
    for field in kind.model_fields
    if field
    not in {"name", "builder"}  # a builder is asked about in tests/spaces/test_own_network.py
]


def is_wrong(value: object) -> bool:
    """No field of a recipe takes this value."""
    return not isinstance(value, bool | str) and not (
        isinstance(value, int | float) and 0 <= value <= 1e6
    )


@settings(database=None, deadline=None, max_examples=150)
@given(
    field=st.sampled_from(FIELDS),
    value=st.one_of(
        st.none(),
        st.lists(st.integers()),
        st.integers(),
        st.floats(),
        st.text(min_size=1_500, max_size=1_600),
    ).filter(is_wrong),
)
def test_a_wrong_value_is_answered_with_its_key(
    field: tuple[str, type[Any], str], value: object
) -> None:
    section, kind, name = field
    given = {"builder": "nets:make"} if kind is OwnNetwork else {}
    named = {"name": kind(**given).name} | given if "name" in kind.model_fields else {}
    with pytest.raises(RecipeError) as caught:
        Recipe.read({section: {**named, name: value}})
    first, *problems = str(caught.value).splitlines()
    assert "not a valid training recipe" in first
    assert len(problems) == 1
    assert problems[0].strip().startswith(f"{section}.{name}: ")
    assert len(problems[0]) < 250


# Spaces


@pytest.mark.parametrize("name", shipped_names())
def test_a_space_trains(name: str, few: Splits) -> None:
    """One configuration of each; that the others make recipes is checked when a space is read."""
    space = load_space(name)
    values = space.cells()[-1] if space.grid is not None else space.known[0].values
    recipe = space.recipe_of(values)
    small = recipe.model_copy(
        update={
            "network": recipe.network.model_copy(
                update={key: value for key, value in NARROW.items() if hasattr(recipe.network, key)}
            ),
            "batch_size": 8,
            "epochs": 1,
        }
    )
    training = begin(small, few)
    before = weights(training)
    next(training.epochs())
    assert_trained(training, before)
