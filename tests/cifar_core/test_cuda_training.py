"""What only a GPU can show of a training: equal draws, two precisions, and that no step is waited for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from cifar_core import trainer
from cifar_core.data.resident import Splits
from cifar_core.device import settle_on
from cifar_core.lr_range import Ramp, sweep
from cifar_core.lr_range.sweep import CHECK_EVERY
from cifar_core.recipe import Adam, Augmentation, Recipe, Sgd, SpeedNet
from cifar_core.trainer import Training
from tests.cifar_core.test_trainer_cuda import CUDA, QUICK, gpu, on_gpu
from tests.cifar_core.test_waiting import HARMLESS, WAITING
from tests.cifar_core.trainings import EVERYTHING, same
from tests.test_conformance import augmentations

pytestmark = gpu

Batch = tuple[Tensor, Tensor]
SPEED = Recipe(
    network=SpeedNet(),
    optimizer=Sgd(nesterov=True),
    batch_size=20,
    label_smoothing=0.1,
    normalization="standard",
)
NOT_SEEN_BY_CUDA = {
    "an unpinned copy",  # the driver waits, of which PyTorch knows nothing
    "an unpinned copy into place",
    "a copy to pinned memory",  # nothing waits, but the host then reads what may not be there yet
    "a boolean assignment",  # of one number, for which PyTorch takes masked_fill by itself
}
"""What `waiting.py` refuses for other reasons than a wait that PyTorch itself would report."""


def batches_of(training: Training, monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """All that an epoch's steps are given, copied."""
    seen: list[Batch] = []
    step = trainer.train_step

    def noting(
        network: Any, optimizer: Any, images: Tensor, labels: Tensor, *rest: Any
    ) -> tuple[Tensor, Tensor]:
        seen.append((images.clone(), labels.clone()))
        return step(network, optimizer, images, labels, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "train_step", noting)
        next(training.epochs())
    return seen


@contextmanager
def only_these_reads(monkeypatch: pytest.MonkeyPatch, *names: str) -> Iterator[list[str]]:
    """Whatever waits is an error of CUDA's; reads by these methods of tensors are allowed and counted."""
    read: list[str] = []

    def allowing(name: str) -> Callable[..., object]:
        method = getattr(Tensor, name)

        def allowed(self: Tensor, *arguments: Any) -> object:
            mode = torch.cuda.get_sync_debug_mode()
            torch.cuda.set_sync_debug_mode("default")
            try:
                if self.is_cuda:
                    read.append(name)
                return method(self, *arguments)
            finally:
                torch.cuda.set_sync_debug_mode(mode)

        return allowed

    with monkeypatch.context() as patched:
        for name in names:
            patched.setattr(Tensor, name, allowing(name))
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield read
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("augmentation", augmentations().values(), ids=augmentations())
def test_one_seed_gives_the_same_batches_to_the_bit(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch, augmentation: Augmentation
) -> None:
    recipe = QUICK.model_copy(update={"augmentation": augmentation})
    first, second, other = (
        batches_of(on_gpu(recipe, small_splits, seed), monkeypatch) for seed in (3, 3, 4)
    )
    assert len(first) == len(small_splits.train) // recipe.batch_size
    assert same(first, second)
    assert not same(first, other)


@pytest.mark.filterwarnings("ignore:.*deterministic")
def test_one_seed_gives_nearly_the_same_losses(small_splits: Splits) -> None:
    """Some sums have no fixed order even where PyTorch is asked for it; what it can fix, it does here."""
    recipe = EVERYTHING.model_copy(update={"precision": "float32", "optimizer": Adam()})
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        first, second = (list(on_gpu(recipe, small_splits).epochs()) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    for one, other in zip(first, second, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=0.02)
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=0.05)


def test_bfloat16_and_float32_agree_over_the_first_steps(small_splits: Splits) -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        training = on_gpu(QUICK.model_copy(update={"precision": precision}), small_splits)
        losses[precision] = torch.stack(list(training.steps([0.001] * 8))).tolist()
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.03)
    assert losses["bfloat16"] != losses["float32"]  # they are two precisions, after all


@pytest.mark.parametrize("recipe", [QUICK, SPEED], ids=["quick", "speed"])
def test_captured_steps_have_the_losses_of_others_from_equal_weights(
    small_splits: Splits, recipe: Recipe
) -> None:
    """This decides about `device.CAPTURE_STEPS`, with the speed that `bench.gpu` measures."""
    settle_on(CUDA)
    recipe, losses = recipe.model_copy(update={"precision": "float32"}), []
    for captures in (True, False):
        training = Training(recipe, small_splits, seed=0, device=CUDA, capture_steps=captures)
        losses.append(torch.stack(list(training.steps([0.001] * 10))).tolist())
        assert training.not_captured is None
        assert (training._capture is not None) == captures
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)


@pytest.mark.parametrize("recipe", [QUICK, EVERYTHING], ids=["quick", "everything"])
def test_captured_epochs_learn_and_their_state_is_taken_over_by_others(
    small_splits: Splits, recipe: Recipe
) -> None:
    captured = Training(recipe, small_splits, seed=0, device=CUDA, capture_steps=True)
    plain = on_gpu(recipe, small_splits)
    history = list(captured.epochs())
    assert captured.not_captured is None
    for found, expected in zip(history, plain.epochs(), strict=True):
        assert found.train_loss == pytest.approx(expected.train_loss, rel=0.1)
    other = on_gpu(recipe, small_splits)
    other.load_state_dict(captured.state_dict())
    assert other.evaluate(small_splits.validation)[0] == pytest.approx(
        history[-1].validation_loss, rel=0.01
    )


@pytest.mark.parametrize("recipe", [QUICK, EVERYTHING], ids=["quick", "everything"])
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_an_epoch_makes_the_host_wait_for_its_four_sums_alone(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    epochs = on_gpu(recipe, small_splits).epochs()
    next(epochs)  # libraries start up, optimizers make their states
    with only_these_reads(monkeypatch, "item") as read:
        next(epochs)
    assert read == ["item"] * 4


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_a_step_that_reads_is_an_error_of_cudas(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without this the tests above could pass because nobody looks."""
    training = on_gpu(QUICK, small_splits)
    epochs = training.epochs()
    next(epochs)
    training.network.register_forward_hook(lambda *args: args[-1][args[-1] > -99].view(-1, 10))
    with (
        only_these_reads(monkeypatch, "item"),
        pytest.raises(RuntimeError, match="synchronizing CUDA operation"),
    ):
        next(epochs)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_a_sweep_makes_the_host_wait_once_every_so_many_steps_and_at_its_end(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = on_gpu(QUICK, small_splits)
    list(training.steps([0.001] * 2))  # libraries start up
    monkeypatch.setattr(training, "twin", lambda: training)  # making a training waits
    ramp = Ramp(low=1e-5, high=1e-4, steps=3 * CHECK_EVERY)
    with only_these_reads(monkeypatch, "tolist", "cpu") as read:
        found = sweep(training, ramp)
    assert len(found.loss) == 3 * CHECK_EVERY
    assert read == ["tolist"] * 3 + ["cpu"]


@pytest.mark.skipif(
    not hasattr(torch.cuda, "host_memory_stats"), reason="this PyTorch does not count pinned memory"
)
def test_pinned_memory_is_reused_and_does_not_grow(small_splits: Splits) -> None:
    """What is sent to a GPU lies in memory that the system cannot swap out; a block is used again."""
    recipe = QUICK.model_copy(update={"augmentation": Augmentation(policy="auto", strength=1.0)})
    epochs = on_gpu(recipe, small_splits).epochs()
    held = []
    for _ in range(4):
        next(epochs)
        torch.cuda.synchronize(CUDA)
        held.append(torch.cuda.host_memory_stats()["allocated_bytes.current"])
    assert held[-1] <= 2 * held[0] + 2**20


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_cuda_agrees_with_the_watch_about_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    values, waiting = torch.ones(4, device=CUDA), set()
    for name, does in (WAITING | HARMLESS).items():
        try:
            with only_these_reads(monkeypatch):
                does(values)
        except RuntimeError as error:
            assert "synchronizing CUDA operation" in str(error)  # noqa: PT017 - others may not wait
            waiting.add(name)
    assert waiting == WAITING.keys() - NOT_SEEN_BY_CUDA
