"""The training images, split into parts to train on, to score on and to confirm on, the same for ever."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cifar_core.data.labelled_images import LabelledImages
from cifar_core.errors import DataError

__all__ = ["CLASS_COUNT", "CONFIRMING_IMAGES", "SPLIT_SEED", "VALIDATION_IMAGES", "Split", "split"]

CLASS_COUNT = 10
VALIDATION_IMAGES = 5_000
CONFIRMING_IMAGES = 2_500
"""Validation images that score no trial of a search, and confirm its result. See docs/CONFIRMATION.md."""
SPLIT_SEED = 20_260

Indices = npt.NDArray[np.int64]


def _none() -> Indices:
    return np.empty(0, dtype=np.int64)


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
        train_images: How many to train on, from 10 to all that validation leaves; all by default.
        seed: Decides which images validate.
        confirming: How many of the `VALIDATION_IMAGES` to set aside for confirming; 0 to validate on all.
            The training images are the same either way.

    Raises:
        DataError: `train_images` is out of range.
    """
    available = len(labelled.labels) - VALIDATION_IMAGES
    if train_images is None:
        train_images = available
    if not CLASS_COUNT <= train_images <= available:
        raise DataError(
            f"The number of training images must be from {CLASS_COUNT} to {available} "
            f"({len(labelled.labels)} less {VALIDATION_IMAGES} for validation), "
            f"but got {train_images}."
        )
    order = np.random.default_rng(seed).permutation(len(labelled.labels))
    validation, rest = _take_stratified(order, labelled.labels, VALIDATION_IMAGES)
    train, _ = _take_stratified(rest, labelled.labels, train_images)
    scored, apart = _take_stratified(validation, labelled.labels, VALIDATION_IMAGES - confirming)
    train, validation, apart = np.sort(train), np.sort(scored), np.sort(apart)
    return Split(train, validation, _digest(labelled, train, validation, apart), apart)


def _take_stratified(order: Indices, labels: Indices, count: int) -> tuple[Indices, Indices]:
    """The first `count` of `order` with every class in its proportion, and what is left."""
    shares = np.bincount(labels[order], minlength=CLASS_COUNT) * (count / len(order))
    quota = np.floor(shares).astype(np.int64)
    # What rounding down left over goes to the classes that lost most by it, lower labels first.
    by_loss = np.argsort(quota - shares, kind="stable")
    quota[by_loss[: count - quota.sum()]] += 1
    rank = np.empty(len(order), dtype=np.int64)  # how many of its class stand before each image
    for label in range(CLASS_COUNT):
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
