"""The residual network with norm and ReLU before each convolution (He et al. 2016, arXiv 1603.05027)."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from cifar_core.models.layers import CLASSES, conv, draw_convolutions, norm_of
from cifar_core.recipe import PreActResNet18

__all__ = ["PreActBlock", "PreActNetwork"]

Norm = Literal["batch", "group"]


class PreActBlock(nn.Module):
    """Twice norm, ReLU and 3x3 convolution beside a shortcut (He et al. 2016, figure 4e).

    The shortcut is the identity, untouched by norm and ReLU; where the shape changes it is a 1x1
    convolution, without a norm, of what the first norm and ReLU made of the input.

    Args:
        channels_in: Channels of the map that comes in, (B, channels_in, H, W).
        channels_out: Channels of the map that goes out, (B, channels_out, H / stride, W / stride).
        stride: Step of the first convolution and of the projection.
        norm: The kind of norm before each convolution.
        first: The block follows the stem: its shortcut, too, starts after norm and ReLU (He et al.
            2016, appendix).
    """

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, norm: Norm, *, first: bool = False
    ) -> None:
        super().__init__()
        self.first = first
        self.norm1 = norm_of(norm, channels_in)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = conv(channels_in, channels_out, 3, stride)
        self.norm2 = norm_of(norm, channels_out)
        self.conv2 = conv(channels_out, channels_out, 3)
        self.projection: nn.Module | None = None
        if stride != 1 or channels_in != channels_out:
            self.projection = conv(channels_in, channels_out, 1, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels_out, H / stride, W / stride) of maps (B, channels_in, H, W)."""
        active = self.relu(self.norm1(maps))  # (B, channels_in, H, W)
        if self.projection is not None:
            shortcut = self.projection(active)  # (B, channels_out, H / stride, W / stride)
        else:
            shortcut = active if self.first else maps
        out = self.conv1(active)  # (B, channels_out, H / stride, W / stride)
        out = self.conv2(self.relu(self.norm2(out)))
        # In place: no backward pass reads what a convolution gave out.
        out += shortcut
        summed: Tensor = out
        return summed


class PreActNetwork(nn.Module):
    """ResNet18 for 32x32 images made of pre-activation blocks.

    As the paper's appendix has it, the first block splits after its first norm and ReLU, and a last
    norm and ReLU follow the last block. The widespread variant for CIFAR-10 leaves both out.

    Args:
        record: Width, norm and dropout.
        classes: Number of classes.
    """

    def __init__(self, record: PreActResNet18, classes: int = CLASSES) -> None:
        super().__init__()
        width, norm = record.width, record.norm
        self.conv1 = conv(3, width, 3)
        self.layer1 = _stage(width, width, 1, norm, first=True)
        self.layer2 = _stage(width, 2 * width, 2, norm)
        self.layer3 = _stage(2 * width, 4 * width, 2, norm)
        self.layer4 = _stage(4 * width, 8 * width, 2, norm)
        self.norm = norm_of(norm, 8 * width)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = record.dropout
        self.fc = nn.Linear(8 * width, classes)
        draw_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of normalised images (B, 3, 32, 32); other sizes are possible as well."""
        maps = self.conv1(images)  # (B, width, 32, 32)
        maps = self.layer1(maps)  # (B, width, 32, 32)
        maps = self.layer2(maps)  # (B, 2 width, 16, 16)
        maps = self.layer3(maps)  # (B, 4 width, 8, 8)
        maps = self.layer4(maps)  # (B, 8 width, 4, 4)
        maps = self.relu(self.norm(maps))
        features = self.avgpool(maps).flatten(1)  # (B, 8 width)
        features = F.dropout(features, self.dropout, self.training)
        logits: Tensor = self.fc(features)  # (B, classes)
        return logits

    def extra_repr(self) -> str:
        """Dropout is not a layer of its own."""
        return f"dropout={self.dropout}" if self.dropout else ""


def _stage(
    channels_in: int, channels_out: int, stride: int, norm: Norm, *, first: bool = False
) -> nn.Sequential:
    """Two blocks, of which the first changes the shape."""
    return nn.Sequential(
        PreActBlock(channels_in, channels_out, stride, norm, first=first),
        PreActBlock(channels_out, channels_out, 1, norm),
    )
