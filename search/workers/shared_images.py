"""The prepared images of a study: one file that every worker maps instead of holding a copy."""

import json
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from cifar_core.data.dataset import DataSet
from cifar_core.data.resident import Part, Splits, splits_of
from cifar_core.data.split import split
from cifar_core.files import write_atomically
from search.errors import ServiceError, UsageError
from search.study.settings import DataIdentity

__all__ = [
    "check_train_images",
    "cut_to",
    "identity_of",
    "map_images",
    "pixel_statistics",
    "prepare_images",
    "splits_in",
    "store_images",
]

RECORD = 3 * 32 * 32
PAGE = 4096


def check_train_images(wanted: int | None, data: DataSet) -> None:
    """Refuse an impossible number of training images.

    Raises:
        UsageError: It is too small for every class to have one, or larger than what validation leaves.
    """
    fewest, most = len(data.classes), data.most_train_images
    if wanted is not None and not fewest <= wanted <= most:
        raise UsageError(f"--train-images must be from {fewest} to {most}, but got {wanted}.")


def cut_to(data: DataSet, wanted: int | None) -> tuple[int | None, str | None]:
    """Return the number of images to train on of those that a quick run wants, and what to say of it.

    Args:
        data: The data set.
        wanted: The number; None for all.

    Returns:
        The number, or None for all; and a sentence where there are fewer than were wanted.
    """
    most = data.most_train_images
    if wanted is None or wanted <= most:
        return wanted, None
    return None, f"There are {most:,} training images, and not {wanted:,}: all are trained on."


def identity_of(data: DataSet, splits: Splits, *, official: bool) -> DataIdentity:
    """Return the images of a study: the data set, and how it is split."""
    return DataIdentity(
        name=data.name,
        official=official,
        train=len(splits.train),
        validation=len(splits.validation),
        split=splits.digest,
        confirming=0 if splits.confirming is None else len(splits.confirming),
        classes=list(data.classes) if data.name == "folder" else [],
    )


def prepare_images(
    data: DataSet, train_images: int | None, path: Path, confirming: int = 0
) -> DataIdentity:
    """Read the training files, split them, and store what the workers map.

    Args:
        data: The data set; its test files are not opened.
        train_images: Images to train on; None for all that validation leaves.
        path: File to write.
        confirming: Validation images to set aside for confirming.

    Raises:
        ServiceError: The file cannot be written.
    """
    labelled = data.read_train()
    splits = splits_of(labelled, split(labelled, train_images, confirming=confirming))
    try:
        store_images(splits, path)
    except OSError as error:
        raise ServiceError(
            f"The images cannot be written to {path}: {error.strerror}. "
            "Make space, or choose another home with --home."
        ) from error
    return identity_of(data, splits, official=labelled.official)


def store_images(splits: Splits, path: Path) -> None:
    """Write all parts: a page with a JSON header, then all images, then all labels as int64.

    Images are written channels last, as workers need them in memory. The training images are there twice,
    the second time mirrored: all workers share the file, and each would mirror half of them in every
    epoch.
    """
    header = json.dumps(
        {
            "train": len(splits.train),
            "validation": len(splits.validation),
            "mean": splits.mean,
            "std": splits.std,
            "digest": splits.digest,
            "classes": splits.train.classes,
            "confirming": 0 if splits.confirming is None else len(splits.confirming),
        }
    ).encode()
    parts = [splits.train, splits.validation]
    parts += [] if splits.confirming is None else [splits.confirming]
    train, *others = (part.images for part in parts)
    images = (train, train.flip(-1), *others)
    pieces = [
        *(one.permute(0, 2, 3, 1).contiguous().numpy() for one in images),
        *(part.labels.numpy() for part in parts),
    ]
    write_atomically(path, header.ljust(PAGE), *(piece.data for piece in pieces))


def pixel_statistics(path: Path) -> dict[str, list[float]]:
    """Return mean and standard deviation of the training part's channels, for pixels from 0 to 1.

    Args:
        path: A file of prepared images.
    """
    with path.open("rb") as file:
        header = json.loads(file.read(PAGE))
    return {key: [value / 255 for value in header[key]] for key in ("mean", "std")}


def map_images(path: Path) -> Splits:
    """Map the images of `path`, of which the operating system keeps one copy for all processes."""
    # Copy-on-write: PyTorch wants writable memory; nobody writes, so nothing is copied.
    return splits_in(np.memmap(path, dtype=np.uint8, mode="c"))


def splits_in(content: npt.NDArray[np.uint8]) -> Splits:
    """Return the images that a file of them holds; they share its memory.

    Args:
        content: (bytes,) the whole file. Nothing is written to it.
    """
    header = json.loads(bytes(content[:PAGE]))
    train, validation, confirming = (header[one] for one in ("train", "validation", "confirming"))
    images_end = PAGE + (2 * train + validation + confirming) * RECORD
    with warnings.catch_warnings():
        # An object store's memory is read-only, which PyTorch has no word for; nobody writes.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        images = torch.from_numpy(content[PAGE:images_end]).view(-1, 32, 32, 3).permute(0, 3, 1, 2)
        labels = torch.from_numpy(content[images_end:].view(np.int64))
    both_ways, *others = torch.split(images, [2 * train, validation, confirming])
    train_labels, *other_labels = torch.split(labels, [train, validation, confirming])
    classes = header["classes"]
    scoring, apart = (
        Part(*both, classes=classes) for both in zip(others, other_labels, strict=True)
    )
    return Splits(
        Part(both_ways[:train], train_labels, both_ways, classes),
        scoring,
        tuple(header["mean"]),
        tuple(header["std"]),
        header["digest"],
        apart if confirming else None,
    )
