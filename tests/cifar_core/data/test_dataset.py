"""Which images are taken: those asked for, else an error or a notice, never a silent stand-in."""

from pathlib import Path

import numpy as np
import pytest

from cifar_core.data import cifar10, dataset, synthetic
from cifar_core.data.cifar10 import Source
from cifar_core.data.dataset import AUTO, SYNTHETIC, DataSet, open_data
from cifar_core.errors import DataError, NoImagesError

FEW = 20  # records in a file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tiny training files in the binary layout, and no test file."""
    monkeypatch.setattr(cifar10, "RECORDS", FEW)
    batches = tmp_path / "somewhere" / "cifar-10-batches-bin"
    batches.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(1, 6):
        records = random.integers(256, size=(FEW, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        (batches / f"data_batch_{number}.bin").write_bytes(records.tobytes())
    return batches.parent


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: Path) -> Source:
        raise DataError(f"Downloading CIFAR-10 into {root} failed: no route to host.")

    monkeypatch.setattr(dataset, "download", fail)


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(root: Path) -> Source:
        pytest.fail(f"a download into {root} was tried")

    monkeypatch.setattr(dataset, "download", refuse)


@pytest.mark.usefixtures("no_download")
def test_synthetic_images_need_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened = open_data(SYNTHETIC)
    assert opened == DataSet("synthetic")
    assert opened.classes == synthetic.CLASSES
    assert list(tmp_path.iterdir()) == []


def test_the_synthetic_set_reads_the_synthetic_images(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = np.ones((3, 3, 32, 32), np.uint8), np.arange(3)
    asked: list[str] = []

    def draw(part: str) -> tuple[object, object]:
        asked.append(part)
        return images, labels

    monkeypatch.setattr(synthetic, "draw", draw)
    for read in (DataSet("synthetic").read_train, DataSet("synthetic").read_test):
        labelled = read()
        assert labelled.images is images
        assert labelled.labels is labels
        assert not labelled.official
    assert asked == ["train", "test"]


@pytest.mark.usefixtures("no_download")
@pytest.mark.parametrize("inner", ["", "cifar-10-batches-bin"])
def test_a_folder_with_the_images_is_taken_without_a_word(folder: Path, inner: str) -> None:
    opened = open_data(str(folder / inner))
    assert opened.name == "cifar10"
    assert opened.source == Source(folder / "cifar-10-batches-bin", "binary")
    assert opened.notice is None
    assert opened.classes == cifar10.CLASSES


@pytest.mark.usefixtures("no_download")
def test_auto_takes_what_is_in_its_folder(folder: Path) -> None:
    assert open_data(AUTO, folder) == open_data(str(folder))


@pytest.mark.usefixtures("no_download")
def test_training_images_are_read_without_opening_the_test_file(folder: Path) -> None:
    opened = open_data(str(folder))
    labelled = opened.read_train()
    assert labelled.images.shape == (5 * FEW, 3, 32, 32)
    with pytest.raises(DataError, match=r"test_batch\.bin"):
        opened.read_test()


@pytest.mark.usefixtures("offline")
def test_auto_without_a_download_falls_back_to_synthetic_images_and_says_so(
    tmp_path: Path,
) -> None:
    opened = open_data(AUTO, tmp_path / "data")
    assert opened.name == "synthetic"
    assert opened.source is None
    assert opened.notice == (
        f"CIFAR-10 is not in {tmp_path / 'data'} and could not be downloaded (Downloading CIFAR-10 "
        f"into {tmp_path / 'data'} failed: no route to host.) The built-in SYNTHETIC images are "
        "used instead: every figure of this run is about them and says nothing about CIFAR-10."
    )


@pytest.mark.usefixtures("offline")
def test_a_folder_that_was_asked_for_and_has_no_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoImagesError) as caught:
        open_data(str(tmp_path))
    text = str(caught.value)
    assert text.startswith(f"There are no CIFAR-10 images in {tmp_path}. Downloading CIFAR-10")
    assert "no route to host" in text
    assert caught.value.folder == tmp_path


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("where", [AUTO, "folder"])
def test_a_folder_with_half_the_files_is_an_error_and_no_reason_for_a_stand_in(
    folder: Path, where: str
) -> None:
    (folder / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"lacks data_batch_3\.bin"):
        open_data(AUTO if where == AUTO else str(folder), folder)


def test_what_was_downloaded_is_taken_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(tmp_path / "cifar-10-batches-py", "python")
    monkeypatch.setattr(dataset, "download", lambda root: source if root == tmp_path else None)
    for opened in (open_data(AUTO, tmp_path), open_data(str(tmp_path))):
        assert opened == DataSet("cifar10", source)


@pytest.mark.usefixtures("no_download")
def test_a_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    opened = open_data("~/somewhere")
    assert opened.source == Source(folder / "cifar-10-batches-bin", "binary")


@pytest.mark.usefixtures("offline")
def test_the_home_of_nobody_is_an_error_of_ours() -> None:
    with pytest.raises(DataError):
        open_data("~nobody-of-this-name/data")


def test_the_real_images_are_read_in_full_and_are_known_not_to_be_official(
    images_folder: Path,
) -> None:
    opened = open_data(str(images_folder))
    assert opened.name == "cifar10"
    labelled = opened.read_train()
    assert np.bincount(labelled.labels).tolist() == [5000] * 10
