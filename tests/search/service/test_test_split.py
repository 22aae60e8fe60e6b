"""Only `train --final` opens the test split: everything else works where there is none."""

from pathlib import Path

import pytest

from cifar_core.data import cifar10
from search.cli import run as run_here
from tests.search.running import space_file, without_test_files


@pytest.mark.images
@pytest.mark.slow
def test_everything_but_a_final_training_works_without_the_test_images(
    images_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = cifar10.find(images_folder)
    assert source is not None
    data = str(without_test_files(source, tmp_path))
    monkeypatch.setenv("CIFAR_SEARCH_DATA", data)
    monkeypatch.chdir(tmp_path)
    space, home = str(space_file(tmp_path)), ("--home", "home")
    tiny = ("--device", "cpu", "--workers", "1")
    sizes = ("--train-images", "200", "--epochs", "1", "--trials", "2")
    sweep = ("--epochs", "10", "--seeds", "1", "--low", "1e-3", "--high", "1")
    best = "home/exports/tiny/best-1.toml"
    for command in (
        ("start", "--space", space, *sizes, *home, *tiny, "--confirm", "1"),
        ("confirm", *home, *tiny),
        ("status", *home),
        ("export", *home),
        ("lr-range", "--config", best, *tiny, "--train-images", "200", *sweep),
        ("sheet", best, "--out", "sheet.png"),
        ("train", best, "--device", "cpu", "--no-plots"),
    ):
        assert run_here(list(command)) == 0, (command, capsys.readouterr().err)
    assert run_here(["train", best, "--device", "cpu", "--final"]) == 2
    assert "but there is no " in capsys.readouterr().err
