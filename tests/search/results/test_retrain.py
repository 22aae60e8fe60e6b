"""`cifar-search train`: what it measures, writes and prints."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cifar_core.checkpoint import load_state
from cifar_core.data.dataset import open_data
from cifar_core.data.resident import Normalization, splits_of
from cifar_core.data.split import split
from cifar_core.models import network_of
from cifar_core.recipe import Recipe
from search.cli import run
from search.recipe_files import read_configuration
from tests.search.pooling import cannot_compile, capture_badly
from tests.search.running import apart_from_the_images

NAMES = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
PNG = b"\x89PNG\r\n\x1a\n"
NETWORK = 'network = { name = "net", channels1 = 4, channels2 = 5, batch_norm = true }\n'
RECIPE = f'epochs = 2\nbatch_size = 50\n{NETWORK}optimizer = {{ name = "adam", lr = 0.003 }}\n'


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short recipe in an otherwise empty folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "short.toml"
    path.write_text(RECIPE)
    return path


def trained(
    capsys: pytest.CaptureFixture[str], config: Path, data: Path | str, *options: object
) -> tuple[str, str]:
    """Both outputs of a training that must succeed."""
    words = ("train", config, "--data", data, "--device", "cpu", *options)
    code = run([str(word) for word in words])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out, apart_from_the_images(err, data)


def document(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "result.json").read_text())
    assert isinstance(found, dict)
    return found


def test_a_training_leaves_numbers_and_plots(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path
) -> None:
    out, err = trained(capsys, config, few_images, "--train-images", 400, "--seed", 3)
    assert err == ""
    folder = config.with_suffix("")
    written = {
        *("network-3.pt", "features-3.json", "result.json", "curves.png"),
        *("classes-3.png", "confusion-3.png", "features-3.png"),
    }
    assert {file.name for file in folder.iterdir()} == {*written, "training-3.pt"}
    for file in folder.glob("*.png"):
        assert file.read_bytes().startswith(PNG)

    (measured,) = document(folder)["runs"]
    counts = np.array(measured["confusion"])
    assert counts.shape == (10, 10)
    labelled = open_data(str(few_images)).read_train()
    of_class = np.bincount(labelled.labels[split(labelled, 400).validation])
    assert counts.sum(axis=1).tolist() == of_class.tolist()
    assert counts.trace() / counts.sum() == measured["accuracy"]
    assert list(measured["per_class"]) == NAMES
    assert list(measured["per_class"].values()) == (counts.diagonal() / of_class).tolist()
    assert 0.2 < measured["accuracy"] < 1.0  # else rows and columns could hide behind each other

    *_, by_class, files = out.splitlines()
    percents = "  ".join(f"{n} {100 * v:.0f}" for n, v in measured["per_class"].items())
    assert by_class == f"validation accuracy by class, in %: {percents}"
    assert files.startswith(f"Written to {folder}: ")
    assert set(files.split(": ")[1].split(", ")) == written


def test_the_feature_maps_are_of_the_wanted_image_and_the_written_network(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path
) -> None:
    trained(capsys, config, few_images, "--train-images", 100, "--image", 17, "--no-plots")
    folder = config.with_suffix("")
    assert not list(folder.glob("*.png"))
    found = json.loads((folder / "features-0.json").read_text())
    recipe = read_configuration(config)
    labelled = open_data(str(few_images)).read_train()
    splits = splits_of(labelled, split(labelled, 100))
    image, label = splits.validation.images[17:18], int(splits.validation.labels[17])
    assert (found["image"], found["class"], found["seed"]) == (17, NAMES[label], 0)
    assert (found["split"], found["data"].split(",")[0]) == (
        "validation",
        "own images of 10 classes",
    )
    network = network_of(recipe.network)
    network.load_state_dict(load_state(folder / "network-0.pt"))
    first = network.eval().get_submodule("features.0")
    with torch.no_grad():
        expected = first(Normalization.of(recipe, splits)(image))[0]
    values = torch.tensor(found["layers"]["features.0"])
    assert values.shape == (4, 28, 28)
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-5)
    flat = np.array(found["layers"]["features.4"]).ravel().tolist()
    assert flat == [float(f"{value:.5g}") for value in flat]
    assert flat != [float(f"{value:.4g}") for value in flat]


@pytest.mark.slow
def test_several_seeds_have_a_mean_and_a_file_each(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path
) -> None:
    out, _ = trained(capsys, config, few_images, "--train-images", 200, "--seeds", 2)
    folder = config.with_suffix("")
    assert {file.name for file in folder.glob("*.png")} == {
        "curves.png",
        *(f"{kind}-{seed}.png" for kind in ("classes", "confusion", "features") for seed in (0, 1)),
    }
    tables = [measured["per_class"] for measured in document(folder)["runs"]]
    assert tables[0] != tables[1]
    means = (f"{n} {100 * statistics.fmean(t[n] for t in tables):.0f}" for n in NAMES)
    *_, by_class, files = out.splitlines()
    assert by_class.endswith("in %: " + "  ".join(means))
    assert "classes-SEED.png" in files
    assert "-0." not in files


def test_json_is_the_written_document(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path
) -> None:
    out, _ = trained(capsys, config, few_images, "--train-images", 100, "--json", "--no-plots")
    assert json.loads(out) == document(config.with_suffix(""))


def test_a_final_training_measures_classes_on_the_test_images(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    few_images: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config.write_text(RECIPE.replace("epochs = 2", "epochs = 1"))
    drawn = curves_drawn(monkeypatch)
    out, err = trained(capsys, config, few_images, "--final", "--image", 99)
    found = document(config.with_name("short-final"))
    assert err == ""
    assert (found["data"]["train"], found["data"]["validation"]) == (500, 0)
    of_class = np.bincount(open_data(str(few_images)).read_test().labels)
    assert np.array(found["runs"][0]["confusion"]).sum(axis=1).tolist() == of_class.tolist()
    assert "  validation " not in out
    assert "test accuracy by class, in %: plane " in out
    assert drawn == [("train; seed 0", False)]


def test_a_final_training_that_needs_validation_images_keeps_them_and_says_so(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    few_images: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = RECIPE.replace("epochs = 2", "epochs = 1")
    config.write_text(f'{short}schedule.name = "plateau"\n')
    drawn = curves_drawn(monkeypatch)
    out, err = trained(capsys, config, few_images, "--final")
    found = document(config.with_name("short-final"))
    assert err.startswith("note: a plateau schedule needs validation images, so --final ")
    assert (found["data"]["train"], found["data"]["validation"]) == (400, 100)
    assert (found["measured_on"], found["images_measured"]) == ("test", 100)
    assert {"converged", "back_to"} <= found["runs"][0]["epochs"][0].keys()
    assert "  validation " in out.splitlines()[1]
    assert drawn == [("train and validation; seed 0", True)]


def curves_drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The captions' ends of the curves that will be drawn, and whether they show validation."""
    from search.results import retrain_plots

    drawn, draw = [], retrain_plots.curves_figure

    def watched(histories: Any, caption: str, *, validation: bool) -> Any:
        drawn.append(("; ".join(caption.split("; ")[1:]), validation))
        return draw(histories, caption, validation=validation)

    monkeypatch.setattr(retrain_plots, "curves_figure", watched)
    return drawn


def test_an_epoch_that_went_back_or_converged_says_so(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path
) -> None:
    text = RECIPE.replace("epochs = 2", "epochs = 30").replace("lr = 0.003", "lr = 1e-9")
    config.write_text(f'{text}schedule = {{ name = "plateau", patience = 1 }}\n')
    out, _ = trained(capsys, config, few_images, "--train-images", 50, "--no-plots")
    epochs = document(config.with_suffix(""))["runs"][0]["epochs"]
    assert len(epochs) < 30
    for line, epoch in zip(out.splitlines()[1:], epochs, strict=False):
        assert ("  converged  " in line) == epoch["converged"]
        assert (f"  back to epoch {epoch['back_to']}  " in line) == (epoch["back_to"] is not None)
    assert epochs[-1]["converged"]


def test_a_training_that_diverges_is_diagnosed_all_the_same(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path
) -> None:
    config.write_text('epochs = 3\nbatch_size = 10\noptimizer = { name = "sgd", lr = 1000.0 }\n')
    trained(capsys, config, few_images, "--train-images", 200)
    folder = config.with_suffix("")
    (measured,) = document(folder)["runs"]
    assert np.array(measured["confusion"]).sum() == 100
    assert len(list(folder.glob("*.png"))) == 4
    assert "NaN" not in (folder / "features-0.json").read_text()


def test_where_compiling_fails_a_note_says_so_and_the_network_is_trained_as_it_is(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    few_images: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "compile", cannot_compile)
    options = ("--train-images", 100, "--no-plots", "--out")
    _, err = trained(capsys, config, few_images, *options, "plain")
    assert err == ""
    out, err = trained(capsys, config, few_images, *options, "not-compiled", "--compile")
    assert err == (
        "note: The network is trained uncompiled, as compiling fails: RuntimeError: no compiler was found\n"
    )
    assert "note" not in out
    plain, other = (load_state(Path(name) / "network-0.pt") for name in ("plain", "not-compiled"))
    assert plain.keys() == other.keys()
    assert all(torch.equal(plain[name], other[name]) for name in plain)


def test_where_capturing_steps_fails_a_note_says_so_once(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    few_images: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capture_badly(monkeypatch)
    options = ("--train-images", 300, "--no-plots", "--seeds", 2)
    _, err = trained(capsys, config, few_images, *options)
    assert err == (
        "note: Steps are taken without CUDA graphs, which fail here: RuntimeError: no step is captured\n"
    )


def test_a_compiled_network_is_the_one_that_is_trained_and_nothing_is_said(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    few_images: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[int] = []

    def counting(network: nn.Module, **_: object) -> Callable[[Tensor], Tensor]:
        def forward(images: Tensor) -> Tensor:
            batches.append(len(images))
            result = network(images)
            assert isinstance(result, Tensor)
            return result

        return forward

    monkeypatch.setattr(torch, "compile", counting)
    options = ("--train-images", 100, "--no-plots", "--seeds", 2)
    _, err = trained(capsys, config, few_images, *options, "--compile")
    assert err == ""
    assert batches == [50] * (1 + 2 * 2) * 2  # the trial run and two epochs of two batches, twice


@pytest.mark.slow
def test_the_synthetic_images_have_their_own_class_names(
    capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    out, _ = trained(capsys, config, "synthetic", "--train-images", 100, "--no-plots")
    assert "in %: striped disc " in out
    assert "plane" not in out


def test_a_batch_size_above_the_training_images_is_said(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path
) -> None:
    options = ("--train-images", 40, "--no-plots", "--seeds", 2)
    _, err = trained(capsys, config, few_images, *options)
    words = "note: batch_size is 50, but there are 40 training images: each batch is cut to all of them."
    assert err.count(words) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--image", "5000"], "--image must be from 0 to 4999"),
        (["--image", "-1"], "'--image'"),
        (["--final", "--train-images", "99"], "leave out --train-images"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_training(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    plain_images: Path,
    options: list[str],
    words: str,
) -> None:
    assert run(["train", str(config), "--data", str(plain_images), *options]) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert (out, "Traceback" in err) == ("", False)
    assert not config.with_suffix("").exists()


def test_a_folder_that_cannot_be_made_is_an_error_without_a_traceback(
    capsys: pytest.CaptureFixture[str], config: Path, few_images: Path
) -> None:
    (config.parent / "file").write_text("")
    out = config.parent / "file" / "below"
    assert run(["train", str(config), "--data", str(few_images), "--out", str(out)]) == 1
    err = capsys.readouterr().err
    assert f"{out} cannot be written to: Not a directory." in err
    assert "Traceback" not in err


def test_the_recipes_that_need_validation_images_are_those_with_a_plateau() -> None:
    from search.results.subject import needs_validation

    names = ["constant", "step", "cosine", "one_cycle", "linear", "plateau"]
    recipes = [Recipe.read({"schedule": {"name": name}}) for name in names]
    assert [needs_validation(one) for one in recipes] == [False] * 5 + [True]
