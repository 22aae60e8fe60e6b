"""One set of claims over everything that can be named: networks, schedules, augmentations, spaces."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Normalization, Part, Splits, training_batches
from cifar_core.device import Backend
from cifar_core.errors import RecipeError
from cifar_core.models import NETWORKS, network_of
from cifar_core.models.counting import count
from cifar_core.optimizers import optimizer_of
from cifar_core.recipe import Augmentation, Network, Optimizer, Plateau, Recipe, Schedule
from cifar_core.schedules import schedule_of
from cifar_core.trainer import evaluate
from spaces.files import load_space, shipped_names
from spaces.space import Space, Values
from tests.cifar_core.trainings import alike, begin
from tests.conftest import part_of

CUDA = torch.device("cuda", 0)
NARROW = {"width": 8, "channels1": 8, "channels2": 8, "channels3": 8, "dropout": 0.2}


def kinds(union: Any) -> list[type[BaseModel]]:
    """The records of one of the recipe's unions."""
    return list(get_args(get_args(union)[0]))


def narrow(kind: type[BaseModel]) -> BaseModel:
    return kind(**{key: value for key, value in NARROW.items() if key in kind.model_fields})


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
EVERY_SPACE = pytest.mark.parametrize("name", shipped_names())


@pytest.fixture(scope="module")
def few(small_splits: Splits) -> Splits:
    """Two steps of 8 images."""
    return part_of(small_splits, 16)


@pytest.fixture
def fake_splits() -> Iterator[Splits]:
    """Images on a GPU that need not be there; all within is fake."""
    with FakeTensorMode(), CUDA:
        train, validation = (
            Part(torch.zeros(count, 3, 32, 32, dtype=torch.uint8), torch.zeros(count).long())
            for count in (16, 9)
        )
        yield Splits(train, validation, (120.0, 121.0, 122.0), (60.0, 61.0, 62.0), "digest")


def assert_trains(recipe: Recipe, splits: Splits) -> None:
    training = begin(recipe, splits)
    before = [one.detach().clone() for one in training.network.parameters()]
    epoch = next(training.epochs())
    assert math.isfinite(epoch.train_loss)
    assert 0.0 <= epoch.train_accuracy <= 1.0
    assert 0.0 <= epoch.validation_accuracy <= 1.0
    trained = [one for one in training.network.parameters() if one.requires_grad]
    assert trained
    changed = [
        not torch.equal(one, old)
        for one, old in zip(training.network.parameters(), before, strict=True)
        if one.requires_grad
    ]
    assert sum(changed) >= len(changed) // 2


def assert_runs_on_a_fake_gpu(recipe: Recipe, splits: Splits) -> None:
    """Batches, forward, loss and evaluation stay on the device until sums are read at the end."""
    backend, normalize = Backend(CUDA, None, 4), Normalization.of(recipe, splits)
    network = network_of(recipe.network)
    batches = training_batches(
        splits.train,
        recipe.batch_size,
        recipe.augmentation,
        normalize,
        None,
        np.random.default_rng(0),
        backend.images_together,
    )
    for images, labels in batches:
        assert (images.device, labels.device) == (CUDA, CUDA)
        logits = network(images)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        assert (logits.shape, loss.device) == ((len(images), 10), CUDA)
    with pytest.raises(DataDependentOutputException, match="_local_scalar_dense"):
        evaluate(network, splits.validation, normalize, backend)


# Each thing by itself


def test_there_is_a_recipe_for_everything_that_is_registered() -> None:
    assert {
        recipe["network"].name for key, recipe in RECIPES.items() if key.startswith("network")
    } == (NETWORKS.keys())
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
def test_it_trains(recipe: Recipe, few: Splits) -> None:
    assert_trains(recipe, few)


@everything
def test_a_run_that_was_stopped_ends_with_the_same_bits(
    recipe: Recipe, few: Splits, tmp_path: Path
) -> None:
    whole = begin(recipe, few)
    for epoch in whole.epochs():
        if epoch.number == 1:
            save_state(whole.state_dict(), tmp_path / "state.pt")
    resumed = begin(recipe, few)
    resumed.load_state_dict(load_state(tmp_path / "state.pt"))
    list(resumed.epochs())
    assert alike(resumed, whole)


@everything
def test_it_runs_on_a_gpu_that_is_not_there(recipe: Recipe, fake_splits: Splits) -> None:
    assert_runs_on_a_fake_gpu(recipe, fake_splits)


@everything
def test_it_survives_the_way_into_a_file_and_back(recipe: Recipe) -> None:
    assert Recipe.read(recipe.to_dict()) == recipe


@pytest.mark.parametrize("kind", kinds(Network), ids=lambda kind: kind.__name__)
def test_a_network_can_be_counted(kind: type[Any]) -> None:
    counts, made = count(kind()), network_of(kind())
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
    if field != "name"
]


@pytest.mark.parametrize("value", [-1, math.nan, [1], "nonsense" * 200, None, 10**30], ids=repr)
@pytest.mark.parametrize(
    ("section", "kind", "field"), FIELDS, ids=lambda one: getattr(one, "__name__", one)
)
def test_a_wrong_value_is_answered_with_its_key(
    section: str, kind: type[Any], field: str, value: object
) -> None:
    named = {"name": kind().name} if "name" in kind.model_fields else {}
    with pytest.raises(RecipeError) as caught:
        Recipe.read({section: {**named, field: value}})
    first, *problems = str(caught.value).splitlines()
    assert "not a valid training recipe" in first
    assert len(problems) == 1
    assert problems[0].strip().startswith(f"{section}.{field}: ")
    assert len(problems[0]) < 250


# Spaces


def samples(space: Space) -> list[Values]:
    """Every cell of a grid, or every known configuration."""
    return space.cells() if space.grid is not None else [one.values for one in space.known]


def small_recipes(name: str) -> list[Recipe]:
    space = load_space(name)
    recipes = [space.recipe_of(values) for values in samples(space)]
    return [recipe.model_copy(update={"batch_size": 8, "epochs": 1}) for recipe in recipes]


@EVERY_SPACE
def test_a_space_trains(name: str, few: Splits) -> None:
    assert small_recipes(name)
    for recipe in small_recipes(name):
        assert_trains(recipe, few)


@EVERY_SPACE
def test_a_space_runs_on_a_gpu_that_is_not_there(name: str, fake_splits: Splits) -> None:
    for recipe in small_recipes(name):
        assert_runs_on_a_fake_gpu(recipe, fake_splits)
