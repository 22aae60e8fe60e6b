"""A training step launches few kernels: on a GPU, small networks wait for launches, not for arithmetic."""

from typing import Any
from unittest import mock

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from cifar_core import stepping, trainer
from cifar_core.recipe import Augmentation, Net, Recipe, Sgd, SpeedNet
from cifar_core.trainer import Training
from tests.cifar_core.launches import Launches
from tests.cifar_core.waiting import META, empty_splits, trainable_on_meta

STANDARD = Augmentation(flip=0.5, crop_padding=4, cutout=8)
RECIPES = {
    "net": Recipe(augmentation=STANDARD),
    "net, batch norm": Recipe(network=Net(batch_norm=True), augmentation=STANDARD),
    "speednet": Recipe(
        network=SpeedNet(),
        optimizer=Sgd(nesterov=True),
        normalization="standard",
        label_smoothing=0.1,
        augmentation=STANDARD,
    ),
}


def launches_of_an_epoch(recipe: Recipe, steps: int) -> int:
    """The kernels of an epoch without its validation."""
    with trainable_on_meta():
        splits = empty_splits(META, steps * recipe.batch_size)
        training = Training(recipe, splits, seed=0, device=META, clock=lambda: 0.0)
        with (
            mock.patch.object(trainer, "evaluate", return_value=(0.0, 0.0)),
            mock.patch.object(torch.Tensor, "item", return_value=1.0),
            Launches() as launches,
        ):
            next(training.epochs())
    return launches.total


@pytest.mark.parametrize(
    ("name", "most"), [("net", 37.0), ("net, batch norm", 46.0), ("speednet", 52.0)]
)
def test_a_step_launches_at_most(name: str, most: float) -> None:
    """The figures of `docs/PERFORMANCE.md`: steps of 64 images, with augmentation and normalisation."""
    recipe = RECIPES[name]
    few, many = (launches_of_an_epoch(recipe, steps) for steps in (8, 64 + 8))
    assert (many - few) / 64 <= most


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_the_loss_with_few_kernels_is_pytorchs_but_for_rounding(smoothing: float) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(32, 10, requires_grad=True), torch.randint(10, (32,))
    found, gradients = [], []
    for fewer in (False, True):
        loss: Any = stepping._loss(logits, labels, smoothing, fewer)
        found.append(loss.item())
        gradients.append(torch.autograd.grad(loss, logits)[0])
    expected = F.cross_entropy(logits, labels, label_smoothing=smoothing).item()
    assert found == pytest.approx([expected] * 2, rel=1e-6)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-7)


def test_a_kernel_too_many_is_counted() -> None:
    """Without this the figures above could be low because nothing is counted."""
    recipe = RECIPES["net"]
    before = launches_of_an_epoch(recipe, 8)
    step = trainer.train_step

    def doubled(*arguments: Any) -> Any:
        loss, logits = step(*arguments)
        return loss * 2.0, logits

    with mock.patch.object(trainer, "train_step", doubled):
        assert launches_of_an_epoch(recipe, 8) == before + 8
