"""A training's twin, its steps outside of epochs, and that sweeps of it leave everything as it was."""

from collections.abc import Callable
from functools import cache
from itertools import count, islice
from typing import Any

import pytest
import torch
from torch import Tensor

from cifar_core import trainer
from cifar_core.data.resident import Splits
from cifar_core.lr_range import Ramp, sweep
from cifar_core.recipe import Adam, AdamW, Augmentation, Cosine, Net, Plateau, Recipe, Sgd
from cifar_core.stepping import train_step
from cifar_core.trainer import Training
from tests.cifar_core.lr_range.standing import standing
from tests.cifar_core.test_trainer_cuda import CUDA, gpu
from tests.cifar_core.trainings import EVERYTHING, alike, begin, finished, same
from tests.conftest import part_of

SHORT = Ramp(1e-3, 1e-2, steps=10)
MIXING = Augmentation(policy="auto", strength=0.5, mixup=0.5, cutmix=0.5)
IMPATIENT = Plateau(patience=1, divisor=2.0)
RECIPES = {
    "adam": EVERYTHING.model_copy(update={"optimizer": Adam()}),
    "momentum, cosine": EVERYTHING.model_copy(update={"schedule": Cosine()}),
    "adamw, mixing": EVERYTHING.model_copy(update={"optimizer": AdamW(), "augmentation": MIXING}),
    "plateau": EVERYTHING.model_copy(update={"schedule": IMPATIENT, "epochs": 8}),
    "nothing kept": Recipe(optimizer=Sgd(momentum=0.0), batch_size=32, epochs=3),
}
"""Between them all that a training draws and keeps."""

every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@pytest.fixture(scope="module")
def few(small_splits: Splits) -> Splits:
    """96 images to train on, 96 to validate on: three steps of 32."""
    return part_of(small_splits, 96)


@pytest.fixture(scope="module")
def left_alone(few: Splits) -> Callable[[Recipe], Training]:
    """Trains a recipe to its end without a sweep, once for all tests that compare with it."""
    return cache(lambda recipe: finished(recipe, few))


# After a sweep everything is as before


@every_recipe
def test_a_training_that_is_swept_at_every_epoch_ends_with_the_same_bits(
    recipe: Recipe, few: Splits, left_alone: Callable[[Recipe], Training]
) -> None:
    training = begin(recipe, few)
    epochs = training.epochs()
    while True:
        before = standing(training)
        sweep(training, SHORT)
        assert same(standing(training), before)
        if next(epochs, None) is None:
            break
    undisturbed = left_alone(recipe)
    assert alike(training, undisturbed)
    if recipe.schedule == IMPATIENT:  # it waited, and it went back
        assert {one.back_to is None for one in undisturbed.history} == {True, False}


def test_a_sweep_to_rates_at_which_the_network_bursts_leaves_it_as_it_was(few: Splits) -> None:
    training = begin(RECIPES["nothing kept"], few)
    next(training.epochs())
    before = standing(training)
    # From lower rates the network may die before it bursts, and then it stays at finite losses.
    assert len(sweep(training, Ramp(10.0, 1000.0, steps=20), to_the_end=True).loss) < 20
    assert same(standing(training), before)


def test_the_images_are_as_before(small_splits: Splits) -> None:
    parts = small_splits.train, small_splits.validation
    before = [each.clone() for part in parts for each in (part.images, part.labels)]
    sweep(begin(RECIPES["adamw, mixing"], small_splits), SHORT)
    assert same([each for part in parts for each in (part.images, part.labels)], before)


@every_recipe
@pytest.mark.parametrize("at", [1, 7])
def test_after_an_error_in_a_sweep_everything_is_as_before(
    at: int,
    recipe: Recipe,
    few: Splits,
    left_alone: Callable[[Recipe], Training],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = count(1)

    def fail(*arguments: Any) -> tuple[Tensor, Tensor]:
        torch.rand(3)
        if next(steps) == at:
            raise KeyboardInterrupt
        return train_step(*arguments)

    training = begin(recipe, few)
    epochs = training.epochs()
    next(epochs)
    before = standing(training)
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "train_step", fail)
        with pytest.raises(KeyboardInterrupt):
            sweep(training, SHORT)
    assert same(standing(training), before)
    list(epochs)
    assert alike(training, left_alone(recipe))


# A twin


@every_recipe
@pytest.mark.parametrize("epochs", [0, 2])
def test_a_twin_stands_where_its_training_does_and_ends_as_it_does(
    epochs: int, recipe: Recipe, few: Splits
) -> None:
    training = begin(recipe, few)
    list(islice(training.epochs(), epochs))
    twin = training.twin()
    assert alike(twin, training)
    list(twin.epochs())
    list(training.epochs())
    assert alike(twin, training)


def test_a_twin_shares_nothing_that_training_changes(few: Splits) -> None:
    training = begin(RECIPES["plateau"], few)
    next(training.epochs())
    twin = training.twin()
    for one, other in ((twin, training), (training, twin)):
        before = standing(other)
        next(one.epochs())
        list(one.steps([0.01] * 5))
        one.history.clear()
        assert same(standing(other), before)


def test_a_twin_has_the_clock_of_its_training(few: Splits) -> None:
    clock = count()
    recipe = RECIPES["nothing kept"]
    cpu = torch.device("cpu")
    training = Training(recipe, few, seed=0, device=cpu, clock=lambda: float(next(clock)))
    next(training.twin().epochs())
    assert next(clock) > 0


# Steps


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[float], Tensor]]:
    """The rates of the parameter groups, and the labels, of each step that is taken."""
    seen: list[tuple[list[float], Tensor]] = []

    def step(network: Any, optimizer: Any, images: Tensor, labels: Tensor, *rest: Any) -> Any:
        seen.append(([group["lr"] for group in optimizer.param_groups], labels))
        return train_step(network, optimizer, images, labels, *rest)

    monkeypatch.setattr(trainer, "train_step", step)
    return seen


def test_there_is_a_step_at_each_rate_in_order_and_then_no_more(
    few: Splits, taken: list[tuple[list[float], Tensor]]
) -> None:
    rates = [0.1, 0.001, 0.03, 0.03, 5.0]
    losses = list(begin(EVERYTHING, few).steps(rates))
    assert [rate for rate, _ in taken] == [[rate] for rate in rates]
    assert [loss.shape for loss in losses] == [()] * 5
    assert not any(loss.requires_grad for loss in losses)


def test_rates_are_taken_one_by_one_as_they_are_asked_for(few: Splits) -> None:
    rates = count(1)
    steps = begin(EVERYTHING, few).steps(rate / 1000 for rate in rates)
    next(steps), next(steps)
    assert next(rates) == 3


def test_the_loss_is_that_before_the_step(few: Splits) -> None:
    recipe = Recipe(network=Net(), batch_size=96)
    first, second = begin(recipe, few).steps([0.5, 0.5])
    still, _ = begin(recipe, few).steps([1e-9, 0.5])
    assert first == still
    assert second != first


def test_steps_train_the_network_in_training_mode(few: Splits) -> None:
    recipe = Recipe(network=Net(batch_norm=True), optimizer=Adam(), batch_size=96)
    training = begin(recipe, few)
    training.evaluate(few.validation)  # leaves it in evaluation mode
    losses = list(training.steps([0.01] * 15))
    assert all(one.training for one in training.network.modules())
    assert losses[-1] < losses[0] - 0.5
    assert training.history == []


def test_steps_go_through_all_images_again_and_again_in_another_order(
    few: Splits, taken: list[tuple[list[float], Tensor]]
) -> None:
    list(begin(EVERYTHING, few).steps([1e-3] * 9))
    passes = [torch.cat([labels for _, labels in taken[at : at + 3]]) for at in (0, 3, 6)]
    for one in passes:
        assert torch.equal(one.sort().values, few.train.labels.sort().values)
    assert not torch.equal(passes[0], passes[1])
    assert not torch.equal(passes[1], passes[2])


def test_the_caller_has_his_own_random_numbers_between_steps(few: Splits) -> None:
    undisturbed, training = begin(EVERYTHING, few), begin(EVERYTHING, few)
    expected = list(undisturbed.steps([1e-3] * 5))
    found = []
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for loss in training.steps([1e-3] * 5):
        found.append(loss)
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(7)
        before = torch.get_rng_state()
    assert same(found, expected)
    assert alike(training, undisturbed)


class TestOnAGpu:
    pytestmark = gpu

    @every_recipe
    def test_after_a_sweep_everything_is_as_before(self, recipe: Recipe, few: Splits) -> None:
        training = Training(recipe, few, seed=0, device=CUDA)
        torch.manual_seed(3)
        list(islice(training.epochs(), 2))
        before = standing(training)
        sweep(training, SHORT)
        assert same(standing(training), before)

    def test_a_twin_stands_where_its_training_does(self, few: Splits) -> None:
        training = Training(RECIPES["adam"], few, seed=0, device=CUDA)
        next(training.epochs())
        assert alike(training.twin(), training)
