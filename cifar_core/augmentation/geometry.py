"""Mirror, shift and cut: three augmentations of whole batches, each picture with its own draw.

All three take and give ``(B, 3, H, W)`` uint8 pictures on whatever device holds them, draw from
the generator they are handed (``None``: the device's default one), and are the exact identity at
setting 0. They are meant to be composed in the order flip, crop, cutout. None of them makes a GPU
wait for the host or the host for a GPU: no value of a tensor decides what Python does next.

Each row has its own draw here, though the batch is in random order: `policies` goes by the order of
the rows, and two augmentations that did would always meet in the same pictures.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own documentation calls it F
from torch import Tensor

__all__ = ["crop", "cutout", "flip"]


def flip(images: Tensor, probability: float, generator: torch.Generator | None = None) -> Tensor:
    """Mirror each picture left to right with the given probability.

    Args:
        images: uint8 pictures, shape ``(B, 3, H, W)``.
        probability: Share of the pictures that is mirrored, in [0, 1]; 0 returns ``images``.
        generator: Source of the draws, on the pictures' device.

    Returns:
        Pictures of the same shape and type.
    """
    if probability == 0:
        return images
    count = len(images)
    mirrored = torch.rand(count, device=images.device, generator=generator) < probability  # (B,)
    # Copying whole pictures is eight times faster on the CPU than choosing pixels by torch.where.
    views = torch.stack([images, images.flip(-1)]).flatten(0, 1)  # (2B, 3, H, W)
    rows = torch.arange(count, device=images.device) + count * mirrored  # (B,)
    return views.index_select(0, rows)


def crop(
    images: Tensor,
    padding: int,
    generator: torch.Generator | None = None,
    fill: Literal["zero", "reflect"] = "zero",
) -> Tensor:
    """Pad each picture on all sides and cut a window of the old size at a random place.

    All ``(2 * padding + 1) ** 2`` windows are equally likely (He et al. 2015, arXiv 1512.03385,
    section 4.2, with padding 4).

    Args:
        images: uint8 pictures, shape ``(B, 3, H, W)``.
        padding: Pixels added on each side, at least 0; 0 returns ``images``.
        generator: Source of the draws, on the pictures' device.
        fill: What is added: ``zero`` is black, ``reflect`` mirrors the picture at the middle of its
            outermost pixels, which are not repeated.

    Returns:
        Pictures of the same shape and type.

    Raises:
        ValueError: The padding reflects more than the picture has.
    """
    if padding == 0:
        return images
    count, channels, height, width = images.shape
    device = images.device
    top, left = torch.randint(
        2 * padding + 1, (2, count, 1, 1), device=device, generator=generator
    )  # each (B, 1, 1)
    lines = top + torch.arange(height, device=device)  # (B, 1, H): of the padded picture
    if fill == "zero":
        padded = F.pad(images, (padding,) * 4)  # (B, 3, H + 2p, W + 2p)
    else:
        padded = _reflected(images, padding)  # (B, 3, H, W + 2p)
        # Lines need not be added: they are mirrored by counting back from the first and the last.
        lines = (height - 1) - ((height - 1) - (lines - padding).abs()).abs()

    # A window is 3 * H runs of W neighbouring pixels, copied whole: two to eight times faster
    # on the CPU than gathering pixels. `runs` is a view: a run starts at every pixel.
    runs = padded.flatten().unfold(0, width, 1)  # (pixels - W + 1, W)
    planes = torch.arange(count * channels, device=device).view(count, channels, 1)
    starts = (planes * padded.shape[2] + lines) * padded.shape[3] + left  # (B, 3, H)
    return runs.index_select(0, starts.flatten()).view(images.shape)


def _reflected(images: Tensor, padding: int) -> Tensor:
    """Pictures with mirrored columns added left and right: (B, 3, H, W + 2 * padding)."""
    height, width = images.shape[2:]
    if padding >= min(height, width):
        raise ValueError(
            f"`padding` must be less than the picture's side to be reflected, but got {padding} "
            f"and {height}x{width}."
        )
    # torch's own reflection does not know bytes on a GPU.
    mirrored = images.flip(-1)
    left = mirrored[..., width - 1 - padding : width - 1]
    return torch.cat([left, images, mirrored[..., 1 : padding + 1]], dim=-1)


def cutout(
    images: Tensor,
    size: int,
    generator: torch.Generator | None = None,
    fill: Tensor | int = 0,
) -> Tensor:
    """Blank a square in each picture, its centre uniform over the pixels, clipped at the edges.

    DeVries & Taylor 2017, arXiv 1708.04552, section 3.2: because squares at the edge are clipped,
    some pictures stay largely whole. A square of even size has no middle pixel: its centre is the
    pixel below and to the right of the middle, as in the authors' code.

    Args:
        images: uint8 pictures, shape ``(B, 3, H, W)``.
        size: Side of the square in pixels, at least 0; 0 returns ``images``.
        generator: Source of the draws, on the pictures' device.
        fill: What the square is filled with: a level in [0, 255], or a tensor of the pictures'
            type that broadcasts against them, such as the channels' means, ``(3, 1, 1)``.

    Returns:
        Pictures of the same shape and type.
    """
    if size == 0:
        return images
    count, _, height, width = images.shape
    rows = _hits(count, height, size, images.device, generator).view(count, 1, height, 1)
    columns = _hits(count, width, size, images.device, generator).view(count, 1, 1, width)
    hole = (rows & columns).to(images.dtype)  # (B, 1, H, W), 1 inside the square
    return images * (1 - hole) + fill * hole  # twice as fast on the CPU as torch.where


def _hits(
    count: int, length: int, size: int, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """Which of the places 0 to length - 1 a run around a random centre covers: (count, length)."""
    centre = torch.randint(length, (count, 1), device=device, generator=generator)
    offset = torch.arange(length, device=device) - (centre - size // 2)  # (count, length)
    return (offset >= 0) & (offset < size)
