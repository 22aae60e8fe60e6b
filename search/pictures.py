"""The prepared pictures of a study: one file that every worker maps instead of holding a copy."""

import json
from pathlib import Path

import numpy as np
import torch

from cifar_core.data.resident import Part, Splits
from cifar_core.files import write_atomically

__all__ = ["map_pictures", "store_pictures"]

RECORD = 3 * 32 * 32
PAGE = 4096


def store_pictures(splits: Splits, path: Path) -> None:
    """Write both parts: a page with a JSON header, then all images, then all labels as int64."""
    header = json.dumps(
        {
            "train": len(splits.train),
            "validation": len(splits.validation),
            "mean": splits.mean,
            "std": splits.std,
            "digest": splits.digest,
        }
    ).encode()
    parts = (splits.train, splits.validation)
    images = b"".join(part.images.numpy().tobytes() for part in parts)
    labels = b"".join(part.labels.numpy().tobytes() for part in parts)
    write_atomically(path, header.ljust(PAGE) + images + labels)


def map_pictures(path: Path) -> Splits:
    """The pictures of `path`; the operating system keeps one copy for all processes that map it."""
    # Copy-on-write: torch wants memory that could be written; nobody writes, so nothing is copied.
    content = np.memmap(path, dtype=np.uint8, mode="c")
    header = json.loads(bytes(content[:PAGE]))
    counts = [header["train"], header["validation"]]
    images_end = PAGE + sum(counts) * RECORD
    images = torch.from_numpy(content[PAGE:images_end]).view(-1, 3, 32, 32)
    labels = torch.from_numpy(content[images_end:].view(np.int64))
    (train_images, validation_images), (train_labels, validation_labels) = (
        torch.split(images, counts),
        torch.split(labels, counts),
    )
    return Splits(
        Part(train_images, train_labels),
        Part(validation_images, validation_labels),
        tuple(header["mean"]),
        tuple(header["std"]),
        header["digest"],
    )
