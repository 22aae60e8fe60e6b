"""CIFAR-10's files, in either published layout, read with PyTorch alone."""

import hashlib
import io
import pickle
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cifar_core.data.cifar10 import CHECKSUMS, FOLDERS, PIXELS, RECORDS, TEST_FILES

__all__ = ["Images", "files_of", "read_images"]


class Images(NamedTuple):
    """Images and their classes.

    Attributes:
        images: (N, 3, 32, 32) uint8, in channels-last memory, which is fastest.
        labels: (N,) int64, 0-9.
    """

    images: Tensor
    labels: Tensor

    def rows(self, rows: Tensor) -> "Images":
        """Return those that `rows`, indices or booleans, choose."""
        return Images(self.images[rows], self.labels[rows])

    def to(self, device: torch.device) -> "Images":
        """Return the same ones on `device`."""
        images = self.images.to(device, memory_format=torch.channels_last)
        return Images(images, self.labels.to(device))


def read_images(folder: Path, *, test: bool) -> Images:
    """Read the 50,000 training images, or the 10,000 test images.

    Args:
        folder: One that has ``cifar-10-batches-py`` or ``cifar-10-batches-bin``, or one of these.
        test: Read the test images.
    """
    parts, others = [], []
    for path in files_of(folder, test=test):
        try:
            content = path.read_bytes()
        except OSError as error:
            sys.exit(f"{path} cannot be read: {error.strerror}.")
        if path.suffix != ".bin":
            parts.append(_parse_python(path, content))
            continue
        parts.append(_parse_binary(path, content))
        checksum = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        if checksum != CHECKSUMS["binary"][path.name]:
            others.append(path.name)
    if others:
        print(f"note: not the published files of CIFAR-10: {', '.join(others)}", file=sys.stderr)
    pixels, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    images = pixels.view(-1, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    return Images(images, labels)


def files_of(folder: Path, *, test: bool) -> list[Path]:
    """Return the files of the training images, or of the test images; none is opened."""
    for layout, name in FOLDERS.items():
        for place in (folder / name, folder):
            if (place / next(iter(CHECKSUMS[layout]))).is_file():
                wanted = [one for one in CHECKSUMS[layout] if (one == TEST_FILES[layout]) == test]
                lacking = [one for one in wanted if not (place / one).is_file()]
                if lacking:
                    sys.exit(f"{place} lacks {', '.join(lacking)}.")
                return [place / one for one in wanted]
    sys.exit(
        f"{folder} has neither {' nor '.join(FOLDERS.values())}. Name another folder with --data."
    )


def _parse_binary(path: Path, content: bytes) -> tuple[Tensor, Tensor]:
    """Pixels (10000, 3072) uint8 and labels (10000,) of plain records: a label, then its pixels."""
    if len(content) != RECORDS * (1 + PIXELS):
        sys.exit(f"{path} has {len(content):,} bytes, and not {RECORDS * (1 + PIXELS):,}.")
    records = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(RECORDS, 1 + PIXELS)
    labels = records[:, 0].long()
    if int(labels.max()) > 9:
        sys.exit(f"{path} is damaged: it has the label {int(labels.max())}, but labels are 0-9.")
    return records[:, 1:], labels


def _parse_python(path: Path, content: bytes) -> tuple[Tensor, Tensor]:
    """Pixels (10000, 3072) uint8 and labels (10000,) of a pickle, opened only if it is published."""
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != CHECKSUMS["python"][path.name]:
        sys.exit(
            f"{path} is a pickle, and not the published file of CIFAR-10, so it is not opened: a pickle "
            f"can run any program. A folder {FOLDERS['binary']} has no pickles."
        )
    batch = _BatchUnpickler(io.BytesIO(content), encoding="bytes").load()
    pixels = torch.frombuffer(bytearray(batch[b"data"].content), dtype=torch.uint8)
    return pixels.view(RECORDS, PIXELS), torch.tensor(batch[b"labels"])


class _Array:
    """The stand-in for an array and its type: the pickle's instructions hand it its bytes."""

    content = b""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.content = state[-1]


class _BatchUnpickler(pickle.Unpickler):
    """Builds numbers, strings, lists, dicts and stand-ins for arrays; refuses everything else."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return the stand-in for what the pickle names."""
        if module_name.partition(".")[0] == "numpy":
            return _Array
        raise pickle.UnpicklingError(f"images do not need {module_name}.{global_name}")
