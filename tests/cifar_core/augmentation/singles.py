"""Operations one image at a time, to recompute by what batches were made."""

from __future__ import annotations

import torch
from torch import Tensor

from cifar_core.augmentation.assignment import IDENTITY
from cifar_core.augmentation.operations import COLOUR, FIXED, GEOMETRIC, OPERATIONS, warp

LEVELS = 1
"""Sums over a batch and over one image may differ in the last bit, and so round apart."""


def operated(image: Tensor, operation: int, amount: float) -> Tensor:
    """The image (3, H, W) after one of `OPERATIONS`."""
    if operation == IDENTITY:
        return image
    name, by = OPERATIONS[operation], torch.tensor([amount], dtype=torch.float32)
    if name in FIXED:
        return FIXED[name](image[None])[0]
    if name in COLOUR:
        return COLOUR[name](image[None], by)[0]
    return warp(image[None], **{each: by * (each == name) for each in GEOMETRIC})[0]
