"""The images that a search or a training runs on, wherever they come from."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from cifar_core.data import cifar10, cifar100, class_folders, synthetic
from cifar_core.data.download import download
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.data.locating import Source, locate
from cifar_core.data.split import validation_images
from cifar_core.errors import DataError, NoImagesError

__all__ = [
    "AUTO",
    "DEFAULT_FOLDER",
    "SYNTHETIC",
    "DataName",
    "DataSet",
    "classes_of",
    "folder_of",
    "open_data",
    "title_of",
]

AUTO = "auto"
SYNTHETIC: Final = "synthetic"
DEFAULT_FOLDER = Path("data")
DataName = Literal["cifar10", "cifar100", "folder", "synthetic"]


@dataclass(frozen=True)
class DataSet:
    """A set of images that can be read.

    Attributes:
        name: ``cifar10``, ``cifar100``, ``folder`` or ``synthetic``; stands beside every figure.
        source: Where the files lie; None for the synthetic set.
        notice: A word to the user about what was taken, or None.
    """

    name: DataName
    source: Source | None = None
    notice: str | None = None

    @classmethod
    def of(cls, source: Source) -> "DataSet":
        """Return the data set that lies there."""
        match source:
            case cifar10.Source():
                return cls("cifar10", source)
            case cifar100.Source():
                return cls("cifar100", source)
            case class_folders.Source():
                return cls("folder", source)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        if isinstance(self.source, class_folders.Source):
            return self.source.classes
        return classes_of(self.name)

    @property
    def train_images(self) -> int:
        """The number of images in the training files."""
        if isinstance(self.source, class_folders.Source):
            return self.source.train_images
        return 50_000

    @property
    def most_train_images(self) -> int:
        """The number of images that can be trained on, which is all but those for validation."""
        return self.train_images - validation_images(self.train_images)

    @property
    def test_images(self) -> int:
        """The number of images in the test files, none of which is opened."""
        if isinstance(self.source, class_folders.Source):
            return class_folders.count_test(self.source)
        return 10_000

    def read_train(self) -> LabelledImages:
        """The training images; the test files are not opened."""
        match self.source:
            case None:
                return LabelledImages(*synthetic.draw("train"), official=False)
            case cifar10.Source():
                return cifar10.read_train(self.source)
            case cifar100.Source():
                return cifar100.read_train(self.source)
            case class_folders.Source():
                return class_folders.read_train(self.source)

    def missing_test_file(self) -> Path | None:
        """Return the file or folder of the test images if it is not there; nothing is opened."""
        match self.source:
            case None:
                return None
            case cifar10.Source():
                return cifar10.missing_test_file(self.source)
            case cifar100.Source():
                return cifar100.missing_test_file(self.source)
            case class_folders.Source():
                return class_folders.missing_test_file(self.source)

    def read_test(self) -> LabelledImages:
        """The test images. Only a final test may call this."""
        match self.source:
            case None:
                return LabelledImages(*synthetic.draw("test"), official=False)
            case cifar10.Source():
                return cifar10.read_test(self.source)
            case cifar100.Source():
                return cifar100.read_test(self.source)
            case class_folders.Source():
                return class_folders.read_test(self.source)


def classes_of(name: DataName) -> tuple[str, ...]:
    """Return the names of the classes of a published or built-in data set."""
    return {
        "cifar10": cifar10.CLASSES,
        "cifar100": cifar100.CLASSES,
        "synthetic": synthetic.CLASSES,
        "folder": (),
    }[name]


def title_of(name: DataName, classes: int, *, official: bool) -> str:
    """Return a data set in a few words, to stand beside figures.

    >>> title_of("cifar100", 100, official=False)
    'CIFAR-100 (not the official files)'
    """
    match name:
        case "folder":
            return f"own images of {classes} classes, not CIFAR-10"
        case "synthetic":
            return "SYNTHETIC images, not CIFAR-10"
        case _:
            published = "CIFAR-10" if name == "cifar10" else "CIFAR-100"
            return published if official else f"{published} (not the official files)"


def open_data(where: str, folder: Path = DEFAULT_FOLDER) -> DataSet:
    """Find the images, or fetch them.

    Args:
        where: ``synthetic``; ``auto``: CIFAR-10 if it can be had, from `folder` or by download, else
            the synthetic set, with a notice; or a folder to look in and to download to, which may also have
            CIFAR-100, or a user's own images.
        folder: Where ``auto`` looks and downloads to.

    Raises:
        NoImagesError: CIFAR-10 is not there and cannot be downloaded.
        DataError: Its files are not what they should be.
    """
    if where == SYNTHETIC:
        return DataSet("synthetic")
    place = folder_of(where, folder)
    source = locate(place)
    if source is None:
        try:
            source = download(place)
        except DataError as error:
            if where != AUTO:
                raise NoImagesError(place, str(error)) from error
            notice = (
                f"CIFAR-10 is not in {place} and could not be downloaded ({error}) "
                "The built-in SYNTHETIC images are used instead: every figure of this run is "
                "about them and says nothing about CIFAR-10."
            )
            return DataSet("synthetic", notice=notice)
    found = DataSet.of(source)
    if found.name == "cifar10":
        return found
    words = title_of(found.name, len(found.classes), official=True)
    return replace(found, notice=f"The images in {source.folder} are {words}.")


def folder_of(where: str, folder: Path = DEFAULT_FOLDER) -> Path:
    """Return the folder that `where` names: `folder` for ``auto``, else itself.

    Raises:
        DataError: It begins with the home folder of an unknown user.
    """
    try:
        return folder if where == AUTO else Path(where).expanduser()
    except RuntimeError as error:
        raise DataError(f"{where} begins with the home folder of an unknown user.") from error
