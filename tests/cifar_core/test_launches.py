"""A training step launches few kernels: on a GPU, small networks wait for launches, not for arithmetic."""

from typing import Any
from unittest import mock

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from bench.launches import RECIPES, launches_of_an_epoch, launches_of_steps
from cifar_core import stepping, trainer


@pytest.mark.parametrize(
    ("name", "most"),
    [
        pytest.param("net", 35.0, marks=pytest.mark.slow),
        ("net, batch norm", 44.0),
        pytest.param("speednet", 50.0, marks=pytest.mark.slow),
    ],
)
def test_a_step_launches_at_most(name: str, most: float) -> None:
    """The figures of `docs/PERFORMANCE.md`, which `python -m bench.launches` prints."""
    assert sum(launches_of_steps(RECIPES[name]).values()) <= most


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
    before = launches_of_an_epoch(recipe, 8).total()
    step = trainer.train_step

    def doubled(*arguments: Any) -> Any:
        loss, logits = step(*arguments)
        return loss * 2.0, logits

    with mock.patch.object(trainer, "train_step", doubled):
        assert launches_of_an_epoch(recipe, 8).total() == before + 8
