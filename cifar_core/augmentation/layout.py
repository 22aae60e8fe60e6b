"""Images as lines of whole pixels: how they lie in memory, channels last.

A line of a channels-last image is one run of bytes. What moves images or parts of them copies whole
runs, and what scales them has nothing to broadcast over three neighbouring values: on a CPU both are
several times faster than the same on planes.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["images_of", "joined", "lines_of", "taken"]


def lines_of(images: Tensor) -> Tensor:
    """Images (B, C, H, W) as lines (B, H, W * C): a view of channels-last ones, a copy of others."""
    return images.permute(0, 2, 3, 1).flatten(2)


def images_of(lines: Tensor, channels: int) -> Tensor:
    """Lines (B, H, W * C) as channels-last images (B, C, H, W), a view."""
    count, height, length = lines.shape
    return lines.view(count, height, length // channels, channels).permute(0, 3, 1, 2)


def taken(images: Tensor, rows: Tensor) -> Tensor:
    """These rows of images (B, C, H, W), in this order, as channels-last images.

    ``images.index_select(0, rows)`` would lay them out in planes, value by value.
    """
    return images_of(lines_of(images).index_select(0, rows), images.shape[1])


def joined(parts: list[Tensor]) -> Tensor:
    """Batches of images, one after another, as channels-last images."""
    return images_of(torch.cat([lines_of(part) for part in parts]), parts[0].shape[1])
