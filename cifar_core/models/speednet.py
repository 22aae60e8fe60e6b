"""A small network for the most accuracy per second: fixed whitening, then three blocks on small maps.

A network built for the clock alone is the idea of cifar10-fast (Page 2019), hlb-CIFAR10 (Balsam 2023) and
airbench (Jordan 2024, arXiv 2404.00498), and so is a first layer that whitens patches, as Coates & Ng
(2012, "Learning feature representations with k-means") did before them. This one is cut for few CPU
cores, where large maps take nearly all the time: it has none with a side above 15.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from cifar_core.device import with_float64
from cifar_core.models.layers import CLASSES
from cifar_core.recipe import SpeedNet

__all__ = ["SpeedNetwork"]

PATCH, STRIDE = 3, 2
"""Side of the patches that the first layer sees, and the pixels between them."""
PATCH_VALUES = 3 * PATCH**2
DIRECTIONS = 12
"""Directions of largest variance that are kept, of 27; the others are mostly noise."""
SMALLEST_VARIANCE = 5e-4
"""Added to each variance before it is divided by, so that what is nearly only noise stays small."""
CHUNK = 500
"""Images whose patches are in memory at once."""


class SpeedNetwork(nn.Module):
    """Whitened patches, three 3x3 convolutions, the largest value of each last map, a linear layer.

    The first layer projects 3x3 patches, two pixels apart, on the directions in which the training
    images vary most, each scaled to unit variance, and on their negatives, so that ReLU loses nothing.
    It has no gradient, so that nothing is computed backwards on the largest maps. Behind each
    convolution stand max-pooling (not after the last), BatchNorm and ReLU, the cheapest order; dropout,
    if any, precedes the linear layer.

    Args:
        record: Widths, whitening and dropout.
        classes: Number of classes.
    """

    def __init__(self, record: SpeedNet, classes: int = CLASSES) -> None:
        super().__init__()
        wide1, wide2, wide3 = record.channels1, record.channels2, record.channels3
        self.whitening = record.whitening
        self.first = nn.Conv2d(3, 2 * DIRECTIONS, PATCH, stride=STRIDE, bias=False)
        self.first.weight.requires_grad_(not record.whitening)
        # A whitened patch has unit variance already.
        self.norm = nn.Identity() if record.whitening else nn.BatchNorm2d(2 * DIRECTIONS)
        self.relu = nn.ReLU(inplace=True)
        self.block1 = _block(2 * DIRECTIONS, wide1, nn.MaxPool2d(2))
        self.block2 = _block(wide1, wide2, nn.MaxPool2d(2))
        self.block3 = _block(wide2, wide3, nn.Identity())
        self.dropout = record.dropout
        self.last = nn.Linear(wide3, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of normalised images (B, 3, 32, 32); any side from 9 on is possible."""
        maps = self.relu(self.norm(self.first(images)))  # (B, 24, 15, 15)
        maps = self.block1(maps)  # (B, channels1, 7, 7)
        maps = self.block2(maps)  # (B, channels2, 3, 3)
        maps = self.block3(maps)  # (B, channels3, 3, 3)
        features = maps.amax((2, 3))  # (B, channels3)
        features = F.dropout(features, self.dropout, self.training)
        logits: Tensor = self.last(features)  # (B, classes)
        return logits

    def extra_repr(self) -> str:
        """Return the options that have no layer of their own."""
        return f"whitening={self.whitening}, dropout={self.dropout}"

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the first layer by what training images look like; nothing happens without whitening.

        Args:
            images: Normalised training images (N, 3, H, W), on the network's device.
        """
        if not self.whitening:
            return
        kernels = _whitening(with_float64(images)).view(DIRECTIONS, 3, PATCH, PATCH)
        self.first.weight.copy_(torch.cat([kernels, -kernels]))  # (24, 3, 3, 3)


def _whitening(images: Tensor) -> Tensor:
    """Makes patches (27,) into uncorrelated values (12,) of unit variance: (12, 27) float64.

    Rows are the eigenvectors of the patches' covariance, the largest variance first, each divided by the
    square root of its variance and a little more. The largest weight of each is positive: an
    eigenvector's sign is else a matter of chance, and decides the order of channels.
    """
    values = torch.zeros(PATCH_VALUES, device=images.device, dtype=torch.float64)
    products = torch.zeros(PATCH_VALUES, PATCH_VALUES, device=images.device, dtype=torch.float64)
    seen = 0
    for chunk in torch.split(images, CHUNK):
        # In float64: the smallest variances are a thousandth of the largest, and TF32 would lose them.
        patches = F.unfold(chunk.double(), PATCH, stride=STRIDE)  # (C, 27, L)
        patches = patches.transpose(1, 2).flatten(0, 1)  # (C L, 27)
        values += patches.sum(0)
        products += patches.T @ patches
        seen += len(patches)
    mean = values / seen
    covariance = products / seen - mean.outer(mean)
    variances, vectors = torch.linalg.eigh(covariance)  # (27,) ascending; (27, 27), in columns
    rows = (vectors / (variances + SMALLEST_VARIANCE).sqrt()).T.flip(0)[:DIRECTIONS]  # (12, 27)
    strongest = rows.gather(1, rows.abs().argmax(1, keepdim=True))  # (12, 1)
    kernels: Tensor = rows * strongest.sign()
    return kernels


def _block(channels_in: int, channels_out: int, pool: nn.Module) -> nn.Sequential:
    """(B, channels_out, S / 2, S / 2) of maps (B, channels_in, S, S), or the same side unpooled."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        pool,
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )
