"""Reading of files and folders that hold images, none of which is trusted."""

import os
import stat
from pathlib import Path

from cifar_core.errors import DataError

__all__ = ["content_of", "entries", "unreadable"]


def entries(folder: Path) -> set[str]:
    """Return the names in a folder; none if there is no such folder.

    Raises:
        DataError: It cannot be listed.
    """
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - names are wanted, not paths
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise unreadable(folder, error.strerror) from error


def unreadable(path: Path, cause: str | None) -> DataError:
    """Return the error about a file or folder that cannot be read, for this cause."""
    return DataError(f"{path} cannot be read: {cause}. Check that path, or name another folder.")


def content_of(path: Path, largest: int, of: str) -> bytes:
    """Return all bytes of an ordinary file, read once.

    Args:
        path: The file.
        largest: Most bytes that it may have.
        of: What it is for, for the error.

    Raises:
        DataError: It is not an ordinary file, too large, or cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise unreadable(path, "it is not a file")
        if status.st_size > largest:
            raise unreadable(path, f"its {status.st_size:,} bytes are too many for {of}")
        with path.open("rb") as file:
            return file.read(largest)
    except OSError as error:
        raise unreadable(path, error.strerror) from error
