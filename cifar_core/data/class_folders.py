"""A user's own images: 32x32 PNG and JPEG files in a folder for each class.

FOLDER/train/CLASS/anything.png
FOLDER/test/CLASS/anything.png      (only for a final test)
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cifar_core.data.image_files import content_of, entries
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.errors import DataError

__all__ = ["Source", "find", "missing_test_file", "read_test", "read_train"]

SIDE = 32
ENDINGS = (".png", ".jpg", ".jpeg")
MOST_CLASSES, MOST_IMAGES = 1_000, 200_000
FEWEST_IMAGES = 10
"""Of a class: a fifth of them validates, half of which confirms."""
LONGEST_NAME = 60
LARGEST = 4_000_000  # bytes of a file; 32x32 pixels take at most some thousand
EIGHT_BITS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
"""Pillow's names of the kinds of images that have eight bits or fewer for each channel."""


@dataclass(frozen=True)
class Source:
    """A folder of images by class.

    Attributes:
        folder: The folder that has `train`.
        classes: Names of the classes, in the order of the labels.
        train: The training files of each class.
    """

    folder: Path
    classes: tuple[str, ...]
    train: tuple[tuple[Path, ...], ...]

    @property
    def train_images(self) -> int:
        """The number of training images."""
        return sum(map(len, self.train))


def find(folder: Path) -> Source | None:
    """Look for a folder `train` with a folder for each class. No file is opened.

    Raises:
        DataError: There is one, but it cannot be used; the text says what to change.
    """
    train = folder / "train"
    if not train.is_dir():
        return None
    classes = _classes(train)
    files = tuple(_files(train / name) for name in classes)
    for name, own in zip(classes, files, strict=True):
        if len(own) < FEWEST_IMAGES:
            raise DataError(
                f"{train / name} has {len(own)} images, but each class needs at least {FEWEST_IMAGES}, as "
                "one in five is kept for validation. Add images, or remove the folder."
            )
    source = Source(folder, classes, files)
    if source.train_images > MOST_IMAGES:
        raise DataError(
            f"{train} has {source.train_images:,} images, and at most {MOST_IMAGES:,} can be used."
        )
    return source


def read_train(source: Source) -> LabelledImages:
    """Read all training images; nothing of `test` is opened, and it may be absent.

    Raises:
        DataError: A file is no 32x32 PNG or JPEG image; the text says which.
    """
    return _read(source.classes, source.train)


def missing_test_file(source: Source) -> Path | None:
    """Return the folder of the test images if it is not there; nothing is opened."""
    path = source.folder / "test"
    return None if path.is_dir() else path


def read_test(source: Source) -> LabelledImages:
    """Read all test images; the only function that looks into `test`.

    Raises:
        DataError: Its classes are not those of `train`, or a file is no 32x32 PNG or JPEG image.
    """
    test = source.folder / "test"
    classes = _classes(test)
    if classes != source.classes:
        odd = sorted(set(classes) ^ set(source.classes))[0]
        raise DataError(
            f"{test} must have a folder for each class of {source.folder / 'train'}, and no others, but "
            f"{odd!r} is in one of the two alone."
        )
    return _read(classes, [_files(test / name) for name in classes])


def count_test(source: Source) -> int:
    """Return the number of test images; they are listed and not opened."""
    test = source.folder / "test"
    return sum(len(_files(test / name)) for name in _classes(test))


def _classes(folder: Path) -> tuple[str, ...]:
    """The names of the folders in a folder, sorted."""
    names = _visible(folder)
    for name in names:
        if not (folder / name).is_dir():
            raise DataError(
                f"{folder} must hold a folder for each class and nothing else, but has {name!r:.80}. "
                "Move it away."
            )
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise DataError(
                f"{folder} has a folder named {name!r:.80}. It is the name of a class, so it must have at "
                f"most {LONGEST_NAME} characters that can be shown. Rename it."
            )
    if not 2 <= len(names) <= MOST_CLASSES:
        raise DataError(
            f"{folder} must hold a folder for each of 2 to {MOST_CLASSES:,} classes, but has {len(names)}."
        )
    return tuple(names)


def _files(folder: Path) -> tuple[Path, ...]:
    """The images of a class, sorted by name."""
    names = _visible(folder)
    for name in names:
        if not name.lower().endswith(ENDINGS):
            raise DataError(
                f"{folder} must hold PNG and JPEG images and nothing else, but has {name!r:.80}. Convert "
                "it, or move it away."
            )
    return tuple(folder / name for name in names)


def _visible(folder: Path) -> list[str]:
    return sorted(name for name in entries(folder) if not name.startswith("."))


def _read(classes: Sequence[str], files: Sequence[Sequence[Path]]) -> LabelledImages:
    images = np.empty((sum(map(len, files)), 3, SIDE, SIDE), np.uint8)
    with warnings.catch_warnings(action="ignore"):  # Pillow's, about transparency and odd colours
        for index, path in enumerate(path for own in files for path in own):
            images[index] = _pixels(path)
    labels = np.repeat(np.arange(len(classes)), [len(own) for own in files]).astype(np.int64)
    return LabelledImages(images, labels, official=False, classes=len(classes))


def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    """(3, 32, 32) of one file; transparency is left out, and grey is all three colours."""
    from PIL import Image  # only here, as other data sets do without

    content = content_of(path, LARGEST, "an image of 32x32 pixels")
    try:
        with Image.open(BytesIO(content), formats=("PNG", "JPEG")) as image:
            # Known from the head of the file, before any pixel is decoded.
            size, kind = image.size, image.mode
            if size == (SIDE, SIDE) and kind in EIGHT_BITS:
                return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except Exception as error:  # a damaged file can make a decoder fail in nearly any way
        reason = " ".join(str(error).split()) or type(error).__name__
        if "cannot identify image file" in reason:
            reason = "it is neither PNG nor JPEG"
        raise DataError(
            f"{path} cannot be read as an image: {reason}. Remove or repair it."
        ) from error
    if size != (SIDE, SIDE):
        raise DataError(
            f"{path} has {size[0]}x{size[1]} pixels, but all networks here are for {SIDE}x{SIDE}. Scale "
            "all images to that first, for example with Pillow: "
            "Image.open(file).convert('RGB').resize((32, 32)).save(file)."
        )
    raise DataError(f"{path} has pixels of the kind {kind}, not of eight bits. Convert it to RGB.")
