"""Searches as a user runs them, from the command line to the exported file."""

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from cifar_core.data import cifar10
from cifar_core.models import network_of
from cifar_core.recipe import Recipe
from search.recipe_files import read_configuration
from tests.search.conftest import Here, Undisturbed
from tests.search.running import (
    COMMAND,
    FAST,
    OFFLINE,
    Database,
    Ended,
    run,
    space_file,
    without_test_files,
)

WAYS_OUT = ("--data DIR", "internet", "--data synthetic")


def document(result: Ended) -> dict[str, Any]:
    """What `--json` has printed, which must be one document and nothing else."""
    found = json.loads(result.out)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def training_files(images_folder: Path, tmp_path: Path) -> Path:
    """A data folder with the real training images, and no test file that could be opened."""
    source = cifar10.find(images_folder)
    assert source is not None
    return without_test_files(source, tmp_path)


def assert_summary_of(database: Database, summary: dict[str, Any], count: int) -> None:
    """The document of a finished search says what its study has, and what was exported is the best."""
    assert summary["state"] == "finished"
    assert summary["space"] == "tiny"
    trials = summary["trials"]
    assert trials["total"] == trials["finished"] == count
    assert trials["complete"] + trials["pruned"] + trials["failed"] == count
    assert (trials["failed"], trials["running"], trials["paused"]) == (0, 0, 0)

    found = database.trials()
    assert [trial.user_attrs.get("known") for trial in found[:2]] == ["by hand", "smaller batches"]
    assert found[0].params == {"sgd_lr": 0.004, "batch_size": 50, "dropout": 0.0}
    references = summary["references"]
    assert [one["name"] for one in references] == ["by hand", "smaller batches"]
    assert summary["baseline"] == references[0]
    assert [one["validation_accuracy"] for one in references] == [one.value for one in found[:2]]
    complete = [trial for trial in found if trial.state.name == "COMPLETE"]
    best = max(complete, key=lambda trial: (trial.value or 0.0, -trial.number))
    assert summary["best"]["number"] == best.number
    assert summary["best"]["validation_accuracy"] == best.value
    assert summary["epochs"]["trained"] == sum(len(trial.intermediate_values) for trial in found)

    bounds = summary["lr_bounds"]["sgd"]
    rates = [trial.params["sgd_lr"] for trial in found]
    assert all(bounds["low"] <= rate <= bounds["high"] for rate in rates)
    (curve,) = database.note("lr_range_curves")["corners"]
    assert len(curve["lr"]) == len(curve["loss"]) == len(curve["smoothed"]) > 100
    assert curve["values"]["batch_size"] == 50
    if bounds["conclusive"]:
        assert found[2].user_attrs["suggested"] == "LR-range test, sgd"
        assert found[2].params["sgd_lr"] == pytest.approx(bounds["suggested"])

    exported = Path(summary["best"]["exported"])
    assert exported == database.path.parent / "exports" / "tiny" / "best-1.toml"
    assert read_configuration(exported) == Recipe.read(summary["best"]["recipe"])
    provenance = tomllib.loads(exported.read_text())["provenance"]
    assert provenance["validation_accuracy"] == best.value
    assert provenance["trial"] == best.number


@pytest.mark.images
@pytest.mark.slow
def test_a_search_on_real_images_measures_searches_and_exports(
    training_files: Path, tmp_path: Path
) -> None:
    home, sizes = tmp_path / "home", ("--train-images", 300, "--epochs", 2, "--trials", 4)
    command = ("--space", space_file(tmp_path), "--home", home, *sizes, "--workers", 2)
    result = run("start", *command, "--data", training_files, "--json", folder=tmp_path, core=-1)
    assert result.code == 0, result
    assert "LR-range test: 1/1 sweeps" in result.err
    assert " % | trial" in result.err
    summary = document(result)
    data = summary["data"]
    assert (data["name"], data["train"]) == ("cifar10", 300)
    assert (data["validation"], data["confirming"]) == (2500, 2500)
    assert_summary_of(Database(home), summary, 4)


def test_a_search_says_what_it_found_and_what_it_gained(undisturbed: Undisturbed) -> None:
    said = " ".join(undisturbed.ended.out.split())  # lines may be broken anywhere
    trials = undisturbed.database.trials()
    values = {trial.number: trial.value for trial in trials if trial.state.name == "COMPLETE"}
    best = max(values, key=lambda number: values[number] or 0.0)
    assert "Search tiny finished: 11 of 11 trials" in said
    assert f"trial {best}, one run" in said
    for number, name in enumerate(("by hand", "smaller batches")):
        gain = 100 * ((values[best] or 0.0) - (values[number] or 0.0))
        assert f"{gain:+.1f} points over {name}" in said or best == number
    # What the LR-range test suggests is tried right after what is known.
    assert trials[2].user_attrs["suggested"] == "LR-range test, sgd"
    (bounds,) = undisturbed.database.note("lr_bounds")
    assert trials[2].params["sgd_lr"] == pytest.approx(bounds["suggested"])
    assert "| LR-range test, sgd: lr " in undisturbed.ended.out
    assert "sgd lr" in said
    assert "measured by an LR-range test at 1 corner of the space" in said
    assert re.search(r"epochs trained after \d+ for the LR-range test", said)
    assert (
        "CIFAR-10 (not the official files), 400 training / 2,500 validation / 2,500 confirming"
        in said
    )
    assert undisturbed.ended.err == ""


def test_every_command_that_a_search_proposes_is_there_to_its_end(undisturbed: Undisturbed) -> None:
    lines = undisturbed.ended.out.splitlines()
    steps = [line.partition("cifar-search ")[2] for line in lines if "  cifar-search " in line]
    exported = undisturbed.home / "exports" / "tiny" / "best-1.toml"
    # A wider range is proposed only where the best learning rate lies at an end of its own.
    assert [step for step in steps if not step.startswith("start ")] == [
        f"status tiny --home {undisturbed.home}",
        f"dashboard --home {undisturbed.home}",
        f"confirm tiny --home {undisturbed.home}",
        f"export tiny --home {undisturbed.home} --top 5",
        f"train {exported} --seeds 3",
    ]
    assert f"  exported to {exported}" in lines


def test_the_same_command_again_says_that_the_search_is_finished_and_trains_nothing(
    undisturbed: Undisturbed, here: Here
) -> None:
    database = undisturbed.database
    before = database.epochs(), database.states()
    result = here("start", *undisturbed.options, "--home", undisturbed.home, "--json")
    assert result.code == 0, result
    summary = document(result)
    assert summary["data"]["name"] == "cifar10"
    assert_summary_of(database, summary, 11)
    assert (database.epochs(), database.states()) == before
    names = sorted(one.filename for one in database.artifacts())
    assert names == ["lr-range-sgd_lr.png", "report.html"]
    assert "trial 0" not in result.err
    # What only an unfinished study needs is gone again.
    own = undisturbed.home / "studies" / "tiny"
    assert len(list((own / "checkpoints").iterdir())) == 1  # the best trial's network
    assert sorted(path.name for path in own.iterdir()) == [
        "checkpoints",
        "holder.json",
        "lock",
        "logs",
    ]


@pytest.mark.slow
def test_too_few_open_files_end_a_search_in_a_sentence(plain_images: Path, tmp_path: Path) -> None:
    words = ("start", "--space", space_file(tmp_path), "--workers", 12, "--device", "cpu")
    more = ("--train-images", 400, "--lr-bounds", "off", "--data", plain_images, "--home", "home")
    command = shlex.join(map(str, (COMMAND, *words, *more)))
    ended = subprocess.run(
        [str(shutil.which("bash")), "-c", f"ulimit -n 24; exec {command}"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.decode().strip()) == (
        1,
        "Error: Too many open files. Allow more open files (ulimit -n), or use fewer --workers.",
    )


@pytest.mark.slow
def test_auto_falls_back_to_synthetic_images_loudly_and_everything_says_so(
    tmp_path: Path,
) -> None:
    home = ("--home", "home")
    command = ("start", "--space", space_file(tmp_path), *home, *FAST, "--data", "auto")
    wishes = ("--trials", 1, "--epochs", 1, "--lr-bounds", "1e-3:1e-1")
    result = run(*command, *wishes, folder=tmp_path)
    assert result.code == 0, result
    first = result.out.splitlines()[0]
    assert first.startswith("note: CIFAR-10 is not in data and could not be downloaded")
    assert "SYNTHETIC images are used instead" in first
    assert not (tmp_path / "data").exists()
    assert result.out.count("on SYNTHETIC images, not CIFAR-10") == 2
    assert "SYNTHETIC images, not CIFAR-10" in run("status", *home, folder=tmp_path).out
    assert "synthetic" in run("studies", *home, folder=tmp_path).out.lower()
    exported = tomllib.loads((tmp_path / "home/exports/tiny/best-1.toml").read_text())
    assert exported["provenance"]["data"]["name"] == "synthetic"


def test_without_images_a_search_ends_with_the_ways_out_and_leaves_nothing(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    nowhere = tmp_path / "nowhere"
    command = ("start", "--space", space_file(tmp_path), "--home", tmp_path / "home", *FAST)
    result = here(*command, "--data", nowhere)
    assert result.code == 1, result
    assert f"There are no CIFAR-10 images in {nowhere}." in result.err
    assert all(way in result.err for way in WAYS_OUT)
    assert "Traceback" not in result.err
    assert result.out == ""
    assert not nowhere.exists()
    assert not (tmp_path / "home").exists() or not list((tmp_path / "home").iterdir())


def test_status_and_studies_show_a_finished_study(undisturbed: Undisturbed, here: Here) -> None:
    home = ("--home", undisturbed.home)
    status = here("status", "tiny", *home)
    assert status.code == 0, status
    assert status.out.startswith("tiny: finished, 11 of 11 trials")
    assert "by hand" in status.out
    studies = here("studies", *home)
    assert studies.code == 0, studies
    assert "tiny" in studies.out
    assert "11/11" in studies.out
    summary = document(here("status", *home, "--json"))
    assert len(summary.pop("trial_list")) == 11
    assert summary.pop("progress") is None  # nothing runs
    (one,) = json.loads(here("studies", *home, "--json").out)
    assert one == summary
    assert summary["study"] == "tiny"
    assert summary["state"] == "finished"
    assert summary["lr_bounds"]["sgd"]["conclusive"] is True


@pytest.mark.slow
def test_without_conclusion_a_search_runs_in_its_own_range_and_says_so_everywhere(
    plain_images: Path, tmp_path: Path, here: Here
) -> None:
    """Nothing can be learned at these rates; and its image cannot be kept either."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "artifacts").touch()  # where a folder would have to be
    space = space_file(tmp_path, seeds="1\nlow = 1e-8\nhigh = 1e-7")
    options = ("--home", home, *FAST, "--trials", 3, "--epochs", 1)
    result = run("start", "--space", space, *options, folder=tmp_path, data=plain_images)
    assert result.code == 0, result
    why = "the space's own range, because the LR-range test was inconclusive: The loss hardly fell"
    lines, said = result.out.splitlines(), " ".join(result.out.split())
    slower = (
        "The loss hardly fell in the LR-range test at 1 of 1 recipes; they are swept again with"
    )
    assert any(line.startswith(f"note: {slower}") for line in lines)
    assert any(line.startswith(f"sgd lr 0.001 to 0.1, {why}") for line in lines)
    assert "note: The plot of the LR-range test cannot be kept: " in said
    assert "Search tiny finished: 3 of 3 trials" in said
    found = Database(home).trials()
    assert all(0.001 <= trial.params["sgd_lr"] <= 0.1 for trial in found)
    assert all("suggested" not in trial.user_attrs for trial in found)
    assert Database(home).artifacts() == []
    assert "note: The report cannot be kept in " in result.err
    assert f"Report: {home}/exports/tiny/report.html" in result.out

    page = " ".join(here("status", "--home", home).out.split())
    assert f"sgd lr 0.001 to 0.1, {why}" in page
    told = document(here("status", "--home", home, "--json"))
    bounds = told["lr_bounds"]["sgd"]
    assert (bounds["low"], bounds["high"], bounds["suggested"]) == (0.001, 0.1, None)
    assert bounds["conclusive"] is False
    assert bounds["how"].startswith(why)


def test_a_study_that_is_not_there_is_named_with_those_that_are(
    undisturbed: Undisturbed, here: Here
) -> None:
    assert here("stop", "mine", "--home", undisturbed.home).code == 2
    result = here("status", "mine", "--home", undisturbed.home)
    assert result.code == 2, result
    assert "no study named 'mine'" in result.err
    assert "Studies: tiny" in result.err


@pytest.mark.parametrize("format_", ["json", "yaml"])
def test_the_best_are_exported_and_read_back(
    format_: str, undisturbed: Undisturbed, tmp_path: Path, here: Here
) -> None:
    command = ("export", "--home", undisturbed.home, "--top", 2, "--format", format_)
    result = here(*command, "--out", tmp_path / "mine")
    assert result.code == 0, result
    written = [Path(line) for line in result.out.splitlines()]
    assert written[1] == tmp_path / "mine" / "best-1.pt"  # the network that is kept
    paths = [written[0], *written[2:]]
    assert paths == [tmp_path / "mine" / f"best-{rank}.{format_}" for rank in (1, 2)]
    read = {"json": json.loads, "yaml": yaml.safe_load}[format_]
    complete = [trial for trial in undisturbed.database.trials() if trial.state.name == "COMPLETE"]
    best = sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))[:2]
    for path, trial in zip(paths, best, strict=True):
        assert read_configuration(path) == Recipe.read(trial.user_attrs["recipe"])
        assert read(path.read_text())["provenance"]["trial"] == trial.number
    network = network_of(read_configuration(paths[0]).network)
    network.load_state_dict(torch.load(written[1], weights_only=True))


def test_a_recipe_file_is_trained(
    undisturbed: Undisturbed,
    here: Here,
    few_images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    exported = undisturbed.home / "exports" / "tiny" / "best-1.toml"
    recipe = tmp_path / "short.toml"
    recipe.write_text(exported.read_text().replace("epochs = 4", "epochs = 1", 1))
    options = ("--data", few_images, "--train-images", 300, "--device", "cpu", "--json")
    result = here("train", recipe, *options)
    assert result.code == 0, result
    found = document(result)
    assert (found["measured_on"], found["recipe"]["epochs"]) == ("validation", 1)
    assert "seed 0  epoch 1/1" in result.err
    assert json.loads((tmp_path / "short" / "result.json").read_text()) == found
    assert (tmp_path / "short" / "network-0.pt").is_file()
