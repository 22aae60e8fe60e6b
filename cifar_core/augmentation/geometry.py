"""Mirror, shift and cut: three augmentations of whole batches, each image with its own draw.

All three take ``(B, 3, H, W)`` uint8 images on whatever device holds them, draw from the generator
they are handed (``None``: the device's default one), give channels-last images, which they are fastest
with, and are the exact identity at setting 0. They are meant to be composed in the order flip, crop,
cutout. None of them makes a GPU wait for the host or the host for a GPU: no value of a tensor decides what
Python does next.

Each row has its own draw here, though the batch is in random order: `policies` goes by the order of
the rows, and two augmentations that did would always meet in the same images.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from cifar_core.augmentation.layout import images_of, joined, lines_of, taken

__all__ = ["crop", "cutout", "flip", "mirrors"]


def flip(images: Tensor, probability: float, generator: torch.Generator | None = None) -> Tensor:
    """Mirror each image left to right with the given probability.

    Args:
        images: uint8 images, shape ``(B, 3, H, W)``.
        probability: Share of the images that is mirrored, in [0, 1]; 0 returns ``images``.
        generator: Source of the draws, on the images' device.

    Returns:
        Images of the same shape and type.
    """
    if probability == 0:
        return images
    count = len(images)
    mirrored = mirrors(count, probability, images.device, generator)  # (B,)
    # Copying whole images is several times faster on the CPU than choosing pixels by torch.where.
    rows = torch.arange(count, device=images.device) + count * mirrored  # (B,)
    return taken(joined([images, images.flip(-1)]), rows)


def mirrors(
    count: int, probability: float, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """Which images `flip` mirrors: (count,) bool, drawn on `device`."""
    return torch.rand(count, device=device, generator=generator) < probability


def crop(
    images: Tensor,
    padding: int,
    generator: torch.Generator | None = None,
    fill: Literal["zero", "reflect"] = "zero",
) -> Tensor:
    """Pad each image on all sides and cut a window of the old size at a random place.

    All ``(2 * padding + 1) ** 2`` windows are equally likely (He et al. 2015, arXiv 1512.03385,
    section 4.2, with padding 4).

    Args:
        images: uint8 images, shape ``(B, 3, H, W)``.
        padding: Pixels added on each side, at least 0; 0 returns ``images``.
        generator: Source of the draws, on the images' device.
        fill: What is added: ``zero`` is black, ``reflect`` mirrors the image at the middle of its
            outermost pixels, which are not repeated.

    Returns:
        Images of the same shape and type.

    Raises:
        ValueError: The padding reflects more than the image has.
    """
    if padding == 0:
        return images
    count, channels, height, width = images.shape
    device = images.device
    top, left = torch.randint(
        2 * padding + 1, (2, count, 1), device=device, generator=generator
    )  # each (B, 1)
    rows = top + torch.arange(height, device=device)  # (B, H): of the padded image
    if fill == "zero":
        beside = padding * channels
        padded = F.pad(lines_of(images), (beside, beside, padding, padding))
    else:
        padded = _reflected(images, padding)
        # Rows need not be added: they are mirrored by counting back from the first and the last.
        rows = (height - 1) - ((height - 1) - (rows - padding).abs()).abs()

    # A window is H runs of W neighbouring pixels, copied whole: far faster on the CPU than gathering
    # pixels. `runs` is a view: a run starts at every value.
    runs = padded.flatten().unfold(0, width * channels, 1)  # (values - W * C + 1, W * C)
    index = torch.arange(count, device=device).view(-1, 1)
    starts = (index * padded.shape[1] + rows) * padded.shape[2] + left * channels  # (B, H)
    lines = runs.index_select(0, starts.flatten()).view(count, height, -1)  # (B, H, W * C)
    return images_of(lines, channels)


def _reflected(images: Tensor, padding: int) -> Tensor:
    """Images as lines with mirrored columns left and right: (B, H, (W + 2 * padding) * C)."""
    height, width = images.shape[2:]
    if padding >= min(height, width):
        raise ValueError(
            f"`padding` must be less than the image's side to be reflected, but got {padding} "
            f"and {height}x{width}."
        )
    # torch's own reflection does not know bytes on a GPU.
    columns = images.permute(0, 2, 3, 1)  # (B, H, W, C)
    mirrored = columns.flip(2)
    left = mirrored[:, :, width - 1 - padding : width - 1]
    return torch.cat([left, columns, mirrored[:, :, 1 : padding + 1]], dim=2).flatten(2)


def cutout(
    images: Tensor,
    size: int,
    generator: torch.Generator | None = None,
    fill: Tensor | int = 0,
) -> Tensor:
    """Blank a square in each image, its centre uniform over the pixels, clipped at the edges.

    DeVries & Taylor 2017, arXiv 1708.04552, section 3.2: because squares at the edge are clipped,
    some images stay largely whole. A square of even size has no middle pixel: its centre is the
    pixel below and to the right of the middle, as in the authors' code.

    Args:
        images: uint8 images, shape ``(B, 3, H, W)``.
        size: Side of the square in pixels, at least 0; 0 returns ``images``.
        generator: Source of the draws, on the images' device.
        fill: What the square is filled with: a level in [0, 255], or a tensor of the images'
            type that broadcasts against them, such as the channels' means, ``(3, 1, 1)``.

    Returns:
        Images of the same shape and type.
    """
    if size == 0:
        return images
    count, channels, height, width = images.shape
    rows = _hits(count, height, size, images.device, generator).unsqueeze(2)  # (B, H, 1)
    columns = _hits(count, width, size, images.device, generator)  # (B, W)
    columns = columns.repeat_interleave(channels, 1, output_size=channels * width).unsqueeze(1)
    hole = rows * columns  # (B, H, W * C), 1 inside the square
    # Products of bytes are far faster on the CPU than torch.where or masked_fill.
    lines = lines_of(images) * (1 - hole)
    if isinstance(fill, Tensor):
        filled = lines_of(fill.to(images.dtype).expand(images.shape)) * hole
        return images_of(lines.add_(filled), channels)
    return images_of(lines.add_(hole.mul_(fill)) if fill else lines, channels)


def _hits(
    count: int, length: int, size: int, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """1 at the places 0 to length - 1 that a run around a random centre covers: (count, length) uint8."""
    centre = torch.randint(length, (count, 1), device=device, generator=generator)
    offset = torch.arange(length, device=device) - (centre - size // 2)  # (count, length)
    return ((offset >= 0) & (offset < size)).to(torch.uint8)
