"""Which image gets which operation: rows sorted by operation, one slice of the batch for each.

Which operation how many images get is drawn on the host. Then Python knows the bounds of each
operation's slice: no image is computed for an operation that it does not get, each operation runs
once, and no GPU is waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cifar_core.augmentation.layout import joined, taken
from cifar_core.augmentation.operations import COLOUR, FIXED, GEOMETRIC, OPERATIONS, warp
from cifar_core.device import sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

__all__ = ["IDENTITY", "apply_in_turn", "apply_once"]

IDENTITY = len(OPERATIONS)
"""The index after those of `OPERATIONS`: no operation."""

_MOVING = len(GEOMETRIC)


def apply_once(images: Tensor, amounts: Mapping[str, Tensor]) -> Tensor:
    """Apply one operation to each image: the first rows get the first, the next the second, ...

    Args:
        images: uint8 images, shape ``(n, 3, H, W)``.
        amounts: For each operation a float tensor with the amount of each of its images, or of as
            many values that do not matter if it has none. The five of `GEOMETRIC` come first, in their
            order. Rows that are left over stay as they are.

    Returns:
        New uint8 images of the same shape, channels last.
    """
    parts = list(amounts.values())
    counts = [len(part) for part in parts]
    moving = sum(counts[:_MOVING])
    counts = [moving, *counts[_MOVING:]]
    first, *slices, rest = images.split_with_sizes([*counts, len(images) - sum(counts)])
    done = []
    if moving:
        # Each row has the amount of its own operation and 0 for the four others.
        matrix = torch.block_diag(*parts[:_MOVING])  # type: ignore[no-untyped-call]  # (5, n)
        done.append(warp(first, *matrix))
    for name, rows, part in zip(list(amounts)[_MOVING:], slices, parts[_MOVING:], strict=True):
        if len(rows):
            done.append(COLOUR[name](rows, part) if name in COLOUR else FIXED[name](rows))
    return joined([*done, rest])


def apply_in_turn(
    images: Tensor,
    sources: npt.NDArray[np.int64],
    operations: npt.NDArray[np.int64],
    amounts: npt.NDArray[np.float64],
) -> Tensor:
    """Apply several operations to each image, one after the other.

    Args:
        images: uint8 images, shape ``(n, 3, H, W)``.
        sources: The image that each row of the result is made from, shape ``(R,)``.
        operations: Each row's operations as indices into `OPERATIONS`, or `IDENTITY`, in the order of
            application: shape ``(S, R)``.
        amounts: What each operation is applied by, shape ``(S, R)``.

    Returns:
        New uint8 images, shape ``(R, 3, H, W)``.
    """
    orders = np.argsort(operations, axis=1, kind="stable")  # (S, R)
    # Between two steps the rows are sorted again, and finally put back in place.
    places, moves = sources, []
    for order in orders:
        moves.append(places[order])
        places = np.argsort(order)
    moves.append(places)

    device = images.device
    rows = sent(np.stack(moves), device)  # (S + 1, R)
    by = sent(np.take_along_axis(amounts, orders, 1).astype(np.float32), device)  # (S, R)
    for step, kinds in enumerate(operations):
        counts = np.bincount(kinds, minlength=len(OPERATIONS) + 1).tolist()
        images = _moved(images, moves[step], rows[step])
        images = apply_once(
            images, dict(zip(OPERATIONS, by[step].split_with_sizes(counts), strict=False))
        )
    return _moved(images, moves[-1], rows[-1])


def _moved(images: Tensor, rows: npt.NDArray[np.int64], on_device: Tensor) -> Tensor:
    """These rows of the images, in this order; given on the host and on the device."""
    if np.array_equal(rows, np.arange(len(images))):
        return images
    return taken(images, on_device)
