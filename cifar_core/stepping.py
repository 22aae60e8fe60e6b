"""Parts of a training: a fresh network, one optimizer step, the evaluation of a part."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from cifar_core.compiling import Forward
from cifar_core.data.resident import Normalization, Part, Splits
from cifar_core.device import Backend
from cifar_core.models import network_of
from cifar_core.models.speednet import SpeedNetwork
from cifar_core.recipe import Recipe

__all__ = ["answers", "evaluate", "new_network", "set_lr", "train_step"]

IMAGES_TO_WHITEN_BY = 5_000


def new_network(
    recipe: Recipe, splits: Splits, normalize: Normalization, backend: Backend
) -> nn.Module:
    """Make a fresh network on its device; a whitening layer is set from the training images."""
    network = backend.place(network_of(recipe.network, splits.train.classes))
    if isinstance(network, SpeedNetwork):
        network.whiten(normalize(splits.train.images[:IMAGES_TO_WHITEN_BY]))
    return network


def train_step(
    forward: Forward,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    label_smoothing: float,
    backend: Backend,
) -> tuple[Tensor, Tensor]:
    """Forward, backward, and one step of the optimizer.

    Args:
        forward: The network, in training mode, on the device of the images.
        optimizer: Over the network's parameters.
        images: (B, 3, 32, 32) float32, normalised.
        labels: (B,) int64, or (B, classes) float32, each class's share of a mixed image.
        label_smoothing: Share of the label's weight spread over all classes.
        backend: The precision to compute in.

    Returns:
        The loss before the step () and the logits (B, classes), both detached.
    """
    optimizer.zero_grad(set_to_none=True)
    with backend.precision():
        logits = forward(images)  # (B, classes)
        loss = _loss(logits, labels, label_smoothing, backend.fewer_kernels)
    loss.backward(gradient=backend.unit)  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach(), logits.detach()


def _loss(logits: Tensor, labels: Tensor, smoothing: float, fewer_kernels: bool) -> Tensor:
    """Return the mean cross-entropy (), with label smoothing (Szegedy et al. 2016, section 7).

    Label smoothing adds 17 kernels to PyTorch's own, most of them for options that are not used here; as
    it is written below it adds 8.
    """
    if not fewer_kernels or smoothing == 0.0 or labels.ndim > 1:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    log_probabilities = F.log_softmax(logits, 1)  # (B, classes)
    of_labels = F.nll_loss(log_probabilities, labels)
    return torch.add((1.0 - smoothing) * of_labels, log_probabilities.mean(), alpha=-smoothing)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Let the next step use this learning rate."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)  # a captured step reads this very tensor
        else:
            group["lr"] = lr


@torch.inference_mode()
def evaluate(
    network: nn.Module, part: Part, normalize: Normalization, backend: Backend
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of `network` on `part`; the network is left in evaluation mode."""
    network.eval()
    loss_sum = torch.zeros((), device=part.labels.device)
    correct = torch.zeros((), device=part.labels.device, dtype=torch.int64)
    size = backend.evaluation_batch
    for images, labels in zip(
        torch.split(part.images, size), torch.split(part.labels, size), strict=True
    ):
        with backend.precision():
            logits = network(normalize(images))  # (B, classes)
        loss_sum += F.cross_entropy(logits.float(), labels, reduction="sum")
        correct += (logits.argmax(1) == labels).sum()
    return loss_sum.item() / len(part), correct.item() / len(part)


@torch.inference_mode()
def answers(
    network: nn.Module,
    part: Part,
    normalize: Normalization,
    backend: Backend,
    *,
    flip_averaged: bool = False,
) -> Tensor:
    """Return which images of `part` `network` classifies right, (N,) bool, on the CPU.

    The network is left in evaluation mode.

    Args:
        network: The network.
        part: The images.
        normalize: Bytes to floats.
        backend: The precision to compute in.
        flip_averaged: Classify by the mean of the logits of an image and of its mirror image.
    """
    network.eval()
    found: list[Tensor] = []
    for images, labels in zip(
        torch.split(part.images, backend.evaluation_batch),
        torch.split(part.labels, backend.evaluation_batch),
        strict=True,
    ):
        floats = normalize(images)  # (B, 3, 32, 32)
        with backend.precision():
            logits = network(floats)  # (B, classes)
            if flip_averaged:
                logits = (logits.float() + network(floats.flip(-1)).float()) / 2.0
        found.append(logits.argmax(1) == labels)
    return torch.cat(found).cpu()
