"""The pictures as a training holds them: whole, as bytes, on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cifar_core.augmentation.mixing import mix
from cifar_core.augmentation.pipeline import augment
from cifar_core.data.pictures import Pictures
from cifar_core.data.split import Split
from cifar_core.recipe import Augmentation, Recipe

__all__ = ["Normalization", "Part", "Splits", "splits_of", "training_batches"]

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """Pictures of one part of a split.

    Attributes:
        images: (N, 3, 32, 32) uint8.
        labels: (N,) int64, 0-9.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Part":
        """The same pictures on `device`; nothing is copied if they are there."""
        return Part(
            self.images.to(device, non_blocking=True), self.labels.to(device, non_blocking=True)
        )


@dataclass(frozen=True)
class Splits:
    """What a training needs of the pictures.

    Attributes:
        train: The part to train on.
        validation: The part that scores are taken on.
        mean: Mean of the red, green and blue bytes of the training part, 0-255.
        std: Their standard deviations, 0-255.
        digest: Identifies the pictures and their split (see `Split.digest`).
    """

    train: Part
    validation: Part
    mean: Channels
    std: Channels
    digest: str

    def to(self, device: torch.device) -> "Splits":
        """The same pictures on `device`."""
        return Splits(
            self.train.to(device), self.validation.to(device), self.mean, self.std, self.digest
        )


@dataclass(frozen=True)
class Normalization:
    """Bytes to floats: ``byte * scale + shift``, per channel.

    Attributes:
        scale: (1, 3, 1, 1) float32.
        shift: (1, 3, 1, 1) float32.
    """

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, recipe: Recipe, splits: Splits) -> "Normalization":
        """The normalisation that `recipe` asks for, on the device of the pictures."""
        if recipe.normalization == "symmetric":
            mean, std = (127.5,) * 3, (127.5,) * 3
        else:
            mean, std = splits.mean, splits.std
        device = splits.train.images.device
        scale = 1.0 / torch.tensor(std, device=device).view(1, 3, 1, 1)
        return cls(scale, -torch.tensor(mean, device=device).view(1, 3, 1, 1) * scale)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalised float32 pictures (B, 3, 32, 32), channels last, of uint8 or float ones."""
        floats = images.to(torch.float32, memory_format=torch.channels_last, copy=True)
        return floats.mul_(self.scale).add_(self.shift)


def splits_of(pictures: Pictures, split: Split) -> Splits:
    """Both parts of `split` as tensors on the CPU, with the training part's statistics."""
    train = pictures.images[split.train]
    mean, std = _statistics(train)
    return Splits(
        Part(torch.from_numpy(train), torch.from_numpy(pictures.labels[split.train])),
        Part(
            torch.from_numpy(pictures.images[split.validation]),
            torch.from_numpy(pictures.labels[split.validation]),
        ),
        mean,
        std,
        split.digest,
    )


def training_batches(
    part: Part,
    batch_size: int,
    augmentation: Augmentation,
    normalize: Normalization,
    generator: torch.Generator | None,
    choices: np.random.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of batches in a fresh random order, augmented and normalised where the pictures are.

    What does not fill the last batch is left out of this epoch, so that every step is of one size.

    Args:
        part: The training pictures.
        batch_size: Pictures in a batch; all pictures if there are fewer.
        augmentation: What happens to each picture.
        normalize: Bytes to floats.
        generator: Draws order and augmentations, on the device of the pictures.
        choices: Draws on the host what decides which operations are computed, so that no device is
            waited for.

    Yields:
        Pictures (B, 3, 32, 32) float32, channels last, and labels: (B,) int64, or where pictures are
        mixed (B, 10) float32, each class's share.
    """
    size = min(batch_size, len(part))
    order = torch.randperm(len(part), generator=generator, device=part.labels.device)
    for rows in order[: len(part) // size * size].view(-1, size).unbind():
        images = part.images.index_select(0, rows)  # (B, 3, 32, 32) uint8
        images = normalize(augment(images, augmentation, generator, choices))
        labels = part.labels.index_select(0, rows)
        if augmentation.mixes:
            images, labels = mix(images, labels, augmentation, generator, choices)
        yield images, labels


def _statistics(images: npt.NDArray[np.uint8]) -> tuple[Channels, Channels]:
    """Mean and standard deviation of each channel's bytes, exactly, by counting values."""
    counts = np.zeros((3, 256), dtype=np.int64)
    for start in range(0, len(images), 5_000):  # a few megabytes at a time
        chunk = images[start : start + 5_000]
        for channel in range(3):
            counts[channel] += np.bincount(chunk[:, channel].ravel(), minlength=256)
    values = np.arange(256.0)
    share = counts / counts.sum(axis=1, keepdims=True)
    mean = share @ values
    std = np.sqrt(share @ values**2 - mean**2)
    # A channel of one value would divide by nothing.
    std = np.maximum(std, 1.0)
    return _three(mean), _three(std)


def _three(values: npt.NDArray[np.float64]) -> Channels:
    red, green, blue = values.tolist()
    return red, green, blue
