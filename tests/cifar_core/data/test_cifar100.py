"""CIFAR-100's files, as far as anything can be said without them."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from cifar_core.data import cifar100
from cifar_core.data.dataset import open_data
from cifar_core.errors import DataError

COUNT = 500


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar100, "TRAIN_IMAGES", COUNT)
    monkeypatch.setattr(cifar100, "TEST_IMAGES", COUNT // 5)


def records(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Of each fine class as many; each image has its label's shade."""
    made = np.empty((count, 2 + cifar100.PIXELS), np.uint8)
    labels = np.arange(count) % 100
    made[:, 0], made[:, 1] = labels // 5, labels
    made[:, 2:] = labels[:, None]
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / cifar100.FOLDERS["binary"]
    place.mkdir()
    (place / "train.bin").write_bytes(records(COUNT).tobytes())
    (place / "test.bin").write_bytes(records(COUNT // 5).tobytes())
    return place


def test_there_are_a_hundred_classes_in_alphabetical_order() -> None:
    assert len(set(cifar100.CLASSES)) == 100
    assert list(cifar100.CLASSES) == sorted(cifar100.CLASSES)


def test_the_checksums_are_those_of_torchvision() -> None:
    from torchvision.datasets import CIFAR100

    published = dict(map(tuple, [*CIFAR100.train_list, *CIFAR100.test_list]))
    assert published == {name: cifar100.CHECKSUMS[name] for name in ("train", "test")}


@pytest.mark.parametrize("inside", [False, True])
def test_the_fine_labels_are_read(folder: Path, inside: bool) -> None:
    data = open_data(str(folder if inside else folder.parent))
    assert (data.name, len(data.classes)) == ("cifar100", 100)
    found = data.read_train()
    assert (len(found.images), found.classes, found.official) == (COUNT, 100, False)
    assert (found.images == found.labels[:, None, None, None]).all()
    assert len(data.read_test().labels) == COUNT // 5
    (folder / "test.bin").unlink()
    assert data.missing_test_file() == folder / "test.bin"


@pytest.mark.parametrize(("column", "most"), [(0, 20), (1, 100)])
def test_a_damaged_file_is_refused(folder: Path, column: int, most: int) -> None:
    wrong = records(COUNT)
    wrong[7, column] = most
    (folder / "train.bin").write_bytes(wrong.tobytes())
    with pytest.raises(DataError, match=rf"record 7 .* must be below {most}"):
        open_data(str(folder)).read_train()
    (folder / "train.bin").write_bytes(records(COUNT).tobytes()[:-1])
    with pytest.raises(DataError, match="in CIFAR-100's binary layout it has"):
        open_data(str(folder)).read_train()


def test_a_pickle_that_is_not_the_published_one_is_not_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    place = tmp_path / cifar100.FOLDERS["python"]
    place.mkdir()
    (place / "train").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="so it is not opened"):
        open_data(str(place.parent)).read_train()
    assert not (tmp_path / "sprung").exists()


def test_the_python_layout_is_read_once_its_checksum_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    made = records(COUNT)
    content = pickle.dumps({"data": made[:, 2:], "fine_labels": made[:, 1].tolist()}, protocol=2)
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    monkeypatch.setitem(cifar100.CHECKSUMS, "train", checksum)
    for name in ("train", "meta"):
        (tmp_path / name).write_bytes(content)
    found = open_data(str(tmp_path)).read_train()
    assert found.official
    assert (found.images == found.labels[:, None, None, None]).all()
