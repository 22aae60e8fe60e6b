"""Residual networks with basic blocks (He et al. 2015, arXiv 1512.03385): one class, three stems.

Modules have the names that torchvision gives them, so that weights of its ResNet18 can be loaded.
"""

from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from cifar_core.models.layers import CLASSES, conv, draw_convolutions, norm_of
from cifar_core.recipe import Residual, ResNet9, ResNet18Cifar, ResNet18ImageNet

__all__ = [
    "BasicBlock",
    "ResidualNetwork",
    "Stem",
    "resnet9",
    "resnet18_cifar",
    "resnet18_imagenet",
]

Norm = Literal["batch", "group"]


class Stem(NamedTuple):
    """The layers before the first stage.

    Attributes:
        kernel: Side of the convolution's kernel, odd.
        stride: Step of the convolution.
        pooled: Halve the map once more, with 3x3 max-pooling.
    """

    kernel: int
    stride: int
    pooled: bool


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2015, section 3.2 and figure 2).

    The shortcut is the identity, or where the shape changes a 1x1 convolution with a norm (the paper's
    option B).

    Args:
        channels_in: Channels of the map that comes in, (B, channels_in, H, W).
        channels_out: Channels of the map that goes out, (B, channels_out, H / stride, W / stride).
        stride: Step of the first convolution and of the projection.
        norm: The kind of norm after each convolution.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = conv(channels_in, channels_out, 3, stride)
        self.bn1 = norm_of(norm, channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv(channels_out, channels_out, 3)
        self.bn2 = norm_of(norm, channels_out)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                conv(channels_in, channels_out, 1, stride), norm_of(norm, channels_out)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels_out, H / stride, W / stride) of maps (B, channels_in, H, W)."""
        shortcut = maps if self.downsample is None else self.downsample(maps)
        out = self.relu(self.bn1(self.conv1(maps)))  # (B, channels_out, H / stride, W / stride)
        out = self.bn2(self.conv2(out))
        # In place: no backward pass reads what a norm gave out.
        out += shortcut
        activated: Tensor = self.relu(out)
        return activated


class ResidualNetwork(nn.Module):
    """A stem, four stages of basic blocks, the mean over each map, and one linear layer.

    Each stage from the second on halves the side of the maps and doubles their number (He et al. 2015,
    section 3.3). Dropout, if any, follows the mean.

    Args:
        record: Width, norm and dropout.
        stem: The layers before the first stage; they decide how large all maps are.
        depth: Blocks in each stage.
        classes: Number of classes.
    """

    def __init__(self, record: Residual, stem: Stem, depth: int, classes: int = CLASSES) -> None:
        super().__init__()
        width, norm = record.width, record.norm
        self.conv1 = conv(3, width, stem.kernel, stem.stride)
        self.bn1 = norm_of(norm, width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem.pooled else nn.Identity()
        self.layer1 = _stage(width, width, 1, depth, norm)
        self.layer2 = _stage(width, 2 * width, 2, depth, norm)
        self.layer3 = _stage(2 * width, 4 * width, 2, depth, norm)
        self.layer4 = _stage(4 * width, 8 * width, 2, depth, norm)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = record.dropout
        self.fc = nn.Linear(8 * width, classes)
        draw_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of normalised images (B, 3, 32, 32).

        Behind the stem the side S of the maps is 16 for ResNet9, 32 for the stem for CIFAR, 8 for
        ImageNet's. Other sizes of images are possible as well.
        """
        maps = self.bn1(self.conv1(images))
        # ReLU after the pooling gives what ReLU before it gives, on a quarter of the values.
        maps = self.relu(self.maxpool(maps))  # (B, width, S, S)
        maps = self.layer1(maps)  # (B, width, S, S)
        maps = self.layer2(maps)  # (B, 2 width, S / 2, S / 2)
        maps = self.layer3(maps)  # (B, 4 width, S / 4, S / 4)
        maps = self.layer4(maps)  # (B, 8 width, S / 8, S / 8)
        features = self.avgpool(maps).flatten(1)  # (B, 8 width)
        features = F.dropout(features, self.dropout, self.training)
        logits: Tensor = self.fc(features)  # (B, classes)
        return logits

    def extra_repr(self) -> str:
        """Dropout is not a layer of its own, so that the layers are those of torchvision."""
        return f"dropout={self.dropout}" if self.dropout else ""


def resnet9(record: ResNet9, classes: int = CLASSES) -> ResidualNetwork:
    """One block in each stage, after a 3x3 convolution and max-pooling; the last map is 2x2."""
    return ResidualNetwork(record, Stem(kernel=3, stride=1, pooled=True), 1, classes)


def resnet18_cifar(record: ResNet18Cifar, classes: int = CLASSES) -> ResidualNetwork:
    """Two blocks in each stage, after a 3x3 convolution alone; the last map is 4x4."""
    return ResidualNetwork(record, Stem(kernel=3, stride=1, pooled=False), 2, classes)


def resnet18_imagenet(record: ResNet18ImageNet, classes: int = CLASSES) -> ResidualNetwork:
    """ResNet18 as torchvision has it, but for the number of classes; the last map of a 32x32 image is 1x1.

    All weights are random; with ``record.frozen`` only the last layer's will be trained.
    """
    network = ResidualNetwork(record, Stem(kernel=7, stride=2, pooled=True), 2, classes)
    if record.frozen:
        network.requires_grad_(requires_grad=False)
        network.fc.requires_grad_()
    return network


def _stage(
    channels_in: int, channels_out: int, stride: int, depth: int, norm: Norm
) -> nn.Sequential:
    """`depth` blocks, of which the first changes the shape."""
    first = BasicBlock(channels_in, channels_out, stride, norm)
    rest = [BasicBlock(channels_out, channels_out, 1, norm) for _ in range(depth - 1)]
    return nn.Sequential(first, *rest)
