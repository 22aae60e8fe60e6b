"""Translations by whole pixels, as AutoAugment and AugMix have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cifar_core.augmentation.operations import OPERATIONS

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["whole_pixels"]


def whole_pixels(
    operations: npt.NDArray[np.int64],
    amounts: npt.NDArray[np.float64],
    height: int,
    width: int,
) -> npt.NDArray[np.float64]:
    """Amounts with those of translations cut down to whole pixels.

    Args:
        operations: Indices into `OPERATIONS`, any shape.
        amounts: Their amounts, same shape; a translation's is a share of the side.
        height: The images' height in pixels.
        width: Their width.

    Returns:
        New amounts of the same shape.
    """
    for name, side in (("translate_x", width), ("translate_y", height)):
        shifts = operations == OPERATIONS.index(name)
        amounts = np.where(shifts, np.trunc(amounts * side) / side, amounts)
    return amounts
