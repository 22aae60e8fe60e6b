"""CIFAR-100's files, in either published layout; what is true of CIFAR-10's is true of them.

The labels are the fine ones, of 100 classes.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cifar_core.data.archive import Layout
from cifar_core.data.batch_pickle import unpickled
from cifar_core.data.image_files import content_of, entries
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.errors import DataError

__all__ = ["CLASSES", "Source", "find", "missing_test_file", "read_test", "read_train"]

NAMES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
    crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house
    kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
    mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
    plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
    shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table
    tank telephone television tiger tractor train trout tulip turtle wardrobe whale
    willow_tree wolf woman worm
"""
CLASSES = tuple(NAMES.split())
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000
PIXELS = 3 * 32 * 32
COARSE_CLASSES = 20
LARGEST = 200_000_000  # bytes; the published training files have about 155 million

FOLDERS: dict[Layout, str] = {"python": "cifar-100-python", "binary": "cifar-100-binary"}
"""The preferred layout first."""
TRAIN_FILES: dict[Layout, str] = {"python": "train", "binary": "train.bin"}
TEST_FILES: dict[Layout, str] = {"python": "test", "binary": "test.bin"}
CHECKSUMS = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "train.bin": "e207cd2e05b73b1393c74c7f5e7bea451d63e08e",
    "test.bin": "8fb6623e830365ff53cf14adec797474f5478006",
}
"""The published files' MD5, as in torchvision.datasets, and SHA-1, as in MXNet's gluon.data.vision."""


@dataclass(frozen=True)
class Source:
    """A folder of image files, and their layout.

    Attributes:
        folder: The folder that holds the files themselves.
        layout: "binary" (plain records) or "python" (pickles).
    """

    folder: Path
    layout: Layout


def find(folder: Path) -> Source | None:
    """Look for CIFAR-100's training file in a folder and in the folders it is published as.

    Returns:
        Where the images are, the python layout before the binary one; None if nothing there looks like
        CIFAR-100. No file is opened.

    Raises:
        DataError: A layout is there without its training file, or a folder cannot be listed.
    """
    names, lacks = entries(folder), list[Path]()
    for layout, name in FOLDERS.items():
        inside = folder / name if name in names else folder
        file = inside / TRAIN_FILES[layout]
        is_python = layout == "python" and inside == folder and "meta" not in names
        if file.is_file() and not is_python:  # `train` alone may be anything
            return Source(inside, layout)
        if folder.name == name or (inside != folder and names <= {*FOLDERS.values()}):
            lacks.append(file)  # other folders are roots of several data sets
    if lacks:
        raise DataError(
            f"There is no {lacks[0]}, which has CIFAR-100's training images. Put the file there, or name "
            "another folder."
        )
    return None


def read_train(source: Source) -> LabelledImages:
    """Read the 50,000 training images; the test file is not opened and may be absent.

    Args:
        source: What `find` returned.

    Raises:
        DataError: The file is missing, unreadable, damaged, or a pickle but not the published one.
    """
    return _read(source, TRAIN_FILES[source.layout], TRAIN_IMAGES)


def missing_test_file(source: Source) -> Path | None:
    """Return the test file if it is not there; nothing is opened."""
    path = source.folder / TEST_FILES[source.layout]
    return None if path.is_file() else path


def read_test(source: Source) -> LabelledImages:
    """Read the 10,000 test images; the only function that opens the test file.

    Args:
        source: What `find` returned.

    Raises:
        DataError: The file is missing, unreadable, damaged, or a pickle but not the published one.
    """
    return _read(source, TEST_FILES[source.layout], TEST_IMAGES)


def _read(source: Source, name: str, count: int) -> LabelledImages:
    path = source.folder / name
    content = content_of(path, LARGEST, "CIFAR-100")
    parse = _parse_binary if source.layout == "binary" else _parse_python
    images, labels, official = parse(path, content, count)
    return LabelledImages(images.reshape(-1, 3, 32, 32), labels, official, len(CLASSES))


_Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], bool]


def _parse_binary(path: Path, content: bytes, count: int) -> _Batch:
    """Images (count, 3072), labels (count,), and whether the file is the published one."""
    expected = count * (2 + PIXELS)
    if len(content) != expected:
        raise DataError(
            f"{path} has {len(content):,} bytes, but in CIFAR-100's binary layout it has {expected:,}. "
            "Copy or download the file again."
        )
    records = np.frombuffer(content, np.uint8).reshape(count, 2 + PIXELS)  # coarse, fine, pixels
    for column, most in ((0, COARSE_CLASSES), (1, len(CLASSES))):
        if (wrong := np.flatnonzero(records[:, column] >= most)).size:
            raise DataError(
                f"{path} is damaged: record {wrong[0]} (counted from 0) has the label "
                f"{records[wrong[0], column]}, which must be below {most}. Copy or download the file again."
            )
    checksum = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    labels = records[:, 1].astype(np.int64)
    return np.ascontiguousarray(records[:, 2:]), labels, checksum == CHECKSUMS[path.name]


def _parse_python(path: Path, content: bytes, count: int) -> _Batch:
    """Images (count, 3072), labels (count,), and True, as no other file is opened."""
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if checksum != CHECKSUMS[path.name]:
        raise DataError(
            f"{path} is a pickle, and not the official file of CIFAR-100 (its MD5 is {checksum} and not "
            f"{CHECKSUMS[path.name]}), so it is not opened: opening a pickle can run whatever program it "
            "holds. Get the official python archive of CIFAR-100 again, or give a folder with the binary "
            f"layout, {FOLDERS['binary']}."
        )
    try:
        batch = unpickled(content)
        images = np.asarray(batch[b"data"])
        labels = np.asarray(batch[b"fine_labels"], np.int64)
    except Exception as error:  # a pickle's instructions can fail in nearly any way
        raise DataError(f"{path} is not a file of CIFAR-100: {error}. Get it again.") from error
    fits = images.dtype == np.uint8 and images.shape == (count, PIXELS) and labels.shape == (count,)
    if not fits or labels.min() < 0 or labels.max() >= len(CLASSES):
        raise DataError(f"{path} does not hold {count:,} images of CIFAR-100. Get it again.")
    return images, labels, True
