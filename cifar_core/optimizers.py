"""Optimizers, made from a recipe's record."""

from collections.abc import Iterable
from typing import assert_never

import torch
from torch import nn

from cifar_core.recipe import Adam, AdamW, Recipe, Sgd

__all__ = ["optimizer_of"]


def optimizer_of(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer that `recipe` describes, over those of `parameters` that are trained.

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
            kind = torch.optim.Adam if isinstance(record, Adam) else torch.optim.AdamW
            return kind(
                parameters,
                lr=record.lr,
                betas=(record.beta1, record.beta2),
                weight_decay=weight_decay,
                fused=True,
            )
        case _:
            assert_never(record)
