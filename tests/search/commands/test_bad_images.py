"""Images that are damaged, foreign or malicious, as every command meets them."""

import os
import pickle
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest

from cifar_core.data import cifar10
from cifar_core.data.dataset import DataSet, open_data
from search.cli import run
from search.home import Home
from search.service import resume
from search.storage.opening import open_storage
from tests.search.running import write_images
from tests.search.scripted import DATA, new_study

SIZE = cifar10.RECORDS * (1 + cifar10.PIXELS)
FIRST = cifar10.TRAIN_FILES["binary"][0]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, which must stay empty."""
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("CIFAR_SEARCH_HOME", raising=False)
    yield folder
    assert list(folder.iterdir()) == []


def sized(size: int, label: int = 0) -> Callable[[Path], None]:
    """Makes a file of so many bytes, sparse, of which the first image has this label."""

    def make(file: Path) -> None:
        with file.open("wb") as opened:
            opened.write(bytes([label]))
            opened.truncate(size)

    return make


class Malice:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.marker}'",)


def binary(first: Callable[[Path], object]) -> Callable[[Path], None]:
    """Makes a folder of the binary layout whose first file is made in this way."""

    def make(folder: Path) -> None:
        batches = folder / cifar10.FOLDERS["binary"]
        batches.mkdir(parents=True)
        for name in cifar10.TRAIN_FILES["binary"]:
            (first if name == FIRST else sized(SIZE))(batches / name)

    return make


def malicious(folder: Path) -> None:
    """The python layout, with a program in place of the images."""
    batches = folder / cifar10.FOLDERS["python"]
    batches.mkdir(parents=True)
    for name in cifar10.CHECKSUMS["python"]:
        (batches / name).write_bytes(pickle.dumps(Malice(folder / "it-ran")))


COMMANDS = (
    ["train", "RECIPE", "--device", "cpu"],
    ["sheet", "--set", "flip=1"],
    ["lr-range", "--config", "RECIPE", "--device", "cpu", "--workers", "1"],
)
BAD = {
    "empty": (binary(sized(0)), "data_batch_1.bin has 0 bytes"),
    "truncated": (binary(sized(SIZE - 1)), "data_batch_1.bin has 30,729,999 bytes"),
    "one byte too many": (binary(sized(SIZE + 1)), "data_batch_1.bin has 30,730,001 bytes"),
    "label 10": (binary(sized(SIZE, label=10)), "record 0 (counted from 0) has the label 10"),
    "label 255": (binary(sized(SIZE, label=255)), "record 0 (counted from 0) has the label 255"),
    "a folder": (binary(Path.mkdir), "it is not a file"),
    "a pipe": (binary(os.mkfifo), "it is not a file"),
    "a loop": (binary(lambda file: file.symlink_to(file)), "Too many levels of symbolic links"),
    "one missing": (binary(lambda _: None), "lacks data_batch_1.bin of CIFAR-10's training files"),
    "malicious": (malicious, "is a pickle, and not the official file of CIFAR-10"),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("kind", "command"), list(zip(BAD, cycle(COMMANDS), strict=False)))
def test_images_that_are_none_end_a_command_in_a_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str], kind: str
) -> None:
    make, words = BAD[kind]
    make(tmp_path / "images")
    recipe = tmp_path / "mine.toml"
    recipe.write_text("epochs = 1")
    arguments = [str(recipe) if word == "RECIPE" else word for word in command]
    assert run([*arguments, "--data", str(tmp_path / "images")]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("Error: ")
    assert words in line
    assert len(line) < 1_000
    assert not (tmp_path / "images" / "it-ran").exists()
    assert not recipe.with_suffix("").exists()


def test_links_to_the_right_files_are_as_good_as_the_files(tmp_path: Path) -> None:
    write_images(tmp_path / "real")
    linked = tmp_path / "linked" / cifar10.FOLDERS["binary"]
    linked.mkdir(parents=True)
    for file in (tmp_path / "real" / cifar10.FOLDERS["binary"]).iterdir():
        (linked / file.name).symlink_to(file)
    found = open_data(str(linked.parent)).read_train()
    assert found.images.shape == (50_000, 3, 32, 32)


def test_a_study_is_not_gone_on_with_on_images_that_have_changed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    new_study(open_storage(home.storage_url()))
    monkeypatch.setattr(resume, "open_data", lambda *_: DataSet("synthetic"))
    other = DATA.model_copy(update={"split": "fedcba9876543210"})
    monkeypatch.setattr(resume, "prepare_images", lambda *_: other)
    assert run(["resume", "--home", str(home.root), "--device", "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Study mine was started on other images: CIFAR-10, 45,000 training" in line
    assert "split fedcba9876543210" in line
    assert "Give --data the folder it was started with." in line
