"""Networks, made from a recipe's record."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from cifar_core.models.layers import CLASSES
from cifar_core.models.net import TutorialNet
from cifar_core.models.own import build
from cifar_core.models.preact import PreActNetwork
from cifar_core.models.resnet import ResidualNetwork, resnet9, resnet18_cifar, resnet18_imagenet
from cifar_core.models.speednet import SpeedNetwork
from cifar_core.models.weights import load_weights
from cifar_core.recipe import Network, OwnNetwork, ResNet18ImageNet

__all__ = [
    "NETWORKS",
    "TITLES",
    "PreActNetwork",
    "ResidualNetwork",
    "SpeedNetwork",
    "TutorialNet",
    "network_of",
]

NETWORKS: Mapping[str, Callable[[Any, int], nn.Module]] = {
    "net": TutorialNet,
    "resnet9": resnet9,
    "resnet18_cifar": resnet18_cifar,
    "resnet18_imagenet": resnet18_imagenet,
    "preact_resnet18": PreActNetwork,
    "speednet": SpeedNetwork,
}
"""Builders of networks with random weights, from a record and the number of classes, by ``name``."""

TITLES: Mapping[str, str] = {
    "net": "the PyTorch tutorial's two convolutions and three linear layers",
    "resnet9": "ResNet with one block per stage, after a pooled 3x3 stem",
    "resnet18_cifar": "ResNet18 with a 3x3 stem, for 32x32 images",
    "resnet18_imagenet": "torchvision's ResNet18, with or without its ImageNet weights",
    "preact_resnet18": "ResNet18 with norm and ReLU before each convolution",
    "speednet": "a small network for the most accuracy per second",
}
"""Each network on one line."""


def network_of(record: Network, classes: int = CLASSES) -> nn.Module:
    """The network that `record` describes, freshly initialised from PyTorch's global generator.

    Args:
        record: The network and its options.
        classes: Number of classes; by default CIFAR-10's.

    Raises:
        WeightsError: The trained weights that the record names cannot be had, or do not fit.
        NetworkError: It is a user's own, which cannot be made or may not be run.
    """
    if isinstance(record, OwnNetwork):
        return build(record, classes)
    network = NETWORKS[record.name](record, classes)
    if isinstance(record, ResNet18ImageNet) and record.weights != "random":
        load_weights(network, record.weights)
    return network
