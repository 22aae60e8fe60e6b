"""The place of CIFAR-10's images in a folder, and what is wrong with a folder that nearly has them."""

from collections.abc import Iterator
from pathlib import Path

from cifar_core.data.archive import whole_archive
from cifar_core.data.cifar10 import FOLDERS, Source, find
from cifar_core.errors import DataError

__all__ = ["locate"]

MOST_SUBFOLDERS = 200
CIFAR_100 = {
    *("cifar-100-python", "cifar-100-binary"),
    *("cifar-100-python.tar.gz", "cifar-100-binary.tar.gz"),
}
FILES_OF_CIFAR_100 = ({"train", "test", "meta"}, {"train.bin", "test.bin"})
PACKED = (".tar", ".tgz", ".gz", ".zip", ".7z", ".bz2", ".xz")


def locate(folder: Path) -> Source | None:
    """Look for CIFAR-10's training files: unpacked ones first, then those of a whole archive.

    Args:
        folder: A folder that contains `cifar-10-batches-py`, `cifar-10-batches-bin` or a published
            archive, or one of the first two itself.

    Returns:
        Where the images are; None if nothing there resembles them, so that they may be downloaded into it.

    Raises:
        DataError: The folder nearly has them: some files are missing, they are one folder deeper or still
            packed, or it is CIFAR-100. The text says what was found and what to do.
    """
    incomplete: DataError | None = None
    try:
        source = find(folder)
    except DataError as error:
        source, incomplete = None, error
    if source is not None:
        return source
    if source := _in_archive(folder):
        return source
    if incomplete is not None:
        raise incomplete
    if problem := _near_miss(folder):
        raise DataError(problem)
    return None


def _in_archive(folder: Path) -> Source | None:
    found = whole_archive(folder)
    if found is None:
        return None
    path, layout = found
    return Source(path / FOLDERS[layout], layout, archive=path)


def _near_miss(folder: Path) -> str | None:
    """The sentence about a folder that resembles one with the images; None about others."""
    names = _names(folder)
    if folder.name in CIFAR_100 or names in FILES_OF_CIFAR_100 or (names and names <= CIFAR_100):
        return (
            f"{folder} holds CIFAR-100, but CIFAR-10 is needed. Name a folder with {FOLDERS['python']} or "
            f"{FOLDERS['binary']}, or an empty one to download CIFAR-10 into."
        )
    for sub in _subfolders(folder):
        if _has_images(sub):
            return f"There are no CIFAR-10 images in {folder}, but there are in {sub}. Name that folder."
    for name in sorted(names):
        if name.startswith("cifar-10-") and name.endswith(PACKED):
            return (
                f"There are no CIFAR-10 images in {folder}, only {name}. Unpack it there, so that the "
                f"folder has {FOLDERS['python']} or {FOLDERS['binary']}."
            )
    return None


def _has_images(folder: Path) -> bool:
    try:
        return find(folder) is not None or whole_archive(folder) is not None
    except DataError:
        return False


def _names(folder: Path) -> set[str]:
    """The names in a folder, hidden ones left out; none where it cannot be listed."""
    try:
        return {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    except OSError:
        return set()


def _subfolders(folder: Path) -> Iterator[Path]:
    """The first subfolders in the order of their names, as there may be very many."""
    for name in sorted(_names(folder))[:MOST_SUBFOLDERS]:
        if (folder / name).is_dir():
            yield folder / name
