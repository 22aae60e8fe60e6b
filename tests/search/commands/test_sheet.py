"""`cifar-search sheet`: which augmentation it shows, and what is on the sheet."""

import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from cifar_core.data.dataset import open_data
from cifar_core.plots.sheet import SCALE, corner_of
from search.cli import run
from tests.search.running import apart_from_the_images

SPACE = """
name = "mine"
title = "t"
recipe.epochs = 1
recipe.augmentation.flip = 0.25
parameters.lr = { sets = "optimizer.lr", low = 0.1, high = 0.2 }
"""
SEARCHED = """
parameters.cutout = { sets = "augmentation.cutout", low = 0, high = 8 }
known = [
    { name = "first", values = { lr = 0.1, cutout = 4 } },
    { name = "last", values = { lr = 0.2, cutout = 8 } },
]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_images: Path) -> Path:
    """An empty folder to work in, with few images in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIFAR_SEARCH_DATA", str(few_images))
    return tmp_path


def drawn(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[str], str]:
    """The lines and the notes of a sheet that must succeed."""
    code = run(["sheet", *arguments])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out.splitlines(), apart_from_the_images(err, os.environ["CIFAR_SEARCH_DATA"])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    """Standard error of a sheet that must not be drawn."""
    assert run(["sheet", *arguments]) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert not Path("augmentations.png").exists()
    return err


def tile(image: np.ndarray, row: int, column: int) -> np.ndarray:
    """An image of the sheet, (3, 32, 32), which must consist of squares."""
    left, top = corner_of(row, column, 32)
    found = image[top : top + 32 * SCALE, left : left + 32 * SCALE]
    small = found[::SCALE, ::SCALE]
    assert (small.repeat(SCALE, 0).repeat(SCALE, 1) == found).all()
    return small.transpose(2, 0, 1)


def read(path: str | Path) -> np.ndarray:
    assert Path(path).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return np.rint(imread(path)[:, :, :3] * 255).astype(int)


def test_the_first_column_is_the_images_and_the_others_what_is_made_of_them(
    capsys: pytest.CaptureFixture[str], few_images: Path
) -> None:
    lines, err = drawn(capsys, "--set", "flip=1", "--columns", "3")
    assert lines == ["augmentation, changed by --set: flip 1", "augmentations.png"]
    assert err == ""
    image = read("augmentations.png")
    labelled = open_data(str(few_images)).read_train()
    flat = labelled.images.reshape(len(labelled.images), -1)
    for row in range(10):
        original = tile(image, row, 0)
        of_class = flat[labelled.labels == row]
        assert (of_class == original.reshape(-1)).all(axis=1).any()
        for column in (1, 2, 3):
            assert (tile(image, row, column) == original[:, :, ::-1]).all()


def test_the_seed_decides_everything(capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        drawn(
            capsys, "--set", "strength=1", "--columns", "2", "--seed", seed, "--out", f"{name}.png"
        )
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert Path("a.png").read_bytes() != Path("c.png").read_bytes()


def test_a_configuration_is_shown_and_changed_by_set(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    (here / "it.toml").write_text("augmentation = { flip = 0.5, crop_padding = 2 }")
    assert drawn(capsys, "it.toml")[0][0] == "it.toml: flip 0.5, crop_padding 2"
    words = ("it.toml", "--set", "crop_padding=4", "--set", "crop_fill=reflect")
    expected = "it.toml, changed by --set: flip 0.5, crop_padding 4, crop_fill reflect"
    assert drawn(capsys, *words)[0][0] == expected


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (SEARCHED, "known configuration 'first' of space mine: flip 0.25, cutout 4"),
        ("", "fixed recipe of space mine, which has no known configuration: flip 0.25"),
    ],
)
def test_of_a_space_its_first_known_configuration_is_shown(
    capsys: pytest.CaptureFixture[str], here: Path, more: str, words: str
) -> None:
    (here / "mine.toml").write_text(SPACE + more)
    assert drawn(capsys, "--space", "./mine.toml")[0][0] == words


def test_mixed_images_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    drawn(capsys, "--set", "cutmix=1", "--columns", "4")
    image = read("augmentations.png")
    same = [
        (tile(image, row, column) == tile(image, row, 0)).all(axis=0).mean()
        for row in range(10)
        for column in range(1, 5)
    ]
    assert 0.2 < np.mean(same) < 0.9  # of a pasted box nothing is the image's own, of the rest all


@pytest.mark.parametrize("setting", ["policy=auto", "flip=0"])
def test_an_augmentation_that_changes_nothing_is_noted(
    capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    _, err = drawn(capsys, "--set", setting, "--columns", "1")
    assert err.startswith("note: no image is changed")


def test_folders_on_the_way_are_made(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    lines, _ = drawn(capsys, "--set", "flip=1", "--columns", "1", "--out", "a/b/it.png")
    assert lines[-1] == "a/b/it.png"
    assert (here / "a" / "b" / "it.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "There is nothing to show: give a CONFIG file, --space NAME, or an augmentation"),
        (["it.toml", "--space", "baseline_constrained"], "Give a CONFIG or --space, not both."),
        (["it.toml"], "it.toml cannot be read: No such file or directory."),
        (["--space", "nonsense"], "There is no space named 'nonsense'."),
        (["--set", "flip=1", "--out", "it.jpg"], "--out must end in .png, but got it.jpg."),
        (["--set", "flip"], "--set takes FIELD=VALUE, such as strength=0.5, but got 'flip'."),
        (["--set", "=1"], "--set takes FIELD=VALUE"),
        (["--set", "strength=2"], "strength: must be at most 1.0, but got 2."),
        (["--set", "strength=nan"], "strength: "),
        (["--set", "crop_padding=1.5"], "crop_padding: "),
        (
            ["--set", "policy=wild"],
            "policy: must be 'trivial', 'auto' or 'augmix', but got 'wild'.",
        ),
        (["--set", "colour=1"], "colour: no such key"),
        (["--set", "colour=1"], "The fields are: flip, crop_padding, "),
        (["--set", "flip=1", "--columns", "0"], "'--columns'"),
    ],
)
def test_what_makes_no_sheet_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in refused(capsys, *arguments)


def test_a_place_that_cannot_be_written_is_an_error(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    (here / "file").write_text("")
    err = refused(capsys, "--set", "flip=1", "--columns", "1", "--out", "file/it.png", code=1)
    assert "file/it.png cannot be written: " in err
