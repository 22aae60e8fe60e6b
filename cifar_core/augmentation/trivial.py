"""One random operation per image, after TrivialAugment (Müller & Hutter 2021, arXiv 2103.10158)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cifar_core.augmentation.assignment import apply_once

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LARGEST", "trivial"]

# All but two are those of TrivialAugment's standard space (github.com/automl/trivialaugment: rotate
# 30, shear 0.3, factors 0.1 to 1.9, solarize 256): translations reach 8 of 32 pixels, not 10, and
# posterize keeps at least 4 bits, as in torchvision's RandAugment.
LARGEST = {
    "rotate": 30.0,
    "shear_x": 0.3,
    "shear_y": 0.3,
    "translate_x": 0.25,
    "translate_y": 0.25,
    "brightness": 0.9,
    "contrast": 0.9,
    "saturation": 0.9,
    "solarize": 256.0,
    "posterize": 4.0,
}
"""The operations, each with its largest amount; an eleventh is the identity."""

KINDS = len(LARGEST) + 1


def trivial(
    images: Tensor,
    strength: float,
    generator: torch.Generator | None,
    choices: np.random.Generator,
) -> Tensor:
    """Apply to each image one random operation with a random magnitude.

    The operation is drawn uniformly, its amount uniformly between minus and plus ``strength`` times
    its largest.

    Args:
        images: uint8 images in random order, shape ``(B, 3, H, W)``.
        strength: Scales every operation's largest amount, in (0, 1].
        generator: Draws the magnitudes, on the images' device.
        choices: Draws how many images get which operation.

    Returns:
        New uint8 images of the same shape.
    """
    counts = choices.multinomial(len(images), [1 / KINDS] * KINDS).tolist()
    draws = torch.rand(len(images), device=images.device, generator=generator)  # (B,) in [0, 1)
    parts = (strength * (2 * draws - 1)).split_with_sizes(counts)
    amounts = {
        name: largest * part for (name, largest), part in zip(LARGEST.items(), parts, strict=False)
    }  # the identity's images are the rest
    return apply_once(images, amounts)
