"""A recipe's augmentation of single images, one operation after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cifar_core.augmentation.geometry import crop, cutout, flip
from cifar_core.augmentation.policies import policy

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from cifar_core.recipe import Augmentation

__all__ = ["augment"]


def augment(
    images: Tensor,
    record: Augmentation,
    generator: torch.Generator | None,
    choices: np.random.Generator,
) -> Tensor:
    """Flip, crop, recolour and cut out, as far as the record asks for it.

    Args:
        images: uint8 images in random order (see `policies`), shape ``(B, 3, H, W)``.
        record: What is done, and how strongly.
        generator: Source of the draws that stay on the images' device; None is its default one.
        choices: Source of the draws that decide what is computed.

    Returns:
        uint8 images of the same shape, the given ones untouched; the very same tensor if all is off.
    """
    images = flip(images, record.flip, generator)
    images = crop(images, record.crop_padding, generator, record.crop_fill)
    images = policy(images, record.policy, record.strength, record.probability, generator, choices)
    return cutout(images, record.cutout, generator)
