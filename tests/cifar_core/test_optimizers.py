"""Each optimizer takes the steps that PyTorch's plain one takes with the same settings."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cifar_core.optimizers import optimizer_of
from cifar_core.recipe import Adam, AdamW, Optimizer, Recipe, Sgd

CASES: list[tuple[Optimizer, Callable[..., torch.optim.Optimizer], dict[str, Any]]] = [
    (Sgd(lr=0.1, momentum=0.0), torch.optim.SGD, {"lr": 0.1}),
    (
        Sgd(lr=0.1, momentum=0.8, weight_decay=0.01),
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.01},
    ),
    (
        Sgd(lr=0.1, momentum=0.8, nesterov=True),
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.8, "nesterov": True},
    ),
    (
        Adam(lr=0.01, beta1=0.8, beta2=0.95, weight_decay=0.1),
        torch.optim.Adam,
        {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1},
    ),
    (
        AdamW(lr=0.01, beta1=0.8, beta2=0.95, weight_decay=0.1),
        torch.optim.AdamW,
        {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1},
    ),
]


def weights() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(6, 3, 5, 5), (20, 30), (20,)]
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def walk(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], steps: int = 12) -> None:
    """Some steps with random gradients, the rate changing as a schedule changes it."""
    generator = torch.Generator().manual_seed(1)
    lr = optimizer.param_groups[0]["lr"]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        for each in parameters:
            each.grad = torch.randn(each.shape, generator=generator)
        optimizer.step()


@pytest.mark.parametrize(("record", "kind", "settings"), CASES, ids=lambda value: str(value)[:60])
def test_an_optimizer_takes_pytorchs_steps(
    record: Optimizer, kind: Callable[..., torch.optim.Optimizer], settings: dict[str, Any]
) -> None:
    mine, its, start = weights(), weights(), weights()
    walk(optimizer_of(Recipe(optimizer=record), mine), mine)
    walk(kind(its, **settings, foreach=False, fused=False), its)
    for ours, theirs, before in zip(mine, its, start, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert not torch.allclose(ours, before, atol=1e-3)


@pytest.mark.parametrize("record", [record for record, _, _ in CASES], ids=str)
def test_the_optimizer_runs_fused(record: Optimizer) -> None:
    (group,) = optimizer_of(Recipe(optimizer=record), weights()).param_groups
    assert group["fused"] is True


@pytest.mark.parametrize("record", [Sgd(), Adam(), AdamW()], ids=lambda record: record.name)
def test_a_default_optimizer_has_pytorchs_defaults(record: Optimizer) -> None:
    """But for momentum, which the tutorial sets, and SGD's rate."""
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    mine = optimizer_of(Recipe(optimizer=record), weights()).param_groups[0]
    its = kind[record.name](weights()).param_groups[0]
    differing = {key for key in mine if key != "params" and mine[key] != its[key]}
    assert differing == ({"fused", "momentum"} if record.name == "sgd" else {"fused"})


@pytest.mark.parametrize("kind", [Sgd, Adam, AdamW], ids=lambda kind: kind.__name__)
def test_weight_decay_can_be_given_for_each_image_of_a_batch(kind: type[Any]) -> None:
    """As in "5e-4 times the batch size": 0.032 for batches of 64, beside what is fixed."""
    record = kind(weight_decay=0.001, weight_decay_per_image=5e-4)
    (group,) = optimizer_of(Recipe(optimizer=record, batch_size=64), weights()).param_groups
    assert group["weight_decay"] == pytest.approx(0.033)


def test_what_is_frozen_is_not_trained() -> None:
    parameters = weights()
    parameters[1].requires_grad_(False)
    (group,) = optimizer_of(Recipe(), parameters).param_groups
    assert [len(one) for one in group["params"]] == [6, 20]
