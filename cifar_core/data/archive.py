"""CIFAR-10's published archives, read in place."""

import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Literal

from cifar_core.errors import DataError

__all__ = ["ARCHIVES", "Layout", "read_members", "whole_archive"]

Layout = Literal["binary", "python"]
ARCHIVES: dict[Layout, tuple[str, int]] = {
    "python": ("cifar-10-python.tar.gz", 170_498_071),
    "binary": ("cifar-10-binary.tar.gz", 170_052_171),
}
"""Name and bytes of the published archives (https://www.cs.toronto.edu/~kriz/cifar.html), by layout."""
LARGEST_MEMBER = 64_000_000  # bytes; the published files have about 31 million


def whole_archive(folder: Path) -> tuple[Path, Layout] | None:
    """Return a published archive in a folder and its layout; None without one.

    Raises:
        DataError: There is an archive of another size, and no whole one.
    """
    problem: DataError | None = None
    for layout, (name, expected) in ARCHIVES.items():
        path = folder / name
        if not path.is_file():
            continue
        size = path.stat().st_size
        if size == expected:
            return path, layout
        problem = problem or DataError(
            f"{path} is not the whole archive of CIFAR-10: it has {size:,} bytes, and the published one "
            f"has {expected:,}. Download it again, or remove it."
        )
    if problem is not None:
        raise problem
    return None


def read_members(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """Read files of an archive in one pass, without unpacking the others.

    Args:
        path: The archive.
        names: The files, without their folder.

    Raises:
        DataError: The archive is damaged or lacks a file.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if name not in names or name in found or not member.isreg():
                    continue
                file = archive.extractfile(member) if member.size <= LARGEST_MEMBER else None
                if file is not None:
                    found[name] = file.read()
                if len(found) == len(names):
                    return found
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read: {reason}. Download it again.") from error
    missing = ", ".join(name for name in names if name not in found)
    raise DataError(f"{path} lacks {missing}. Download it again.")
