"""The images as a training holds them: whole, as bytes, on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cifar_core.augmentation.geometry import mirrors
from cifar_core.augmentation.layout import images_of, joined, lines_of, taken
from cifar_core.augmentation.mixing import mix
from cifar_core.augmentation.pipeline import augment
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.data.split import Split
from cifar_core.recipe import Augmentation, Recipe

__all__ = ["Normalization", "Part", "Splits", "splits_of", "training_batches"]

Channels = tuple[float, float, float]

SIDE = 32


@dataclass(frozen=True)
class Part:
    """Images of one part of a split.

    Attributes:
        images: (N, 3, 32, 32) uint8; in channels-last memory, which everything that follows is fastest
            with.
        labels: (N,) int64, from 0 to one less than `classes`.
        both_ways: (2N, 3, 32, 32) uint8, the same images followed by all of them mirrored left to
            right, where memory is cheaper than mirroring in every epoch; else None.
        classes: Number of classes; by default CIFAR-10's.
    """

    images: Tensor
    labels: Tensor
    both_ways: Tensor | None = None
    classes: int = 10

    @classmethod
    def of(
        cls, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], classes: int = 10
    ) -> "Part":
        """A part on the CPU of images in planes, (N, 3, 32, 32), as the files have them."""
        planes = torch.from_numpy(images)
        channels_last = planes.contiguous(memory_format=torch.channels_last)
        return cls(channels_last, torch.from_numpy(labels), classes=classes)

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Part":
        """The same images on `device`; nothing is copied if they are there.

        The copy is waited for: it comes from ordinary memory, or a file, which a GPU cannot read by
        itself. A process does this once. Mirrored images stay behind: a GPU mirrors in no time, and its
        memory is dear.
        """
        if device == self.images.device:
            return self
        return Part(self.images.to(device), self.labels.to(device), classes=self.classes)

    def mirrored_too(self) -> "Part":
        """The same part, its images both ways in memory of their own."""
        both = joined([self.images, self.images.flip(-1)])
        return Part(both[: len(self)], self.labels, both, self.classes)


@dataclass(frozen=True)
class Splits:
    """The images of a training: one part to train on, one to validate on, and perhaps one to confirm on.

    Attributes:
        train: The part to train on.
        validation: The part that scores are taken on.
        mean: Mean of the red, green and blue bytes of the training part, 0-255.
        std: Their standard deviations, 0-255.
        digest: Identifies the images and their split (see `Split.digest`).
        confirming: The part that no score is taken on, for confirming; None where nothing was set aside.
    """

    train: Part
    validation: Part
    mean: Channels
    std: Channels
    digest: str
    confirming: Part | None = None

    @property
    def confirms(self) -> Part:
        """The part to confirm on: all validation images where nothing was set aside."""
        return self.validation if self.confirming is None else self.confirming

    def to(self, device: torch.device) -> "Splits":
        """The same images on `device`."""
        return Splits(
            self.train.to(device),
            self.validation.to(device),
            self.mean,
            self.std,
            self.digest,
            None if self.confirming is None else self.confirming.to(device),
        )


@dataclass(frozen=True)
class Normalization:
    """Bytes to floats: ``byte * scale + shift``, per channel.

    Both are spread over a whole image, because broadcasting over three neighbouring channels takes ten
    times as long as the sum.

    Attributes:
        scale: (1, 3, 32, 32) float32, channels last.
        shift: (1, 3, 32, 32) float32, channels last.
    """

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, recipe: Recipe, splits: Splits) -> "Normalization":
        """The normalisation that `recipe` asks for, on the device of the images."""
        if recipe.normalization == "symmetric":
            mean, std = (127.5,) * 3, (127.5,) * 3
        else:
            mean, std = splits.mean, splits.std
        device = splits.train.images.device
        scale = 1.0 / torch.tensor(std, device=device).view(1, 3, 1, 1)
        shift = -torch.tensor(mean, device=device).view(1, 3, 1, 1) * scale
        return cls(*(_spread(values) for values in (scale, shift)))

    def __call__(self, images: Tensor) -> Tensor:
        """Normalised float32 images (B, 3, 32, 32), channels last, of uint8 or float ones."""
        floats = images.to(torch.float32, memory_format=torch.channels_last, copy=True)
        return torch.addcmul(self.shift, floats, self.scale, out=floats)


def splits_of(labelled: LabelledImages, split: Split) -> Splits:
    """The parts of `split` as tensors on the CPU, with the training part's statistics."""
    train, validation, confirming = (
        (labelled.images[part], labelled.labels[part], labelled.classes)
        for part in (split.train, split.validation, split.confirming)
    )
    mean, std = _statistics(train[0])
    return Splits(
        Part.of(*train),
        Part.of(*validation),
        mean,
        std,
        split.digest,
        Part.of(*confirming) if len(split.confirming) else None,
    )


def training_batches(
    part: Part,
    batch_size: int,
    augmentation: Augmentation,
    normalize: Normalization,
    generator: torch.Generator | None,
    choices: np.random.Generator,
    together: int,
    normalize_at_once: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of batches in a fresh random order, augmented and normalised where the images are.

    What does not fill the last batch is left out of this epoch, so that every step is of one size.

    The batches of some hundred images are augmented at once, so that the cost of starting an operation is
    shared. A policy gives neighbouring rows the same operation: therefore the first of k batches
    gets the rows 0, k, 2k, ..., the second 1, k + 1, ..., and each has its share of every operation.

    Args:
        part: The training images.
        batch_size: Images in a batch; all images if there are fewer.
        augmentation: What happens to each image.
        normalize: Bytes to floats.
        generator: Draws order and augmentations, on the device of the images.
        choices: Draws on the host what decides which operations are computed, so that no device is
            waited for.
        together: Images that are augmented at once; one batch at least is (see `Backend`).
        normalize_at_once: Normalise as many at once, not a batch at a time; the batches are the same.

    Yields:
        Images (B, 3, 32, 32) float32, channels last, and labels: (B,) int64, or where images are
        mixed (B, classes) float32, each class's share.
    """
    size = min(batch_size, len(part))
    order = torch.randperm(len(part), generator=generator, device=part.labels.device)
    chunk = max(1, together // size) * size
    kept, rest = part.images, augmentation
    if part.both_ways is not None:
        kept, rest = part.both_ways, augmentation.model_copy(update={"flip": 0.0})
    for rows in torch.split(order[: len(part) // size * size], chunk):
        places = rows
        if part.both_ways is not None and augmentation.flip:
            mirrored = mirrors(len(rows), augmentation.flip, rows.device, generator)
            places = rows + len(part) * mirrored
        images = augment(taken(kept, places), rest, generator, choices)
        classes = part.labels.index_select(0, rows)
        count = len(rows) // size
        dealt = classes.view(size, count).T.contiguous()  # (batches, B)
        if normalize_at_once:
            batches = torch.split(normalize(_dealt(images, count)), size)  # each (B, 3, 32, 32)
        for number in range(count):
            labels = dealt[number]
            batch = batches[number] if normalize_at_once else normalize(images[number::count])
            if augmentation.mixes:
                yield mix(batch, labels, augmentation, generator, choices, part.classes)
            else:
                yield batch, labels


def _dealt(images: Tensor, count: int) -> Tensor:
    """Put images (N, 3, 32, 32) in the order of `count` batches: every `count`-th is in the first."""
    lines = lines_of(images)  # (N, 32, 96)
    dealt = lines.view(-1, count, *lines.shape[1:]).transpose(0, 1).flatten(0, 1)
    return images_of(dealt, images.shape[1])


def _spread(values: Tensor) -> Tensor:
    """One value a channel, (1, 3, 1, 1), over a whole channels-last image: (1, 3, 32, 32)."""
    return values.expand(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)


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
