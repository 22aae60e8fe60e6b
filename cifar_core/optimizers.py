"""Optimizers, made from a recipe's record."""

from collections.abc import Iterable
from typing import assert_never

import torch
from torch import nn

from cifar_core.recipe import Adam, AdamW, Optimizer, Sgd

__all__ = ["optimizer_of"]


def optimizer_of(record: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer that `record` describes, over `parameters`.

    All of them run fused, one kernel for all parameters, which CUDA and the CPU both have.
    """
    match record:
        case Sgd():
            return torch.optim.SGD(
                parameters,
                lr=record.lr,
                momentum=record.momentum,
                nesterov=record.nesterov,
                weight_decay=record.weight_decay,
                fused=True,
            )
        case Adam() | AdamW():
            kind = torch.optim.Adam if isinstance(record, Adam) else torch.optim.AdamW
            return kind(
                parameters,
                lr=record.lr,
                betas=(record.beta1, record.beta2),
                weight_decay=record.weight_decay,
                fused=True,
            )
        case _:
            assert_never(record)
