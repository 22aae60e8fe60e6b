"""The images that a search or a training runs on, wherever they come from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cifar_core.data import cifar10, synthetic
from cifar_core.data.download import download
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.data.locating import locate
from cifar_core.errors import DataError, NoImagesError

__all__ = ["AUTO", "DEFAULT_FOLDER", "SYNTHETIC", "DataSet", "folder_of", "open_data"]

AUTO = "auto"
SYNTHETIC = "synthetic"
DEFAULT_FOLDER = Path("data")


@dataclass(frozen=True)
class DataSet:
    """A set of images that can be read.

    Attributes:
        name: ``cifar10`` or ``synthetic``; stands beside every figure.
        source: Where the files lie; None for the synthetic set.
        notice: A word to the user about what was taken, or None.
    """

    name: Literal["cifar10", "synthetic"]
    source: cifar10.Source | None = None
    notice: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the ten classes, in the order of the labels."""
        return synthetic.CLASSES if self.source is None else cifar10.CLASSES

    def read_train(self) -> LabelledImages:
        """The 50,000 training images; the test files are not opened."""
        if self.source is None:
            return LabelledImages(*synthetic.draw("train"), official=False)
        return cifar10.read_train(self.source)

    def missing_test_file(self) -> Path | None:
        """Return the file of the test images if it is not there; nothing is opened."""
        return None if self.source is None else cifar10.missing_test_file(self.source)

    def read_test(self) -> LabelledImages:
        """The 10,000 test images. Only a final test may call this."""
        if self.source is None:
            return LabelledImages(*synthetic.draw("test"), official=False)
        return cifar10.read_test(self.source)


def open_data(where: str, folder: Path = DEFAULT_FOLDER) -> DataSet:
    """Find the images, or fetch them.

    Args:
        where: ``synthetic``; ``auto``: CIFAR-10 if it can be had, from `folder` or by download, else
            the synthetic set, with a notice; or a folder to look in and to download to.
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
    return DataSet("cifar10", source)


def folder_of(where: str, folder: Path = DEFAULT_FOLDER) -> Path:
    """Return the folder that `where` names: `folder` for ``auto``, else itself.

    Raises:
        DataError: It begins with the home folder of an unknown user.
    """
    try:
        return folder if where == AUTO else Path(where).expanduser()
    except RuntimeError as error:
        raise DataError(f"{where} begins with the home folder of an unknown user.") from error
