"""The training pictures, split into a training and a validation part that stay the same for ever."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cifar_core.data.pictures import Pictures
from cifar_core.errors import DataError

__all__ = ["CLASS_COUNT", "SPLIT_SEED", "VALIDATION_PICTURES", "Split", "split"]

CLASS_COUNT = 10
VALIDATION_PICTURES = 5_000
SPLIT_SEED = 20_260

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Which pictures train and which validate, as indices into the training files.

    Attributes:
        train: Indices of the pictures to train on, ascending.
        validation: Indices of the pictures to validate on, ascending; the same ones for every
            number of training pictures.
        digest: Sixteen hexadecimal digits over the pixels and labels of both parts, in order: two
            runs with equal digests trained and validated on the same pictures.
    """

    train: Indices
    validation: Indices
    digest: str


def split(pictures: Pictures, train_pictures: int | None = None, seed: int = SPLIT_SEED) -> Split:
    """Split the training pictures, each class in the same proportion, the same way every time.

    Args:
        pictures: The pictures of the training files.
        train_pictures: How many to train on, from 10 to all that validation leaves; all by default.
        seed: Decides which pictures validate.

    Raises:
        DataError: `train_pictures` is out of range.
    """
    available = len(pictures.labels) - VALIDATION_PICTURES
    if train_pictures is None:
        train_pictures = available
    if not CLASS_COUNT <= train_pictures <= available:
        raise DataError(
            f"The number of training pictures must be from {CLASS_COUNT} to {available} "
            f"({len(pictures.labels)} less {VALIDATION_PICTURES} for validation), "
            f"but got {train_pictures}."
        )
    order = np.random.default_rng(seed).permutation(len(pictures.labels))
    validation, rest = _take_stratified(order, pictures.labels, VALIDATION_PICTURES)
    train, _ = _take_stratified(rest, pictures.labels, train_pictures)
    train, validation = np.sort(train), np.sort(validation)
    return Split(train, validation, _digest(pictures, train, validation))


def _take_stratified(order: Indices, labels: Indices, count: int) -> tuple[Indices, Indices]:
    """The first `count` of `order` with every class in its proportion, and what is left."""
    shares = np.bincount(labels[order], minlength=CLASS_COUNT) * (count / len(order))
    quota = np.floor(shares).astype(np.int64)
    # What rounding down left over goes to the classes that lost most by it, lower labels first.
    by_loss = np.argsort(quota - shares, kind="stable")
    quota[by_loss[: count - quota.sum()]] += 1
    rank = np.empty(len(order), dtype=np.int64)  # how many of its class stand before each picture
    for label in range(CLASS_COUNT):
        members = labels[order] == label
        rank[members] = np.arange(members.sum())
    taken = rank < quota[labels[order]]
    return order[taken], order[~taken]


def _digest(pictures: Pictures, train: Indices, validation: Indices) -> str:
    digest = hashlib.sha256()
    for part in (train, validation):
        digest.update(pictures.images[part].data)
        digest.update(pictures.labels[part].data)
    return digest.hexdigest()[:16]
