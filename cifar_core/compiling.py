"""`torch.compile` for one training: its network, for its batches, or in words why not."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from cifar_core.device import Backend, ran_out_of_memory
from cifar_core.text_files import first_line

__all__ = ["Forward", "compiled"]

Forward = Callable[[Tensor], Tensor]
"""Normalised images (B, 3, 32, 32) to logits (B, classes)."""


def compiled(network: nn.Module, images: Tensor, backend: Backend) -> tuple[Forward, str | None]:
    """The network's forward pass, compiled with its backward pass, if that can be done here.

    Safe where widths and learning rates change from training to training. The optimizer is not compiled
    but fused, so a rate is a number that it is handed and no reason to compile again. Shapes are fixed:
    a training has batches of one size, and is evaluated without this. What older trainings have compiled is
    dropped first, because PyTorch gives up compiling a function after eight networks.

    The first use, which compiles, is made here on `images`, and network and gradients are left as they
    were. PyTorch's global random numbers are not.

    Args:
        network: On its device.
        images: A batch as the training will have them, normalised.
        backend: The precision to compute in.

    Returns:
        What to call for training, and None; or the network itself, and the reason in a line.
    """
    torch.compiler.reset()
    forward = torch.compile(network, dynamic=False)
    kept, mode = copy.deepcopy(network.state_dict()), network.training
    network.train()
    try:
        with backend.precision():
            logits = forward(images)
        logits.float().sum().backward()
    except Exception as error:
        if ran_out_of_memory(error):
            raise  # training as it is would not fit either, and has the right words for it
        return network, f"{type(error).__name__}: {first_line(error)[:200]}"
    finally:
        network.load_state_dict(kept)
        network.zero_grad(set_to_none=True)
        network.train(mode)
    return forward, None
