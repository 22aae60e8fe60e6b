"""Errors that a user can act on.

They all derive from one class, so that a command line catches them in one place. They don't know the
options of a command line, which adds those that help::

    CifarSearchError
    ├── RecipeError       a training recipe is not valid
    ├── DataError         the images cannot be had, or are not what they should be
    │   └── NoImagesError     there are none, and they could not be downloaded
    ├── CheckpointError   a saved state is damaged, or belongs to another training
    ├── DeviceError       the device asked for does not exist here
    ├── RampError         the rates asked for make no sweep
    ├── NetworkError      code of the user's makes no network that can be trained
    │   └── UntrustedError    it may not be run, as nobody has said so
    └── WeightsError      the trained weights asked for cannot be had, or are another network's
"""

from pathlib import Path

__all__ = [
    "CheckpointError",
    "CifarSearchError",
    "DataError",
    "DeviceError",
    "NetworkError",
    "NoImagesError",
    "RampError",
    "RecipeError",
    "UntrustedError",
    "WeightsError",
]


class CifarSearchError(Exception):
    """A problem that the user can solve; its text says what is wrong, where, and what to do."""


class RecipeError(CifarSearchError):
    """A training recipe is not valid."""


class DataError(CifarSearchError):
    """The images cannot be had, or are not what they should be."""


class NoImagesError(DataError):
    """There are no images where they were looked for, and they could not be downloaded.

    Args:
        folder: Where they were looked for.
        cause: Why they could not be downloaded, in a sentence.
    """

    def __init__(self, folder: Path, cause: str) -> None:
        super().__init__(f"There are no CIFAR-10 images in {folder}. {cause}")
        self.folder = folder


class CheckpointError(CifarSearchError):
    """A saved training state is damaged, foreign, or belongs to another training."""


class DeviceError(CifarSearchError):
    """The device asked for does not exist on this machine."""


class RampError(CifarSearchError):
    """The learning rates asked for make no sweep."""


class NetworkError(CifarSearchError):
    """Code of the user's cannot be run, or makes no network that can be trained here."""


class UntrustedError(NetworkError):
    """A recipe names code that may not be run in this process, as nobody has said so."""


class WeightsError(CifarSearchError):
    """The trained weights asked for cannot be had, or belong to another network."""
