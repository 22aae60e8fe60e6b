"""AugMix: each image blended with chains of operations on it (Hendrycks et al. 2019, 1912.02781).

Section 3 and its algorithm 1, without the loss that compares several versions of an image. The
operations exclude those that CIFAR-10-C tests robustness by. Their ranges and the severity of 3 in 10
are those of the authors' code (github.com/google-research/augmix), except that images are sheared
about their centre and degrees are not cut down to whole ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from cifar_core.augmentation.assignment import IDENTITY, apply_in_turn
from cifar_core.augmentation.operations import OPERATIONS
from cifar_core.augmentation.shifts import whole_pixels
from cifar_core.device import sent

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

__all__ = ["CHAINS", "LENGTH", "RANGES", "SEVERITIES", "augmix"]

CHAINS = 3
"""Chains that are blended with each image."""

LENGTH = 3
"""Operations in a chain at most; each number from 1 is equally likely."""

RANGES = {
    "rotate": (0.0, 30.0),
    "shear_x": (0.0, 0.3),
    "shear_y": (0.0, 0.3),
    "translate_x": (0.0, 1 / 3),
    "translate_y": (0.0, 1 / 3),
    "posterize": (4.0, 8.0),
    "solarize": (0.0, 256.0),
    "autocontrast": (0.0, 0.0),
    "equalize": (0.0, 0.0),
}
"""The operations, equally likely, with their amounts at severities 0 and 1; the sign is drawn."""

SEVERITIES = (0.01, 0.3)
"""A severity at full strength is uniform between these."""

_OPERATIONS = np.array([OPERATIONS.index(name) for name in RANGES])  # (9,)
_LOW, _HIGH = np.array(list(RANGES.values())).T  # each (9,)
_POSTERIZE = OPERATIONS.index("posterize")


def augmix(
    images: Tensor,
    strength: float,
    generator: torch.Generator | None,
    choices: np.random.Generator,
) -> Tensor:
    """Blend each image with three chains of one to three random operations on it.

    The chains are weighted by a draw from Dirichlet(1, 1, 1), and their sum and the image by one
    from Beta(1, 1). Strength 1 is AugMix as published; below it, each operation's amount and the
    chains' share of the blend are that much smaller.

    Args:
        images: uint8 images in random order, shape ``(B, 3, H, W)``.
        strength: In (0, 1].
        generator: Not used: the draws that decide operations are made on the host, the others with
            them.
        choices: Draws chains, severities, signs and weights.

    Returns:
        New uint8 images of the same shape.
    """
    count, _, height, width = images.shape
    operations, amounts = _drawn(count, strength, choices)
    amounts = whole_pixels(operations, amounts, height, width)
    sources = np.tile(np.arange(count), CHAINS)
    chains = apply_in_turn(images, sources, operations, amounts).chunk(CHAINS)  # (B, 3, H, W) each
    weights = sent(_weights(count, strength, choices), images.device)  # (1 + CHAINS, B, 1, 1, 1)
    result = images * weights[0]
    for chain, weight in zip(chains, weights[1:], strict=True):
        result.addcmul_(chain.float(), weight)
    return result.round_().clamp_(0, 255).to(torch.uint8)


def _drawn(
    count: int, strength: float, choices: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Operations and amounts for `apply_in_turn`, both (LENGTH, CHAINS * count)."""
    shape = (LENGTH, CHAINS * count)
    kinds = choices.integers(len(RANGES), size=shape)
    lengths = choices.integers(1, LENGTH + 1, size=shape[1])
    severities = choices.uniform(*SEVERITIES, size=shape)
    signs = 1 - 2 * choices.integers(2, size=shape)
    amounts = strength * (_LOW[kinds] + severities * (_HIGH - _LOW)[kinds])
    operations = _OPERATIONS[kinds]
    # Bits are whole; `posterize` itself would round half of them up.
    amounts = signs * np.where(operations == _POSTERIZE, np.floor(amounts), amounts)
    present = np.arange(LENGTH)[:, None] < lengths  # (LENGTH, CHAINS * count)
    return np.where(present, operations, IDENTITY), amounts


def _weights(count: int, strength: float, choices: np.random.Generator) -> npt.NDArray[np.float32]:
    """Shares of image and chains in each blend, (1 + CHAINS, count, 1, 1, 1); they add up to 1."""
    chains = choices.dirichlet((1.0,) * CHAINS, size=count).T  # (CHAINS, count)
    share = strength * choices.beta(1.0, 1.0, size=count)  # of all chains together
    weights = np.concatenate([1 - share[None], share * chains])
    return weights.astype(np.float32).reshape(1 + CHAINS, count, 1, 1, 1)
