"""Folders that have CIFAR-10 in another form than expected, or nearly have it."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cifar_core.data import archive, cifar10
from cifar_core.data.cifar10 import FOLDERS, RECORDS, TRAIN_FILES, Layout, Source
from cifar_core.data.dataset import DataSet, open_data
from cifar_core.data.locating import locate
from cifar_core.errors import DataError

NAME = archive.ARCHIVES["binary"][0]
PYTHON = archive.ARCHIVES["python"][0]


def name_files(folder: Path, layout: Layout = "binary") -> None:
    """Empty files with the names of the training files."""
    folder.mkdir(parents=True)
    for name in TRAIN_FILES[layout]:
        (folder / name).touch()


def pack(folder: Path, monkeypatch: pytest.MonkeyPatch, *, files: int = 5) -> Path:
    """An archive of training files, the last first; the pixels of each file are its position."""
    path = folder / NAME
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for number, name in reversed(list(enumerate(TRAIN_FILES["binary"][:files]))):
            records = np.full((RECORDS, 3073), number, np.uint8)
            records[:, 0] = np.arange(RECORDS) % 10
            info = tarfile.TarInfo(f"{FOLDERS['binary']}/{name}")
            info.size = records.nbytes
            tar.addfile(info, io.BytesIO(records.tobytes()))
    monkeypatch.setitem(archive.ARCHIVES, "binary", (NAME, path.stat().st_size))
    return path


def sparse(path: Path, size: int) -> None:
    """A file of this size that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)


def test_a_whole_archive_is_read_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path, monkeypatch)
    found = open_data(str(tmp_path))
    assert found == DataSet("cifar10", locate(tmp_path))
    labelled = found.read_train()
    assert labelled.images.shape == (50_000, 3, 32, 32)
    assert [int(images.mean()) for images in np.split(labelled.images, 5)] == [0, 1, 2, 3, 4]
    assert (labelled.labels == np.arange(50_000) % 10).all()
    assert not labelled.official  # its files are not the published ones
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match=r"lacks test_batch\.bin"):
        found.read_test()


def test_an_archive_of_the_right_size_that_is_damaged_or_lacks_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path, monkeypatch, files=4)
    source = locate(tmp_path)
    assert source is not None
    with pytest.raises(DataError, match=rf"{NAME} lacks data_batch_5\.bin\. Download it again"):
        cifar10.read_train(source)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"\0" * len(content)):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{NAME} cannot be read: .*Download it again"):
            cifar10.read_train(source)


def test_pickles_in_an_archive_are_opened_only_if_they_are_the_official_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / PYTHON
    with tarfile.open(path, "w:gz") as tar:
        for name in TRAIN_FILES["python"]:
            info = tarfile.TarInfo(f"{FOLDERS['python']}/{name}")
            info.size = 5
            tar.addfile(info, io.BytesIO(b"cos\n."))
    monkeypatch.setitem(archive.ARCHIVES, "python", (PYTHON, path.stat().st_size))
    with pytest.raises(DataError, match="is a pickle, and not the official file"):
        open_data(str(tmp_path)).read_train()


def test_unpacked_images_are_preferred_and_an_archive_makes_up_for_missing_ones(
    tmp_path: Path,
) -> None:
    name, size = archive.ARCHIVES["python"]
    sparse(tmp_path / name, size)
    inside = Source(tmp_path / name / FOLDERS["python"], "python", archive=tmp_path / name)
    assert locate(tmp_path) == inside
    name_files(tmp_path / FOLDERS["binary"])
    assert locate(tmp_path) == Source(tmp_path / FOLDERS["binary"], "binary")
    (tmp_path / FOLDERS["binary"] / TRAIN_FILES["binary"][0]).unlink()
    assert locate(tmp_path) == inside
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match="lacks data_batch_1"):
        locate(tmp_path)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ([f"deeper/{FOLDERS['python']}"], r"but there are in .*/deeper\. Name that folder"),
        ([f"deeper/much/{FOLDERS['python']}"], None),
        ([NAME], r"cifar-10-binary\.tar\.gz is not the whole archive of CIFAR-10: it has 3 bytes"),
        (["cifar-10-python.tar"], r"only cifar-10-python\.tar\. Unpack it there"),
        (["cifar-100-python"], r"There is no .*/cifar-100-python/train, which has CIFAR-100's"),
        (["cifar-100-binary.tar.gz"], r"only cifar-100-binary\.tar\.gz\. Unpack it there"),
        (["train", "test"], None),
        (["cifar-100-python", "MNIST"], None),  # a root of torchvision's with other data sets
        (["holiday.jpg"], None),
        ([], None),
    ],
)
def test_a_folder_that_nearly_has_the_images_is_explained_and_nothing_is_downloaded_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str], words: str | None
) -> None:
    def no_network(*_: object) -> None:
        raise DataError("downloaded")

    monkeypatch.setattr("cifar_core.data.dataset.download", no_network)
    for name in made:
        if name.startswith("deeper"):
            name_files(tmp_path / name, "python")
        elif "." in name or name in {"train", "test", "meta"}:
            (tmp_path / name).write_bytes(b"abc")
        else:
            (tmp_path / name).mkdir()
    expected = words or "downloaded"
    with pytest.raises(DataError, match=expected):
        open_data(str(tmp_path))
