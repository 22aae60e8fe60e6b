"""The place of images in a folder, and what is wrong with a folder that nearly has them."""

from collections.abc import Iterator
from pathlib import Path

from cifar_core.data import cifar10, cifar100, class_folders
from cifar_core.data.archive import whole_archive
from cifar_core.data.cifar10 import FOLDERS, find
from cifar_core.errors import DataError

__all__ = ["Source", "locate"]

Source = cifar10.Source | cifar100.Source | class_folders.Source

MOST_SUBFOLDERS = 200
PACKED = (".tar", ".tgz", ".gz", ".zip", ".7z", ".bz2", ".xz")


def locate(folder: Path) -> Source | None:
    """Look for training images: CIFAR-10's, unpacked or as a whole archive, CIFAR-100's, or a user's own.

    Args:
        folder: A folder that contains `cifar-10-batches-py`, `cifar-10-batches-bin`, a published archive of
            CIFAR-10, `cifar-100-python`, `cifar-100-binary`, or `train` with a folder for each class; or
            one of the published folders itself.

    Returns:
        Where the images are; None if nothing there resembles them, so that they may be downloaded into it.

    Raises:
        DataError: The folder nearly has them: some files are missing, they are one folder deeper or still
            packed, or not as they must be. The text says what was found and what to do.
    """
    incomplete: DataError | None = None
    try:
        source = find(folder)
    except DataError as error:
        source, incomplete = None, error
    if source is not None:
        return source
    others = _in_archive(folder) or cifar100.find(folder) or class_folders.find(folder)
    if others is not None:
        return others
    if incomplete is not None:
        raise incomplete
    if problem := _near_miss(folder):
        raise DataError(problem)
    return None


def _in_archive(folder: Path) -> cifar10.Source | None:
    found = whole_archive(folder)
    if found is None:
        return None
    path, layout = found
    return cifar10.Source(path / FOLDERS[layout], layout, archive=path)


def _near_miss(folder: Path) -> str | None:
    """The sentence about a folder that resembles one with the images; None about others."""
    names = _names(folder)
    for sub in _subfolders(folder):
        if _has_images(sub):
            return f"There are no images in {folder}, but there are in {sub}. Name that folder."
        if any(name.lower().endswith(class_folders.ENDINGS) for name in _names(sub)):
            return (
                f"{folder} has images in {sub.name}, but no folder `train`. If its folders are classes, "
                f"move them into {folder / 'train'}."
            )
    for name in sorted(names):
        for start, folders in (("cifar-10-", FOLDERS), ("cifar-100-", cifar100.FOLDERS)):
            if name.startswith(start) and name.endswith(PACKED):
                return (
                    f"There are no images in {folder}, only {name}. Unpack it there, so that the folder "
                    f"has {folders['python']} or {folders['binary']}."
                )
    return None


def _has_images(folder: Path) -> bool:
    try:
        found = find(folder) or whole_archive(folder) or cifar100.find(folder)
        return found is not None or class_folders.find(folder) is not None
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
