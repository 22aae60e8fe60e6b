"""Diagnostics of a trained network: accuracy by class, confusion matrix, feature maps."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from cifar_core.augmentation.mixing import mix
from cifar_core.augmentation.pipeline import augment
from cifar_core.data.resident import Normalization, Part
from cifar_core.device import Backend
from cifar_core.recipe import Augmentation
from cifar_core.seeds import derive

__all__ = [
    "augmented_versions",
    "class_accuracies",
    "confusion",
    "feature_maps",
    "one_of_each_class",
    "short_names",
]

BATCH = 128
"""Images that are augmented together for a sheet: about as many as in a training's batch."""
SHORT = {"airplane": "plane", "automobile": "car"}


def short_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Names of classes as tables and figures have them.

    >>> short_names(["airplane", "automobile", "bird"])
    ('plane', 'car', 'bird')
    """
    return tuple(SHORT.get(name, name) for name in classes)


@torch.inference_mode()
def confusion(network: nn.Module, part: Part, normalize: Normalization, backend: Backend) -> Tensor:
    """Count what the images of each class are taken for.

    The device is waited for once, at the end.

    Args:
        network: On the device of the images; left in the mode it was found in.
        part: The images.
        normalize: Bytes to floats.
        backend: The precision to compute in, and how many images at a time.

    Returns:
        (classes, classes) int64 on the CPU: the row is the true class, the column the predicted one.
    """
    classes = part.classes
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=part.labels.device)
    size = backend.evaluation_batch
    with _evaluating(network):
        for images, labels in zip(
            torch.split(part.images, size), torch.split(part.labels, size), strict=True
        ):
            with backend.precision():
                predicted = network(normalize(images)).argmax(1)  # (B,)
            # Not bincount: on a GPU it has to look at the labels before it knows its own size.
            counts.index_add_(0, labels * classes + predicted, torch.ones_like(labels))
    return counts.view(classes, classes).cpu()


def class_accuracies(counts: Tensor) -> tuple[float | None, ...]:
    """Share of each class's images that were classified right, 0-1.

    Args:
        counts: (classes, classes) int64, as `confusion` makes it.

    Returns:
        A share for each class; None for a class without images.

    >>> class_accuracies(torch.tensor([[3, 1], [0, 0]]))
    (0.75, None)
    """
    right, all_ = counts.diagonal().tolist(), counts.sum(1).tolist()
    return tuple(one / total if total else None for one, total in zip(right, all_, strict=True))


@torch.inference_mode()
def feature_maps(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Return the output of each convolution of a network for one image, in evaluation mode.

    Args:
        network: Any network of 2d convolutions; mode and hooks are left as they were found.
        image: (3, H, W) float32, normalised, on the device of the network.

    Returns:
        For each convolution, by its name in the network and in the order of computing, its output
        (C, H, W) in float32 on the CPU, before whatever follows it. A convolution that is used more
        than once has a second, ``name (2)``, and so on.
    """
    maps: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(partial(_keep, maps, name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        with _evaluating(network):
            network(image[None])
    finally:
        for hook in hooks:
            hook.remove()
    return maps


def one_of_each_class(part: Part, seed: int) -> Tensor:
    """A random image of each class that `part` has.

    Args:
        part: The images, on the CPU.
        seed: Decides which.

    Returns:
        (R,) int64 indices into `part`, in the order of the classes.
    """
    choices = np.random.default_rng(derive(seed, "pictures"))
    found = (torch.nonzero(part.labels == label).flatten() for label in range(part.classes))
    return torch.stack([rows[int(choices.integers(len(rows)))] for rows in found if len(rows)])


def augmented_versions(
    part: Part, rows: Tensor, record: Augmentation, versions: int, seed: int
) -> Tensor:
    """Some images as a training would see them in as many epochs.

    Each version comes from a batch of its own, of random images in random order among which the
    wanted ones stand, because that is what the augmentations count on: which operation an image
    gets follows from its place, and what it is mixed with are the others.

    Args:
        part: The training images, on the CPU.
        rows: (R,) int64, which of them are wanted.
        record: The augmentation.
        versions: How many of each image.
        seed: Decides all that is random.

    Returns:
        (R, versions, 3, 32, 32) uint8.
    """
    generator = torch.Generator().manual_seed(derive(seed, "augmentation"))
    choices = np.random.default_rng(derive(seed, "choices"))
    others = min(max(BATCH - len(rows), 0), len(part))
    made = []
    for _ in range(versions):
        company = torch.randperm(len(part), generator=generator)[:others]
        batch = torch.cat([rows, company])  # (B,)
        order = torch.randperm(len(batch), generator=generator)
        taken = batch[order]
        images = augment(part.images[taken], record, generator, choices)  # (B, 3, 32, 32) uint8
        if record.mixes:
            # Weights that add up to one mix bytes as they mix normalised images.
            labels = part.labels[taken]
            mixed, _ = mix(images.float(), labels, record, generator, choices, part.classes)
            images = mixed.round().clamp(0, 255).to(torch.uint8)
        made.append(images[order.argsort()[: len(rows)]])  # (R, 3, 32, 32)
    return torch.stack(made, dim=1)


def _keep(
    maps: dict[str, Tensor], name: str, _module: nn.Module, _inputs: object, output: Tensor
) -> None:
    key, use = name, 1
    while key in maps:
        use += 1
        key = f"{name} ({use})"
    # A copy: what follows may work in place.
    maps[key] = output[0].to("cpu", torch.float32, copy=True)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; afterwards each module has the mode it had."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
