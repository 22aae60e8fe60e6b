"""The training images, split into parts to train on, to score on and to confirm on, the same for ever."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cifar_core.data.labelled_images import LabelledImages
from cifar_core.errors import DataError

__all__ = [
    "SPLIT_SEED",
    "VALIDATION_IMAGES",
    "Split",
    "confirming_images",
    "split",
    "validation_images",
]

VALIDATION_IMAGES = 5_000
"""Validation images, of which smaller data sets have fewer."""
VALIDATION_SHARE = 5
"""At most one in so many images validates."""
SPLIT_SEED = 20_260

Indices = npt.NDArray[np.int64]


def _none() -> Indices:
    return np.empty(0, dtype=np.int64)


def validation_images(count: int) -> int:
    """Return how many of `count` images validate.

    >>> validation_images(50_000), validation_images(2_000)
    (5000, 400)
    """
    return min(VALIDATION_IMAGES, count // VALIDATION_SHARE)


def confirming_images(count: int) -> int:
    """Return how many of `count` images score no trial of a search, and confirm its result.

    They are half of those that validate: see docs/CONFIRMATION.md.

    >>> confirming_images(50_000), confirming_images(2_000)
    (2500, 200)
    """
    return validation_images(count) // 2


@dataclass(frozen=True)
class Split:
    """Which images train and which validate, as indices into the training files.

    Attributes:
        train: Indices of the images to train on, ascending.
        validation: Indices of the images to validate on, ascending; the same ones for every
            number of training images.
        digest: Sixteen hexadecimal digits over the pixels and labels of all parts, in order: two
            runs with equal digests trained and validated on the same images.
        confirming: Indices of the images to confirm on, ascending; none unless they were asked for.
    """

    train: Indices
    validation: Indices
    digest: str
    confirming: Indices = field(default_factory=_none)


def split(
    labelled: LabelledImages,
    train_images: int | None = None,
    seed: int = SPLIT_SEED,
    confirming: int = 0,
) -> Split:
    """Split the training images, each class in the same proportion, the same way every time.

    Args:
        labelled: The images of the training files.
        train_images: How many to train on, from one of each class to all that validation leaves; all by
            default.
        seed: Decides which images validate.
        confirming: How many of the `validation_images` to set aside for confirming; 0 to validate on all.
            The training images are the same either way.

    Raises:
        DataError: `train_images` is out of range.
    """
    validating = validation_images(len(labelled.labels))
    available = len(labelled.labels) - validating
    if train_images is None:
        train_images = available
    if not labelled.classes <= train_images <= available:
        raise DataError(
            f"The number of training images must be from {labelled.classes} to {available} "
            f"({len(labelled.labels)} less {validating} for validation), "
            f"but got {train_images}."
        )
    order = np.random.default_rng(seed).permutation(len(labelled.labels))
    validation, rest = _take_stratified(order, labelled, validating)
    train, _ = _take_stratified(rest, labelled, train_images)
    scored, apart = _take_stratified(validation, labelled, validating - confirming)
    train, validation, apart = np.sort(train), np.sort(scored), np.sort(apart)
    return Split(train, validation, _digest(labelled, train, validation, apart), apart)


def _take_stratified(
    order: Indices, labelled: LabelledImages, count: int
) -> tuple[Indices, Indices]:
    """The first `count` of `order` with every class in its proportion, and what is left."""
    labels = labelled.labels
    shares = np.bincount(labels[order], minlength=labelled.classes) * (count / len(order))
    quota = np.floor(shares).astype(np.int64)
    # What rounding down left over goes to the classes that lost most by it, lower labels first.
    by_loss = np.argsort(quota - shares, kind="stable")
    quota[by_loss[: count - quota.sum()]] += 1
    rank = np.empty(len(order), dtype=np.int64)  # how many of its class stand before each image
    for label in range(labelled.classes):
        members = labels[order] == label
        rank[members] = np.arange(members.sum())
    taken = rank < quota[labels[order]]
    return order[taken], order[~taken]


def _digest(labelled: LabelledImages, *parts: Indices) -> str:
    digest = hashlib.sha256()
    for part in parts:  # one without images changes nothing
        digest.update(labelled.images[part].data)
        digest.update(labelled.labels[part].data)
    return digest.hexdigest()[:16]
