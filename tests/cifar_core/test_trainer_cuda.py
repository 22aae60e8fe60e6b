"""Training on a GPU: placement is tested with fake tensors everywhere, the rest where there is one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from cifar_core import trainer
from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Normalization, Part, Splits, training_batches
from cifar_core.device import Backend, settle_on
from cifar_core.models import network_of
from cifar_core.optimizers import optimizer_of
from cifar_core.recipe import Adam, Cosine, Net, Recipe, Sgd
from cifar_core.trainer import Training, evaluate
from tests.cifar_core.trainings import EVERYTHING, same

CUDA = torch.device("cuda", 0)
gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]
"""Marks of a test that needs a GPU, and the reason where it is skipped."""


# With fake tensors, which raise where an operation mixes devices


@pytest.fixture
def fake_splits() -> Iterator[Splits]:
    """Images on a GPU that need not be there; all within is fake."""
    with FakeTensorMode(), CUDA:
        train, validation = (
            Part(torch.zeros(count, 3, 32, 32, dtype=torch.uint8), torch.zeros(count).long())
            for count in (70, 33)
        )
        yield Splits(train, validation, (120.0, 121.0, 122.0), (60.0, 61.0, 62.0), "digest")


@pytest.mark.parametrize("normalization", ["symmetric", "standard"])
def test_batches_are_made_where_the_images_are(fake_splits: Splits, normalization: str) -> None:
    recipe = EVERYTHING.model_copy(update={"normalization": normalization})
    normalize = Normalization.of(recipe, fake_splits)
    augmentation, choices = recipe.augmentation, np.random.default_rng(0)
    batches = training_batches(fake_splits.train, 32, augmentation, normalize, None, choices, 64)
    found = list(batches)
    assert [(images.shape[0], labels.shape[0]) for images, labels in found] == [(32, 32)] * 2
    for images, labels in found:
        assert images.device == labels.device == CUDA
        assert images.dtype == torch.float32


@pytest.mark.parametrize("network", [Net(), EVERYTHING.network], ids=["plain", "everything"])
def test_networks_run_where_the_images_are(fake_splits: Splits, network: Net) -> None:
    normalize = Normalization.of(EVERYTHING, fake_splits)
    logits = network_of(network)(normalize(fake_splits.train.images))
    assert (logits.shape, logits.device) == ((70, 10), CUDA)


def test_evaluation_stays_on_the_device_until_its_sums_are_read(fake_splits: Splits) -> None:
    """Reading a number is the one thing that fake tensors cannot do, and it comes last."""
    backend = Backend(CUDA, None, 10)
    network, calls = network_of(EVERYTHING.network), []
    network.register_forward_hook(lambda *_: calls.append(1))
    normalize = Normalization.of(EVERYTHING, fake_splits)
    with pytest.raises(DataDependentOutputException, match="_local_scalar_dense"):
        evaluate(network, fake_splits.validation, normalize, backend)
    assert len(calls) == 4  # all batches of 33 images


@pytest.mark.parametrize("optimizer", [Sgd(), Adam()], ids=lambda one: one.name)
def test_fused_optimizers_take_weights_on_a_gpu(fake_splits: Splits, optimizer: Any) -> None:
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

    @pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
    def test_no_step_of_an_epoch_makes_the_host_wait(
        self, small_splits: Splits, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def watched(*arguments: Any) -> Iterator[tuple[Tensor, Tensor]]:
            torch.cuda.set_sync_debug_mode("error")
            try:
                yield from training_batches(*arguments)
            finally:  # the sums are read behind the last batch
                torch.cuda.set_sync_debug_mode("default")

        training = on_gpu(EVERYTHING, small_splits)
        epochs = training.epochs()
        next(epochs)  # libraries start up, optimizers make their states
        monkeypatch.setattr(trainer, "training_batches", watched)
        next(epochs)

    @pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
    def test_evaluation_makes_the_host_wait_only_for_its_sums(
        self, small_splits: Splits, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        training = on_gpu(QUICK, small_splits)
        training.evaluate(small_splits.validation)
        item, read = Tensor.item, []

        def allowed(self: Tensor) -> object:
            torch.cuda.set_sync_debug_mode("default")
            read.append(self)
            return item(self)

        monkeypatch.setattr(Tensor, "item", allowed)
        part = small_splits.validation.to(CUDA)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            training.evaluate(part)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert len(read) == 2
