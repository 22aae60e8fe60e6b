"""The policies by name: which colour and geometry operations an image gets.

**The images of a batch must be in random order**, as a shuffling loader gives them. Then the first
k rows are a random choice of k images, and which images get an operation can follow from how
many do: independent draws for each image, sorted by their outcome, are the same in distribution.
That holds once per batch. A second augmentation that went by the order of the rows would meet the
same images again, which is why `geometry` draws for each row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cifar_core.augmentation.augmix import augmix
from cifar_core.augmentation.auto import auto
from cifar_core.augmentation.layout import joined
from cifar_core.augmentation.trivial import trivial

if TYPE_CHECKING:
    import numpy as np

__all__ = ["POLICIES", "Policy", "policy"]

Policy = Callable[[Tensor, float, "torch.Generator | None", "np.random.Generator"], Tensor]

POLICIES: dict[str, Policy] = {"trivial": trivial, "auto": auto, "augmix": augmix}
"""Each takes images, a strength above 0, and the two sources of draws, and gives new images."""


def policy(
    images: Tensor,
    name: str,
    strength: float,
    probability: float,
    generator: torch.Generator | None,
    choices: np.random.Generator,
) -> Tensor:
    """Apply a policy to a share of the images, each drawn independently.

    Args:
        images: uint8 images in random order, shape ``(B, 3, H, W)``.
        name: A key of `POLICIES`.
        strength: What the policy's operations are scaled by, in [0, 1]; 0 returns ``images``.
        probability: Share of the images that it is applied to, in [0, 1]; 0 returns ``images``.
        generator: Source of the draws that stay on the images' device; None is its default one.
        choices: Source of the draws that decide what is computed.

    Returns:
        uint8 images of the same shape, the given ones untouched.
    """
    if strength == 0 or probability == 0:
        return images
    count = int(choices.binomial(len(images), probability))
    if count == 0:
        return images
    treated = POLICIES[name](images[:count], strength, generator, choices)
    return treated if count == len(images) else joined([treated, images[count:]])
