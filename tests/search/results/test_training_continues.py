"""`cifar-search train` loses nothing: killed, stopped, or called again."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from cifar_core.data.dataset import DataSet
from cifar_core.epoch import Epoch
from search.cli import run as run_here
from search.results.configuration import Configuration
from search.results.subject import TrainingImages
from search.results.training_jobs import Job, Progress, Trained
from tests.search.results.test_retrain import RECIPE, document
from tests.search.running import apart_from_the_images, begin, needs_proc
from tests.search.script import HandClock

SMALL = ("--device", "cpu", "--no-plots", "--train-images", 200)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A short recipe in an otherwise empty folder."""
    path = tmp_path / "short.toml"
    path.write_text(RECIPE)
    return path


def train(
    capsys: pytest.CaptureFixture[str], data: Path, *arguments: object, code: int = 0
) -> tuple[str, str]:
    """Both outputs of a training in this process."""
    words = ("train", *arguments, "--data", data)
    assert run_here([str(word) for word in words]) == code
    out, err = capsys.readouterr()
    return out, apart_from_the_images(err, data)


def figures(folder: Path) -> list[Any]:
    """Everything that a repetition must give again."""
    return [
        (
            one["seed"],
            one["accuracy"],
            one["loss"],
            one["correct"],
            [(epoch["train_loss"], epoch["validation_accuracy"]) for epoch in one["epochs"]],
        )
        for one in document(folder)["runs"]
    ]


@needs_proc
@pytest.mark.slow
def test_a_training_that_is_killed_continues_and_ends_as_an_undisturbed_one(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path, tmp_path: Path
) -> None:
    config.write_text(RECIPE.replace("epochs = 2", "epochs = 6"))
    command = (config, *SMALL, "--seeds", 2)
    with begin("train", *command, folder=tmp_path, data=few_images) as running:
        running.until(lambda: "seed 0  epoch 2/6" in running.out, "two epochs are saved")
        running.signal(signal.SIGKILL)
        ended = running.wait()
    assert "seed 1  epoch 6/6" not in ended.out
    out, err = train(capsys, few_images, *command)
    assert "seed 0: continues after epoch " in err or "seed 0: trained already" in err
    assert "seed 0  epoch 1/6" not in out
    train(capsys, few_images, *command, "--out", tmp_path / "whole")
    assert figures(tmp_path / "short") == figures(tmp_path / "whole")


def test_ctrl_c_ends_after_the_epoch_under_way_and_says_how_to_continue(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    few_images: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from search.results import training_jobs

    save = training_jobs.save_state

    def interrupted(state: dict[str, Any], path: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        save(state, path)

    monkeypatch.setattr(training_jobs, "save_state", interrupted)
    out, err = train(capsys, few_images, config, *SMALL, code=130)
    assert "seed 0  epoch 1/2" in out
    assert "seed 0  epoch 2/2" not in out
    assert err == "Stopped. Every finished epoch is saved; the same command continues there.\n"
    monkeypatch.undo()
    out, err = train(capsys, few_images, config, *SMALL)
    assert "seed 0: continues after epoch 1 of 2." in err
    assert "seed 0  epoch 1/2" not in out
    assert "seed 0  epoch 2/2" in out


@pytest.mark.slow
def test_finished_seeds_are_not_trained_again_unless_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path
) -> None:
    out, _ = train(capsys, few_images, config, *SMALL)
    assert out.splitlines()[1].endswith(" left")
    assert not out.splitlines()[2].endswith(" left")
    first = figures(config.with_suffix(""))
    out, err = train(capsys, few_images, config, *SMALL, "--seeds", 2)
    assert "seed 0: trained already" in err
    assert "seed 0  epoch" not in out
    assert "seed 1  epoch 2/2" in out
    assert figures(config.with_suffix(""))[:1] == first
    out, err = train(capsys, few_images, config, *SMALL, "--restart")
    assert "seed 0  epoch 1/2" in out
    assert (err, figures(config.with_suffix(""))) == ("", first)


@pytest.mark.parametrize("what", ["recipe", "images", "restart"])
def test_what_is_saved_of_another_training_is_neither_continued_nor_overwritten(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path, what: str
) -> None:
    train(capsys, few_images, config, *SMALL)
    state = config.with_suffix("") / "training-0.pt"
    before, options = state.read_bytes(), [*SMALL]
    if what == "images":
        options[-1] = 300
    else:
        config.write_text(RECIPE.replace("0.003", "0.004"))
    if what == "restart":
        train(capsys, few_images, config, *options, "--restart")
        assert state.read_bytes() != before
        return
    out, err = train(capsys, few_images, config, *options, code=2)
    assert "epoch 1/2" not in out
    assert "holds another training, which is not continued and not overwritten" in err
    assert "on 200 training images, split " in err
    assert f"on {options[-1]} training images, split " in err
    assert "--restart" in err
    assert state.read_bytes() == before


def test_a_damaged_state_is_said_and_its_training_begins_anew(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path
) -> None:
    train(capsys, few_images, config, *SMALL)
    first = figures(config.with_suffix(""))
    state = config.with_suffix("") / "training-0.pt"
    state.write_bytes(state.read_bytes()[:-500])
    out, err = train(capsys, few_images, config, *SMALL)
    assert "training-0.pt is damaged, so the training of seed 0 begins anew" in err
    assert "seed 0  epoch 1/2" in out
    assert figures(config.with_suffix("")) == first


@pytest.mark.slow
def test_several_seeds_at_once_give_what_they_give_one_after_another(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path, tmp_path: Path
) -> None:
    command = (config, *SMALL, "--seeds", 3, "--out")
    train(capsys, few_images, *command, tmp_path / "one")
    out, _ = train(capsys, few_images, *command, tmp_path / "two", "--workers", 2)
    assert "seed 2  epoch 2/2" in out
    assert len(list((tmp_path / "two" / "logs").iterdir())) == 2
    assert not (tmp_path / "two" / ".images").exists()
    assert figures(tmp_path / "one") == figures(tmp_path / "two")


def test_the_test_images_are_opened_after_everything_is_trained_and_once_for_each_seed(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    few_images: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config.write_text(RECIPE.replace("epochs = 2", "epochs = 1"))
    opened, read = [], DataSet.read_test

    def counted(self: DataSet) -> Any:
        opened.append([path.name for path in config.with_name("short-final").iterdir()])
        return read(self)

    monkeypatch.setattr(DataSet, "read_test", counted)
    options = ("--device", "cpu", "--no-plots", "--final", "--seeds")
    out, _ = train(capsys, few_images, config, *options, 1)
    (found,) = document(config.with_name("short-final"))["runs"]
    assert opened == [["training-0.pt"]]
    assert f"test accuracy {100 * found['accuracy']:.1f} %, one run\n" in out
    averaged = f"{100 * found['flip_averaged_accuracy']:.1f} %, one run, averaged over each image"
    assert f"test accuracy {averaged}" in out
    again, _ = train(capsys, few_images, config, *options, 1)
    assert len(opened) == 1
    assert again.splitlines()[1:] == out.splitlines()[2:]  # all but the epoch


def test_a_final_training_without_test_images_is_refused_before_anything_is_trained(
    capsys: pytest.CaptureFixture[str], config: Path, plain_images: Path
) -> None:
    out, err = train(capsys, plain_images, config, "--final", "--device", "cpu", code=2)
    assert "--final needs the test images, but there is no " in err
    assert "epoch 1" not in out


def test_the_time_left_counts_epochs_by_what_they_cost(few_images: Path) -> None:
    from cifar_core.data.dataset import open_data
    from cifar_core.recipe import Recipe

    images = TrainingImages.read(open_data(str(few_images)), 100)
    recipe = Recipe.read({"epochs": 4})
    one = Configuration("one", recipe, Path("one"))
    jobs = [Job(one, images, 0, done=1), Job(one, images, 1)]
    clock, seen = HandClock(), list[Trained]()
    progress = Progress(jobs, seen.append, clock)
    clock.now += 10.0
    progress.note(jobs[0], Epoch(2, 1.0, 0.5, 1.0, 0.5, 0.1, 10.0, 10.0))
    assert seen[-1].seconds_left == pytest.approx(60.0)  # 2 + 4 epochs
    clock.now += 10.0
    progress.note(jobs[1], Epoch(1, float("nan"), 0.5, 1.0, 0.5, 0.1, 10.0, 10.0))
    assert seen[-1].seconds_left == pytest.approx(20.0)  # a diverged training has no further ones
    assert progress.epochs_left == 2
