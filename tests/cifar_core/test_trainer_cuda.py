"""Training on a GPU. What can be proved without one is in `test_waiting.py`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Splits
from cifar_core.device import settle_on
from cifar_core.models import network_of
from cifar_core.optimizers import optimizer_of
from cifar_core.recipe import Adam, Cosine, Net, Recipe, Sgd
from cifar_core.trainer import Training
from tests.cifar_core.trainings import EVERYTHING, same

CUDA = torch.device("cuda", 0)
gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]
"""Marks of a test that needs a GPU, and the reason where it is skipped."""


@pytest.mark.parametrize("optimizer", [Sgd(), Adam()], ids=lambda one: one.name)
def test_fused_optimizers_take_weights_on_a_gpu_that_is_not_there(optimizer: Any) -> None:
    with FakeTensorMode(), CUDA:
        made = optimizer_of(Recipe(optimizer=optimizer), network_of(Net()).parameters())
    assert {each.device for each in made.param_groups[0]["params"]} == {CUDA}


# With a GPU


QUICK = Recipe(
    network=Net(batch_norm=True),
    optimizer=Adam(lr=0.003),
    schedule=Cosine(),
    batch_size=20,
    epochs=6,
)


def on_gpu(recipe: Recipe, splits: Splits, seed: int = 0) -> Training:
    settle_on(CUDA)
    return Training(recipe, splits, seed=seed, device=CUDA, clock=lambda: 0.0)


class TestOnAGpu:
    pytestmark = gpu

    def test_training_in_bfloat16_learns(self, small_splits: Splits) -> None:
        training = on_gpu(QUICK, small_splits)
        assert list(training.epochs())[-1].validation_accuracy > 0.9
        assert all(each.dtype == torch.float32 for each in training.network.parameters())

    def test_real_images_are_learned_in_three_epochs(self, real_splits: Splits) -> None:
        recipe = QUICK.model_copy(
            update={"epochs": 3, "batch_size": 32, "normalization": "standard"}
        )
        assert list(on_gpu(recipe, real_splits).epochs())[-1].validation_accuracy > 0.35

    def test_it_does_what_the_cpu_does_but_for_rounding(self, small_splits: Splits) -> None:
        recipe = QUICK.model_copy(update={"precision": "float32"})
        cpu = Training(recipe, small_splits, seed=0, device=torch.device("cpu"))
        cuda = on_gpu(recipe, small_splits)
        cuda.network.load_state_dict(cpu.network.state_dict())
        loss, accuracy = cpu.evaluate(small_splits.validation)
        found_loss, found_accuracy = cuda.evaluate(small_splits.validation)
        assert found_loss == pytest.approx(loss, abs=0.01)
        assert found_accuracy == pytest.approx(accuracy, abs=0.03)

    def test_a_resumed_run_goes_on_with_the_same_random_numbers(
        self, small_splits: Splits, tmp_path: Path
    ) -> None:
        """Sums on a GPU may come in any order, so losses agree closely and not to the bit."""
        recipe = EVERYTHING.model_copy(update={"precision": "float32", "optimizer": Adam()})
        whole = on_gpu(recipe, small_splits)
        epochs = whole.epochs()
        next(epochs)
        save_state(whole.state_dict(), tmp_path / "state.pt")
        resumed = on_gpu(recipe, small_splits)
        resumed.load_state_dict(load_state(tmp_path / "state.pt"))
        for expected, found in zip(epochs, resumed.epochs(), strict=True):
            assert found.train_loss == pytest.approx(expected.train_loss, rel=0.02)
        assert same(whole.state_dict()["random"], resumed.state_dict()["random"])

    def test_a_state_from_the_gpu_can_be_looked_at_without_one(
        self, small_splits: Splits, tmp_path: Path
    ) -> None:
        training = on_gpu(QUICK, small_splits)
        next(training.epochs())
        save_state(training.state_dict(), tmp_path / "state.pt")
        weights = load_state(tmp_path / "state.pt")["network"].values()
        assert {each.device.type for each in weights} == {"cpu"}

    def test_global_random_numbers_of_all_devices_are_left_as_they_were_found(
        self, small_splits: Splits
    ) -> None:
        torch.manual_seed(3)
        before = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
        training = on_gpu(EVERYTHING, small_splits)
        next(training.epochs())
        assert same([torch.get_rng_state(), *torch.cuda.get_rng_state_all()], before)
