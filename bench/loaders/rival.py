"""The interface of rival loaders, and their treatment of images."""

from collections.abc import Iterator
from typing import Literal, Protocol

from torch import Tensor

from cifar_core.data.resident import Part
from cifar_core.recipe import Augmentation

__all__ = ["AUGMENTATIONS", "Factory", "Level", "MissingRivalError", "Rival"]

Level = Literal["none", "standard", "strong"]

AUGMENTATIONS: dict[Level, Augmentation] = {
    "none": Augmentation(),
    "standard": Augmentation(flip=0.5, crop_padding=4, cutout=8),
    "strong": Augmentation(
        flip=0.5, crop_padding=4, cutout=8, policy="auto", strength=1.0, probability=1.0
    ),
}
"""The project's own record of each level; a rival's is the same in its own terms."""


class MissingRivalError(Exception):
    """The rival doesn't have the level asked for, or isn't installed; its text says which."""


class Rival(Protocol):
    """A loader: an endless supply of epochs of one part of the images.

    The images lie on the CPU, or where the training is for the loaders in `ON_DEVICE`.

    The seed decides the order of the images, and what worker processes draw. What else torchvision draws
    comes from PyTorch's global generator, which is the caller's to seed: keeping a state of its own
    would take 20 microseconds a batch, and they would be charged to the rival.

    Attributes:
        name: As tables show it.
    """

    name: str

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch in a fresh random order, without what doesn't fill the last batch.

        It may be abandoned half-way, and another one begun.

        Yields:
            Images (B, 3, 32, 32) float32, channels last, normalised, and labels (B,) int64.
        """
        ...

    def close(self) -> None:
        """End what runs beside the training process; there are no epochs after that."""
        ...


class Factory(Protocol):
    """Makes a rival."""

    def __call__(self, part: Part, batch_size: int, level: Level, seed: int) -> Rival:
        """A rival over `part`.

        Args:
            part: The images.
            batch_size: Images in a batch; all images if there are fewer.
            level: What happens to each image.
            seed: See `Rival`.

        Raises:
            MissingRivalError: It doesn't have this level, or isn't installed.
        """
        ...
