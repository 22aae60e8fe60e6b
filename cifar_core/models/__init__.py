"""Networks, made from a recipe's record."""

from torch import nn

from cifar_core.models.net import TutorialNet
from cifar_core.recipe import Network

__all__ = ["TutorialNet", "network_of"]


def network_of(record: Network) -> nn.Module:
    """The network that `record` describes, freshly initialised from PyTorch's global generator."""
    return TutorialNet(record)
