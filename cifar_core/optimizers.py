"""Optimizers, made from a recipe's record, and their state."""

from collections.abc import Iterable
from typing import Any, assert_never

import torch
from torch import nn

from cifar_core.recipe import Adam, AdamW, Recipe, Sgd

__all__ = ["make_capturable", "optimizer_of", "plain_state"]


def optimizer_of(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the recipe's optimizer, over those of `parameters` that are trained.

    All of them run fused, one kernel for all parameters, which CUDA and the CPU both have.
    """
    parameters = [one for one in parameters if one.requires_grad]
    record, weight_decay = recipe.optimizer, recipe.weight_decay
    match record:
        case Sgd():
            return torch.optim.SGD(
                parameters,
                lr=record.lr,
                momentum=record.momentum,
                nesterov=record.nesterov,
                weight_decay=weight_decay,
                fused=True,
            )
        case Adam() | AdamW():
            kind = torch.optim.Adam if record.name == "adam" else torch.optim.AdamW
            return kind(
                parameters,
                lr=record.lr,
                betas=(record.beta1, record.beta2),
                weight_decay=weight_decay,
                fused=True,
            )
        case _:
            assert_never(record)


def make_capturable(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Prepare `optimizer` for captured steps: its learning rate becomes a tensor on `device`."""
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), device=device)
        if "capturable" in group:
            group["capturable"] = True
    # Some optimizers warn of steps that are not captured; the first ones never are.
    optimizer._warned_capturable_if_run_uncaptured = True  # noqa: SLF001


def plain_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the state of `optimizer`, the same whether or not it was made capturable."""
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        group["lr"] = float(group["lr"])
        if "capturable" in group:
            group["capturable"] = False
    return state
