"""CIFAR-10's files: finding, checking and reading them, in either published layout.

The binary layout is plain bytes, so any file of the right shape is read, and `LabelledImages.official`
says whether all of them are the published ones. The python layout is pickles, and opening a pickle
can run whatever program it holds, so there only the published files are opened.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cifar_core.data.archive import Layout, read_members
from cifar_core.data.batch_pickle import unpickled
from cifar_core.data.image_files import content_of, entries
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.errors import DataError

__all__ = [
    "CLASSES",
    "LabelledImages",
    "Source",
    "find",
    "missing_test_file",
    "read_test",
    "read_train",
]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORDS = 10_000  # images in one file
PIXELS = 3 * 32 * 32  # bytes of one image: the red plane, the green, the blue, each row by row
LARGEST = 64_000_000  # bytes; the published files have about 31 million

# The preferred layout first.
FOLDERS: dict[Layout, str] = {"python": "cifar-10-batches-py", "binary": "cifar-10-batches-bin"}
# The published files' SHA-1, as in MXNet's gluon.data.vision, and MD5, as in torchvision.datasets.
CHECKSUMS: dict[Layout, dict[str, str]] = {
    "binary": {
        "data_batch_1.bin": "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
        "data_batch_2.bin": "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
        "data_batch_3.bin": "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
        "data_batch_4.bin": "aab85764eb3584312d3c7f65fd2fd016e36a258e",
        "data_batch_5.bin": "26e2849e66a845b7f1e4614ae70f4889ae604628",
        "test_batch.bin": "67eb016db431130d61cd03c7ad570b013799c88c",
    },
    "python": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
}
TEST_FILES: dict[Layout, str] = {"binary": "test_batch.bin", "python": "test_batch"}
TRAIN_FILES: dict[Layout, list[str]] = {
    layout: [name for name in CHECKSUMS[layout] if name != TEST_FILES[layout]] for layout in FOLDERS
}
TRAIN_IMAGES = 5 * RECORDS
TEST_IMAGES = RECORDS


@dataclass(frozen=True)
class Source:
    """A folder of image files, and their layout.

    Attributes:
        folder: The folder that holds the batch files themselves.
        layout: "binary" (plain records) or "python" (pickles).
        archive: The published archive that the folder is in; None for a folder on disk.
    """

    folder: Path
    layout: Layout
    archive: Path | None = None


def find(folder: Path) -> Source | None:
    """Look for CIFAR-10's training files in a folder and in the folders it is published as.

    Args:
        folder: A folder that contains `cifar-10-batches-py` or `cifar-10-batches-bin`
            (torchvision's root does), or one of these two itself.

    Returns:
        Where the images are, the python layout before the binary one if both are complete;
        None if nothing there looks like CIFAR-10. No file is opened.

    Raises:
        DataError: A layout is there without all its training files, or a folder cannot be listed.
    """
    names = entries(folder)
    lacks: list[str] = []
    for layout, name in FOLDERS.items():
        if name in names:
            source = Source(folder / name, layout)
        elif folder.name == name or not names.isdisjoint(TRAIN_FILES[layout]):
            source = Source(folder, layout)
        else:
            continue
        lacks = [file for file in TRAIN_FILES[layout] if file not in entries(source.folder)]
        if not lacks:
            return source
    if lacks:
        raise DataError(
            f"{source.folder} lacks {', '.join(lacks)} of CIFAR-10's training files. Put the "
            "missing files there, or name another folder."
        )
    return None


def read_train(source: Source) -> LabelledImages:
    """Read the 50,000 training images; the test file is not opened and may be absent.

    Args:
        source: What `find` returned.

    Returns:
        The training images: images (50000, 3, 32, 32) and labels (50000,).

    Raises:
        DataError: A file is missing, unreadable, damaged, or a pickle but not the published one.
    """
    return _read(source, TRAIN_FILES[source.layout])


def missing_test_file(source: Source) -> Path | None:
    """Return the test file if it is not there; an archive has it. Nothing is opened."""
    path = source.folder / TEST_FILES[source.layout]
    return None if source.archive is not None or path.is_file() else path


def read_test(source: Source) -> LabelledImages:
    """Read the 10,000 test images; the only function that opens the test file.

    Args:
        source: What `find` returned.

    Returns:
        The test images: images (10000, 3, 32, 32) and labels (10000,).

    Raises:
        DataError: The file is missing, unreadable, damaged, or a pickle but not the published one.
    """
    return _read(source, [TEST_FILES[source.layout]])


def _read(source: Source, names: list[str]) -> LabelledImages:
    images = np.empty((len(names), RECORDS, PIXELS), np.uint8)
    labels = np.empty((len(names), RECORDS), np.int64)
    parse = _parse_binary if source.layout == "binary" else _parse_python
    official = True
    packed = {} if source.archive is None else read_members(source.archive, names)
    for index, name in enumerate(names):
        path = source.folder / name
        content = packed.pop(name) if name in packed else content_of(path, LARGEST, "CIFAR-10")
        images[index], labels[index], is_official = parse(path, content)
        official = official and is_official
    return LabelledImages(images.reshape(-1, 3, 32, 32), labels.reshape(-1), official)


_Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], bool]


def _parse_binary(path: Path, content: bytes) -> _Batch:
    """Images (10000, 3072), labels (10000,), and whether the file is the published one."""
    expected = RECORDS * (1 + PIXELS)
    if len(content) != expected:
        raise DataError(
            f"{path} has {len(content):,} bytes, but a batch of CIFAR-10's binary layout has "
            f"{expected:,}. Copy or download the file again."
        )
    records = np.frombuffer(content, np.uint8).reshape(RECORDS, 1 + PIXELS)  # label, then pixels
    labels = _checked_labels(path, records[:, 0].astype(np.int64))
    checksum = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return records[:, 1:], labels, checksum == CHECKSUMS["binary"][path.name]


def _parse_python(path: Path, content: bytes) -> _Batch:
    """Images (10000, 3072), labels (10000,), and True, as no other file is opened."""
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    official = CHECKSUMS["python"][path.name]
    if checksum != official:
        raise DataError(
            f"{path} is a pickle, and not the official file of CIFAR-10 ({len(content):,} bytes, "
            f"MD5 {checksum} and not {official}), so it is not opened: opening "
            "a pickle can run whatever program it holds. Get the official python archive of "
            f"CIFAR-10 again, or give a folder with the binary layout, {FOLDERS['binary']}."
        )
    try:
        batch = unpickled(content)
        images = np.asarray(batch[b"data"])
        labels = np.asarray(batch[b"labels"], np.int64)
    except Exception as error:  # a pickle's instructions can fail in nearly any way
        raise DataError(
            f"{path} is not a batch of CIFAR-10: {error}. Give a folder with the binary layout, "
            f"{FOLDERS['binary']}."
        ) from error
    if images.dtype != np.uint8 or images.shape != (RECORDS, PIXELS) or labels.shape != (RECORDS,):
        raise DataError(
            f"{path} holds {images.dtype} images of shape {images.shape} and labels of shape "
            f"{labels.shape}, but a batch of CIFAR-10 holds uint8 images of shape "
            f"{(RECORDS, PIXELS)} and {RECORDS:,} labels. Name another folder."
        )
    return images, _checked_labels(path, labels), True


def _checked_labels(path: Path, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`labels` (10000,) themselves, or a DataError that shows the first outside 0-9."""
    wrong = np.flatnonzero((labels < 0) | (labels >= len(CLASSES)))
    if wrong.size:
        raise DataError(
            f"{path} is damaged: record {wrong[0]} (counted from 0) has the label "
            f"{labels[wrong[0]]}, but labels are 0-9. Copy or download the file again."
        )
    return labels
