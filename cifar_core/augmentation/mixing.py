"""Mixup and CutMix: images mixed in pairs, and their labels with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cifar_core.augmentation.layout import images_of, lines_of
from cifar_core.device import sent

if TYPE_CHECKING:
    import numpy.typing as npt

    from cifar_core.recipe import Augmentation

__all__ = ["CLASSES", "cutmix", "mix", "mixup", "targets"]

CLASSES = 10
"""CIFAR-10's."""


def mix(
    images: Tensor,
    labels: Tensor,
    record: Augmentation,
    generator: torch.Generator | None,
    choices: np.random.Generator,
    classes: int = CLASSES,
) -> tuple[Tensor, Tensor]:
    """Mix each image with another of its batch, by mixup or CutMix.

    Each image has its own draw of how much of it stays, and of the box. Partners are a random
    permutation of the batch, so that a few images stay whole. With both switched on, each batch
    gets one of the two, equally likely.

    Args:
        images: Normalised float images, shape ``(B, 3, H, W)``.
        labels: Their classes, shape ``(B,)``, int64.
        record: Its `mixup` and `cutmix` are the alphas; one at least is above 0.
        generator: Draws the partners, on the images' device; None is its default one.
        choices: Draws what is computed, and shares and boxes with it.
        classes: Number of classes.

    Returns:
        New channels-last images of the same shape, and targets ``(B, classes)``, float32: each row
        the shares of the classes in the image, which add up to 1.

    Raises:
        ValueError: The record mixes nothing.
    """
    if not record.mixes:
        raise ValueError("`mixup` or `cutmix` must be above 0, but both are 0.")
    count, _, height, width = images.shape
    partners = torch.randperm(count, device=images.device, generator=generator)  # (B,)
    cuts = record.cutmix > 0.0 and (record.mixup == 0.0 or choices.integers(2) == 1)
    alpha = record.cutmix if cuts else record.mixup
    kept = choices.beta(alpha, alpha, size=count)
    if cuts:
        return cutmix(images, labels, partners, _boxes(kept, height, width, choices), classes)
    return mixup(images, labels, partners, sent(kept.astype(np.float32), images.device), classes)


def mixup(
    images: Tensor, labels: Tensor, partners: Tensor, kept: Tensor, classes: int = CLASSES
) -> tuple[Tensor, Tensor]:
    """Blend each image with its partner (Zhang et al. 2017, arXiv 1710.09412, section 2).

    Args:
        images: Float images, shape ``(B, 3, H, W)``.
        labels: Their classes, shape ``(B,)``, int64.
        partners: The row of each image's partner, shape ``(B,)``.
        kept: The image's own share, lambda in the paper: float32, shape ``(B,)``, in [0, 1].
        classes: Number of classes.

    Returns:
        Channels-last images of the same shape, and targets ``(B, classes)``, float32.
    """
    lines = lines_of(images)  # (B, H, 3W)
    mixed = torch.lerp(lines.index_select(0, partners), lines, kept.view(-1, 1, 1).to(lines.dtype))
    return images_of(mixed, images.shape[1]), targets(labels, partners, kept, classes)


def cutmix(
    images: Tensor,
    labels: Tensor,
    partners: Tensor,
    boxes: npt.NDArray[np.int64],
    classes: int = CLASSES,
) -> tuple[Tensor, Tensor]:
    """Paste a box of its partner into each image (Yun et al. 2019, arXiv 1905.04899, section 3.1).

    A label's share is that of the pixels, so a box that was clipped at the edge counts for what is
    left of it.

    Args:
        images: Float images, shape ``(B, 3, H, W)``.
        labels: Their classes, shape ``(B,)``, int64.
        partners: The row of each image's partner, shape ``(B,)``.
        boxes: On the host: first row, end row, first column and end column of each image's box, in
            pixels, the ends excluded; shape ``(4, B)``.
        classes: Number of classes.

    Returns:
        Channels-last images of the same shape, and targets ``(B, classes)``, float32.
    """
    channels, height, width = images.shape[1:]
    top, bottom, left, right = boxes
    kept = 1 - (bottom - top) * (right - left) / (height * width)  # (B,)
    device = images.device
    packed = sent(np.stack([*boxes, kept]).astype(np.float32), device)  # (5, B): one copy for all
    first, end, start, stop, own = packed.view(5, -1, 1, 1)  # each (B, 1, 1)
    row = torch.arange(height, device=device).view(-1, 1)  # (H, 1)
    column = torch.arange(width, device=device).repeat_interleave(
        channels, output_size=channels * width
    )  # (3W,)
    inside = ((row >= first) & (row < end)) * ((column >= start) & (column < stop)).to(images.dtype)
    lines = lines_of(images)  # (B, H, 3W), as `inside`
    # By weights of exactly 0 and 1, ten times faster on the CPU than torch.where.
    mixed = torch.lerp(lines, lines.index_select(0, partners), inside)
    return images_of(mixed, images.shape[1]), targets(labels, partners, own.flatten(), classes)


def _boxes(
    kept: npt.NDArray[np.float64], height: int, width: int, choices: np.random.Generator
) -> npt.NDArray[np.int64]:
    """CutMix's boxes for lambdas (B,), as `cutmix` takes them: appendix A, algorithm A1.

    A box has the image's proportions and 1 - lambda of its area, its centre is uniform over the
    image, and it is clipped at the edges and rounded to whole pixels.
    """
    bounds = []
    for side in (height, width):
        centre = side * choices.random(len(kept))
        half = side * np.sqrt(1 - kept) / 2
        bounds += [(centre - half).clip(min=0), (centre + half).clip(max=side)]
    return np.rint(bounds).astype(np.int64)


def targets(labels: Tensor, partners: Tensor, kept: Tensor, classes: int = CLASSES) -> Tensor:
    """(B, classes) shares: ``kept`` (B,) for the own label, the rest for the partner's."""
    every = torch.arange(classes, device=labels.device)
    own = (labels.view(-1, 1) == every).float()  # (B, classes)
    return torch.lerp(own.index_select(0, partners), own, kept.view(-1, 1))
