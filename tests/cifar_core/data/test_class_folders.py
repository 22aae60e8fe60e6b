"""A user's own images, in a folder for each class."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_core.data.class_folders import find, missing_test_file, read_test, read_train
from cifar_core.data.dataset import open_data
from cifar_core.data.split import split, validation_images
from cifar_core.errors import DataError

CLASSES = ("apple", "pear", "zoo animal")


def write(file: Path, kind: str = "RGB", size: tuple[int, int] = (32, 32), shade: int = 7) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(kind, size, shade if kind in {"L", "P", "1", "I;16"} else (shade,) * len(kind)).save(
        file
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images of each of three classes, each class of its own shade, and two for a test."""
    for shade, name in enumerate(CLASSES):
        for index in range(10):
            write(tmp_path / "train" / name / f"{index}.png", shade=shade)
        for index in range(2):
            write(tmp_path / "test" / name / f"{index}.PNG", shade=shade)
    return tmp_path


def test_the_images_come_with_the_names_of_their_folders(folder: Path) -> None:
    (folder / "train" / ".DS_Store").write_bytes(b"x")
    data = open_data(str(folder))
    assert (data.name, data.classes, data.train_images) == ("folder", CLASSES, 30)
    assert data.notice is not None
    assert "own images of 3 classes, not CIFAR-10" in data.notice
    found = data.read_train()
    assert (found.images.shape, found.classes, found.official) == ((30, 3, 32, 32), 3, False)
    assert (found.images == found.labels[:, None, None, None]).all()
    assert np.bincount(found.labels).tolist() == [10, 10, 10]
    assert data.test_images == 6
    assert np.bincount(data.read_test().labels).tolist() == [2, 2, 2]


def test_a_fifth_validates_with_every_class_in_it(folder: Path) -> None:
    source = find(folder)
    assert source is not None
    labelled = read_train(source)
    parts = split(labelled, confirming=3)
    assert validation_images(30) == 6
    assert (len(parts.train), len(parts.validation), len(parts.confirming)) == (24, 3, 3)
    for part in (parts.train, parts.validation, parts.confirming):
        assert (np.bincount(labelled.labels[part], minlength=3) == len(part) // 3).all()
    with pytest.raises(DataError, match=r"must be from 3 to 24 \(30 less 6 for validation\)"):
        split(labelled, 25)


@pytest.mark.parametrize("kind", ["1", "L", "P", "RGBA", "CMYK"])
def test_other_kinds_of_pixels_become_colours(folder: Path, kind: str) -> None:
    ending = "jpg" if kind == "CMYK" else "png"
    write(folder / "train" / "apple" / f"odd.{ending}", kind)
    source = find(folder)
    assert source is not None
    assert read_train(source).images.shape == (31, 3, 32, 32)


def no_image(file: Path) -> None:
    file.write_bytes(b"\x89PNG but not really")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_image, "it is neither PNG nor JPEG"),
        (cut, "cannot be read as an image: "),
        (
            lambda file: write(file, size=(64, 48)),
            "has 64x48 pixels, but all networks here are for",
        ),
        (lambda file: write(file, "I;16"), "pixels of the kind I;16, not of eight bits"),
        (lambda file: (file.unlink(), file.mkdir()), "it is not a file"),
        (lambda file: file.write_bytes(bytes(5_000_000)), "5,000,000 bytes are too many"),
        (lambda file: file.write_bytes(b"GIF89a"), "it is neither PNG nor JPEG"),
    ],
)
def test_a_file_that_is_no_image_of_the_size_is_named(
    folder: Path, spoil: Callable[[Path], object], words: str
) -> None:
    file = folder / "train" / "pear" / "3.png"
    spoil(file)
    source = find(folder)
    assert source is not None
    with pytest.raises(DataError) as caught:
        read_train(source)
    assert str(file) in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("train/readme.txt", "a folder for each class and nothing else, but has 'readme.txt'"),
        ("train/pear/notes.txt", "PNG and JPEG images and nothing else, but has 'notes.txt'"),
        ("train/few/1.png", "has 1 images, but each class needs at least 10"),
        ("train/bad\x1b[2Jname/1.png", "characters that can be shown. Rename it."),
    ],
)
def test_a_folder_that_cannot_be_used_is_explained(folder: Path, file: str, words: str) -> None:
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        open_data(str(folder))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_one_class_is_too_few_and_classes_without_train_are_shown_their_place(
    tmp_path: Path,
) -> None:
    write(tmp_path / "cats" / "1.png")
    with pytest.raises(DataError, match=r"no folder `train`\. If its folders are classes, move"):
        open_data(str(tmp_path))
    write(tmp_path / "train" / "cats" / "1.png")
    with pytest.raises(DataError, match="for each of 2 to 1,000 classes, but has 1"):
        open_data(str(tmp_path))


def test_the_test_images_must_have_the_same_classes(folder: Path) -> None:
    source = find(folder)
    assert source is not None
    assert missing_test_file(source) is None
    (folder / "test" / "pear").rename(folder / "test" / "peach")
    with pytest.raises(DataError, match="'peach' is in one of the two alone"):
        read_test(source)
    (folder / "test").rename(folder / "later")
    assert missing_test_file(source) == folder / "test"
