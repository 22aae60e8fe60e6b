"""Parts of the residual networks: convolutions, the norm of a record, and their initialisation."""

import math
from typing import Literal

from torch import nn

__all__ = ["CLASSES", "conv", "draw_convolutions", "norm_of"]

CLASSES = 10
"""CIFAR-10's."""


def conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias, as a norm follows, that keeps the side of a map if `stride` is 1.

    Args:
        channels_in: Channels of the map (B, channels_in, H, W).
        channels_out: Channels of what comes out, (B, channels_out, ceil(H / stride), ceil(W / stride)).
        kernel: Side of the kernel, odd.
        stride: Step in both directions.
    """
    return nn.Conv2d(
        channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False
    )


def norm_of(kind: Literal["batch", "group"], channels: int) -> nn.Module:
    """The norm of a map (B, channels, H, W).

    Args:
        kind: ``batch`` is BatchNorm (Ioffe & Szegedy 2015); ``group`` is GroupNorm (Wu & He 2018,
            arXiv 1803.08494) with 32 groups, the paper's number, or as many as divide the channels.
        channels: Channels of the map.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    # A group of one channel on a 1x1 map is its own mean: nothing of the image would be left.
    groups = max(1, min(math.gcd(32, channels), channels // 2))
    return nn.GroupNorm(groups, channels)


def draw_convolutions(network: nn.Module) -> None:
    """Redraw the weights of all convolutions from He et al.'s normal distribution for ReLU.

    It is the one over the fan-out, which keeps the size of gradients on their way back (He et al. 2015,
    arXiv 1502.01852, section 2.2), as torchvision has it. Linear layers and norms keep PyTorch's start.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
