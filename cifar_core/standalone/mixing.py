"""Mixup and CutMix in plain PyTorch: images mixed in pairs, and their labels with them."""

import torch
from torch import Tensor

from cifar_core.augmentation.mixing import mixup, targets
from cifar_core.recipe import Augmentation

__all__ = ["cutmix", "mix"]


def mix(images: Tensor, labels: Tensor, record: Augmentation) -> tuple[Tensor, Tensor]:
    """Mix each image with another of its batch.

    Args:
        images: (B, 3, 32, 32) float32, normalised.
        labels: (B,) int64, 0-9.
        record: The alphas of mixup and CutMix; with both, a batch gets one of the two.

    Returns:
        Images (B, 3, 32, 32), and each class's share of them (B, 10).
    """
    count, device = len(images), images.device
    partners = torch.randperm(count, device=device)
    if record.cutmix and (not record.mixup or float(torch.rand(())) < 0.5):
        kept = torch.distributions.Beta(record.cutmix, record.cutmix).sample((count,)).to(device)
        return cutmix(images, labels, partners, kept)
    kept = torch.distributions.Beta(record.mixup, record.mixup).sample((count,)).to(device)
    return mixup(images, labels, partners, kept)


def cutmix(images: Tensor, labels: Tensor, partners: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Paste a box of its partner into each image (Yun et al. 2019, arXiv 1905.04899, appendix A).

    Args:
        images: (B, 3, H, W).
        labels: (B,).
        partners: The row of each image's partner (B,).
        kept: Share of the image that is outside of its box (B,), before the box is clipped at the edges.

    Returns:
        Images (B, 3, H, W), and each class's share of their pixels (B, 10).
    """
    inside = []
    for side in images.shape[2:]:
        centre = side * torch.rand(len(images), device=images.device)  # (B,)
        half = side * (1 - kept).sqrt() / 2
        first = (centre - half).clamp(min=0).round().view(-1, 1)  # (B, 1)
        end = (centre + half).clamp(max=side).round().view(-1, 1)
        place = torch.arange(side, device=images.device)
        inside.append((place >= first) & (place < end))  # (B, side)
    box = inside[0].unsqueeze(2) & inside[1].unsqueeze(1)  # (B, H, W)
    mixed = torch.where(box.unsqueeze(1), images[partners], images)
    return mixed, targets(labels, partners, 1 - box.float().mean((1, 2)))
