"""Size and amount of computation of a network, found without images and without drawing weights."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cifar_core.models import NETWORKS, own
from cifar_core.models.layers import CLASSES
from cifar_core.recipe import Network, OwnNetwork

__all__ = ["Counts", "count"]


@dataclass(frozen=True)
class Counts:
    """The size of a network.

    Attributes:
        parameters: Numbers in all of its weights.
        trainable: Those of them that training changes.
        multiply_adds: Multiplications, each with its addition, of all convolutions and linear layers for
            one image. What many papers call FLOPs is this number; counted one by one it is twice that.
    """

    parameters: int
    trainable: int
    multiply_adds: int


def count(record: Network, image_size: int = 32, classes: int = CLASSES) -> Counts:
    """Count what `record` describes.

    The network is made on PyTorch's meta device, where tensors are shapes without content: no memory,
    no random numbers, and no trained weights are fetched. A user's own is made on the CPU.

    Args:
        record: The network and its options.
        image_size: Side of the image in pixels; networks with linear layers behind a whole map take
            32 alone.
        classes: Number of classes; by default CIFAR-10's.

    Raises:
        RuntimeError: The network does not take images of this size.
        NetworkError: It is a user's own, which cannot be made or may not be run.
    """
    if isinstance(record, OwnNetwork):
        # A user's code may look at its numbers, which the meta device does not have.
        with torch.random.fork_rng(devices=[]):
            network = own.build(record, classes).eval()
        image = torch.zeros(1, 3, image_size, image_size)
    else:
        with torch.device("meta"):
            network = NETWORKS[record.name](record, classes).eval()
            image = torch.empty(1, 3, image_size, image_size)
    done: list[int] = []

    def note(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        # Each number that comes out took as many as lead to one channel: weight (out, in / groups, ...).
        weight: Tensor = layer.weight  # type: ignore[assignment] # both kinds of layers have it
        done.append(output.numel() * weight[0].numel())

    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.forward = partial(_through_linear, layer)  # type: ignore[method-assign]
        elif isinstance(layer, nn.Conv2d):
            layer.forward = partial(_through_convolution, layer)  # type: ignore[method-assign]
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            layer.forward = _unchanged  # type: ignore[assignment,method-assign]
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(note)
    with torch.no_grad():
        network(image)
    sizes = [(weight.numel(), weight.requires_grad) for weight in network.parameters()]
    return Counts(
        parameters=sum(size for size, _ in sizes),
        trainable=sum(size for size, trained in sizes if trained),
        multiply_adds=sum(done),
    )


# PyTorch's own versions of these on the meta device are written in Python: they load its compiler, which
# takes seconds, and then milliseconds for each layer, which a search would spend on every trial.


def _through_linear(layer: nn.Linear, images: Tensor) -> Tensor:
    return images.new_empty((*images.shape[:-1], layer.out_features))


def _through_convolution(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """The shape that `torch.nn.Conv2d` documents."""
    assert not isinstance(layer.padding, str)  # noqa: S101 - for mypy; no network here has such a one
    sizes = [
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for size, padding, dilation, kernel, stride in zip(
            images.shape[-2:],
            layer.padding,
            layer.dilation,
            layer.kernel_size,
            layer.stride,
            strict=True,
        )
    ]
    if min(sizes) < 1:
        raise RuntimeError(
            f"A convolution of {layer.kernel_size} does not fit {tuple(images.shape)}."
        )
    return images.new_empty((*images.shape[:-3], layer.out_channels, *sizes))


def _unchanged(images: Tensor) -> Tensor:
    return images
