"""AutoAugment's policy for CIFAR-10: 25 pairs of operations found by search.

Cubuk et al. 2018, arXiv 1805.09501: the pairs are those of the appendix, the ranges those of table 6,
both as torchvision has them. Two things differ from torchvision: images are sheared about their
centre, not about a corner, and rotated and sheared images are interpolated, so that an amount near
0 changes little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cifar_core.augmentation.assignment import IDENTITY, apply_in_turn
from cifar_core.augmentation.operations import FIXED, OPERATIONS
from cifar_core.augmentation.shifts import whole_pixels

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch
    from torch import Tensor

__all__ = ["LARGEST", "PAIRS", "Step", "auto"]


class Step(NamedTuple):
    """One half of a pair.

    Attributes:
        operation: One of `OPERATIONS`.
        probability: Share of the pair's images that get it, in [0, 1].
        level: Its magnitude, 0-9, as the paper numbers them; of no meaning for `FIXED` ones.
    """

    operation: str
    probability: float
    level: int = 0

    @property
    def amount(self) -> float:
        """Amount of the operation at full strength, in its own unit; its sign is drawn."""
        # Level 0 of solarize is a threshold of 255, which inverts white; no inversion is 256.
        offset = 1.0 if self.operation == "solarize" else 0.0
        return offset + self.level / 9 * LARGEST.get(self.operation, 0.0)


LARGEST = {
    "rotate": 30.0,
    "shear_y": 0.3,
    "translate_x": 150 / 331,
    "translate_y": 150 / 331,
    "brightness": 0.9,
    "contrast": 0.9,
    "saturation": 0.9,
    "sharpness": 0.9,
    "posterize": 4.0,
    "solarize": 255.0,
}
"""Amounts at level 9; smaller levels are in proportion."""

PAIRS = (
    (Step("invert", 0.1), Step("contrast", 0.2, 6)),
    (Step("rotate", 0.7, 2), Step("translate_x", 0.3, 9)),
    (Step("sharpness", 0.8, 1), Step("sharpness", 0.9, 3)),
    (Step("shear_y", 0.5, 8), Step("translate_y", 0.7, 9)),
    (Step("autocontrast", 0.5), Step("equalize", 0.9)),
    (Step("shear_y", 0.2, 7), Step("posterize", 0.3, 7)),
    (Step("saturation", 0.4, 3), Step("brightness", 0.6, 7)),
    (Step("sharpness", 0.3, 9), Step("brightness", 0.7, 9)),
    (Step("equalize", 0.6), Step("equalize", 0.5)),
    (Step("contrast", 0.6, 7), Step("sharpness", 0.6, 5)),
    (Step("saturation", 0.7, 7), Step("translate_x", 0.5, 8)),
    (Step("equalize", 0.3), Step("autocontrast", 0.4)),
    (Step("translate_y", 0.4, 3), Step("sharpness", 0.2, 6)),
    (Step("brightness", 0.9, 6), Step("saturation", 0.2, 8)),
    (Step("solarize", 0.5, 2), Step("invert", 0.0)),
    (Step("equalize", 0.2), Step("autocontrast", 0.6)),
    (Step("equalize", 0.2), Step("equalize", 0.6)),
    (Step("saturation", 0.9, 9), Step("equalize", 0.6)),
    (Step("autocontrast", 0.8), Step("solarize", 0.2, 8)),
    (Step("brightness", 0.1, 3), Step("saturation", 0.7, 0)),
    (Step("solarize", 0.4, 5), Step("autocontrast", 0.9)),
    (Step("translate_y", 0.9, 9), Step("translate_y", 0.7, 9)),
    (Step("autocontrast", 0.9), Step("solarize", 0.8, 3)),
    (Step("equalize", 0.8), Step("invert", 0.1)),
    (Step("translate_y", 0.7, 9), Step("autocontrast", 0.9)),
)
"""The pairs, equally likely; the second operation works on what the first has made."""

_STEPS = tuple(zip(*PAIRS, strict=True))  # (2, 25)
_OPERATIONS = np.array([[OPERATIONS.index(each.operation) for each in row] for row in _STEPS])
_PROBABILITIES = np.array([[each.probability for each in row] for row in _STEPS])
_AMOUNTS = np.array([[each.amount for each in row] for row in _STEPS])
_FIXED = np.array([[each.operation in FIXED for each in row] for row in _STEPS])


def auto(
    images: Tensor,
    strength: float,
    generator: torch.Generator | None,
    choices: np.random.Generator,
) -> Tensor:
    """Apply to each image one of AutoAugment's 25 pairs of operations, drawn uniformly.

    Each of the two is applied with its own probability and the sign of its amount is drawn. Strength
    1 is the published policy. Below it, an operation with an amount gets that share of the amount,
    and one without (autocontrast, equalize, invert) is applied that share as often: both ways the
    policy comes down to the identity.

    Args:
        images: uint8 images in random order, shape ``(B, 3, H, W)``.
        strength: In (0, 1].
        generator: Not used: all draws are among few values, and made on the host.
        choices: Draws pairs, whether their operations are applied, and signs.

    Returns:
        New uint8 images of the same shape.
    """
    height, width = images.shape[2:]
    operations, amounts = _drawn(len(images), strength, choices)
    amounts = whole_pixels(operations, amounts, height, width)
    return apply_in_turn(images, np.arange(len(images)), operations, amounts)


def _drawn(
    count: int, strength: float, choices: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Operations and amounts for `apply_in_turn`, both (2, count)."""
    pairs = choices.integers(len(PAIRS), size=count)
    probabilities = np.where(_FIXED, strength * _PROBABILITIES, _PROBABILITIES)
    applied = choices.random((2, count)) < probabilities[:, pairs]
    operations = np.where(applied, _OPERATIONS[:, pairs], IDENTITY)
    signs = 1 - 2 * choices.integers(2, size=(2, count))
    amounts = strength * signs * _AMOUNTS[:, pairs]
    # The images are in random order already; in this one the first step need not move them.
    order = np.argsort(operations[0], kind="stable")
    return operations[:, order], amounts[:, order]
