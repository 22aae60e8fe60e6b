"""Weights that a network starts from: torchvision's for ImageNet, or those of a file."""

import sys
from pathlib import Path

import torch
from torch import nn

from cifar_core.models.weights import IMAGENET_URL, LAST_LAYER

__all__ = ["load_trained"]


def load_trained(network: nn.Module, weights: str) -> None:
    """Give a network trained weights in all layers but its last, which stays as it is.

    Args:
        network: The network.
        weights: ``imagenet``, which is downloaded once, or a file.
    """
    if weights == "imagenet":
        state = torch.hub.load_state_dict_from_url(
            IMAGENET_URL, map_location="cpu", check_hash=True, weights_only=True
        )
    elif Path(weights).is_file():
        state = torch.load(weights, map_location="cpu", weights_only=True)
    else:
        sys.exit(f"There is no file of weights at {weights}.")
    kept = {name: value for name, value in state.items() if not name.startswith(LAST_LAYER)}
    network.load_state_dict(kept, strict=False)
