"""An LR-range test on its own: what is measured, through which rates, and what is left behind."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_core.data.dataset import DataSet
from cifar_core.errors import CifarSearchError, DataError, RampError, RecipeError
from cifar_core.lr_range import Ramp
from cifar_core.recipe import Recipe
from search.errors import ServiceError, UsageError
from search.events import Event, Notice, SweepsProgress
from search.lr_range import report as lr_report
from search.lr_range.bounds import combine_all
from search.lr_range.corners import corners_of
from search.lr_range.report import LR, Report, run_lr_range
from search.lr_range.sweeps import SLOWER
from search.request import LrRangeRequest
from search.study.settings import DataIdentity
from search.workers.messages import Failed, SweepDone, SweepTask, WorkerMessage
from search.workers.slots import Slot
from spaces.errors import SpaceError
from spaces.files import load_space
from spaces.reading import read_space
from tests.search.scripted import DATA
from tests.search.sweeping import SweepingPool, answered, curve, flat
from tests.spaces.making import one_parameter, plain_space

IMAGES = 400
RECIPE = 'batch_size = 100\noptimizer = { name = "adam" }\nnetwork.channels1 = 3\n'
GRID = """
name = "mine"
title = "A grid of my own"
[parameters.batch_size]
sets = "batch_size"
choices = [100, 200]
[parameters.lr]
sets = "optimizer.lr"
choices = [0.1, 0.01]
[parameters.schedule]
sets = "schedule.name"
choices = ["constant", "cosine"]
[parameters.epochs]
sets = "epochs"
choices = [1, 2]
[grid]
seeds = 1
"""


class Bench:
    """Stands in for images and processes, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.answer: Callable[[SweepTask], WorkerMessage] = answered
        self.pool = SweepingPool()
        self.slots: Sequence[Slot] = ()
        self.train_images: int | None = None
        self.data: DataSet | None = None
        self.prepared = False
        self.events: list[Event] = []

    def prepare(self, data: DataSet, train_images: int | None, path: Path) -> DataIdentity:
        path.touch(exist_ok=False)
        self.data, self.train_images, self.prepared = data, train_images, True
        return DATA.model_copy(update={"train": IMAGES})

    def open_pool(self, slots: Sequence[Slot], images: Path, logs: Path) -> SweepingPool:
        assert images.exists()
        assert logs.parent == images.parent
        self.slots = slots
        self.pool = SweepingPool(len(slots), self.answer)
        return self.pool

    def run(self, **request: Any) -> Report:
        wishes = {"device": "cpu", "data": "synthetic", "workers": 2, **request}
        return run_lr_range(LrRangeRequest(**wishes), self.events.append, Path("data"))

    @property
    def ramps(self) -> set[Ramp]:
        return {task.ramp for task in self.pool.tasks}

    @property
    def notices(self) -> list[str]:
        return [one.text for one in self.events if isinstance(one, Notice)]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made; nothing is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def bench(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench()
    monkeypatch.setattr(lr_report, "prepare_images", made.prepare)
    monkeypatch.setattr(lr_report, "LocalPool", made.open_pool)
    return made


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of one's own, of batches of 100."""
    file = tmp_path / "mine.toml"
    file.write_text(RECIPE)
    return file


def space_file(folder: Path, **changes: Any) -> str:
    """The small space as a file; `changes` as in `plain_space`."""
    file = folder / "space.json"
    file.write_text(json.dumps(plain_space(**changes)))
    return str(as_toml(file))


def as_toml(file: Path) -> Path:
    """The same values as TOML, in which every value of this project's spaces is written as in JSON."""

    def written(value: Any) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{key} = {written(one)}" for key, one in value.items()) + " }"
        if isinstance(value, list):
            return "[" + ", ".join(map(written, value)) + "]"
        return json.dumps(value)

    plain = json.loads(file.read_text())
    toml = file.with_suffix(".toml")
    toml.write_text("\n".join(f"{key} = {written(value)}" for key, value in plain.items()))
    return toml


# ------------------------------------------------------------------------------------- of a space


def test_a_space_is_measured_where_a_search_would_measure(bench: Bench, tmp_path: Path) -> None:
    file = space_file(tmp_path, quick=None)
    report = bench.run(space=file)
    space = load_space(file)
    assert report.space == space
    assert report.name == "small"
    assert list(report.corners) == corners_of(space)
    assert [task.recipe for task in bench.pool.tasks] == [
        corner.recipe for corner in report.corners for _ in range(2)
    ]
    assert bench.ramps == {Ramp(1e-5, 10.0)}
    assert report.seeds == 2
    assert list(report.bounds) == combine_all(space, report.corners, report.findings)
    assert [one.conclusive for one in report.bounds] == [True, True]
    assert report.epochs == pytest.approx(16 / 3)


def test_the_rates_of_a_space_are_those_of_its_file(bench: Bench, tmp_path: Path) -> None:
    lr_range = {"base": "best", "corners": [], "seeds": 1, "low": 1e-4, "high": 2.0}
    report = bench.run(space=space_file(tmp_path, lr_range=lr_range))
    assert bench.ramps == {Ramp(1e-4, 2.0)}
    assert report.seeds == 1
    assert len(bench.pool.tasks) == 2


@pytest.mark.parametrize(
    ("wish", "ends"),
    [
        ({"low": 1e-7}, (1e-7, 2.0)),
        ({"high": 5.0}, (1e-4, 5.0)),
        ({"low": 1e-6, "high": 0.5}, (1e-6, 0.5)),
    ],
)
def test_an_end_that_is_given_stands_in_for_the_spaces(
    bench: Bench, tmp_path: Path, wish: dict[str, float], ends: tuple[float, float]
) -> None:
    lr_range = {"base": "best", "corners": [], "seeds": 1, "low": 1e-4, "high": 2.0}
    bench.run(space=space_file(tmp_path, lr_range=lr_range), **wish)
    assert {(ramp.low, ramp.high) for ramp in bench.ramps} == {ends}


def test_seeds_and_seed_are_those_that_are_given(bench: Bench, tmp_path: Path) -> None:
    file = space_file(tmp_path)
    report = bench.run(space=file, seeds=3, seed=5)
    assert (report.seeds, report.seed) == (3, 5)
    assert len(bench.pool.tasks) == 24
    seeds = {task.seed for task in bench.pool.tasks}
    bench.run(space=file, seeds=3)
    assert seeds.isdisjoint(task.seed for task in bench.pool.tasks)


def test_on_a_cpu_the_smaller_version_is_measured_and_it_is_said(
    bench: Bench, tmp_path: Path
) -> None:
    report = bench.run(space=space_file(tmp_path))
    assert report.space is not None
    assert report.space.parameters["channels1"].high == 4
    assert bench.train_images == 100
    (notice,) = bench.notices
    assert notice.startswith("This is a QUICK run (no GPU is used): 100 training images")


@pytest.mark.parametrize(
    ("wish", "images", "widest"),
    [
        ({"scale": "full"}, None, 8),
        ({"scale": "full", "train_images": 50}, 50, 8),
        ({"train_images": 50}, 50, 4),
    ],
)
def test_scale_and_images_are_those_that_are_asked_for(
    bench: Bench, tmp_path: Path, wish: dict[str, Any], images: int | None, widest: int
) -> None:
    report = bench.run(space=space_file(tmp_path), **wish)
    assert report.space is not None
    assert bench.train_images == images
    assert report.space.parameters["channels1"].high == widest
    assert any("QUICK" in one for one in bench.notices) is (widest == 4)


def test_progress_is_told(bench: Bench, recipe: Path) -> None:
    bench.run(config=recipe)
    told = [(one.done, one.total) for one in bench.events if isinstance(one, SweepsProgress)]
    assert told == [(done, 3) for done in range(4)]


# ------------------------------------------------------------------------------------ of a recipe


def test_a_recipe_is_swept_three_times_over_eleven_decades(bench: Bench, recipe: Path) -> None:
    report = bench.run(config=recipe)
    assert bench.ramps == {Ramp()}
    assert (Ramp().low, Ramp().high) == (1e-10, 10.0)
    assert [task.recipe for task in bench.pool.tasks] == [
        Recipe.read({"batch_size": 100, "optimizer": {"name": "adam"}, "network": {"channels1": 3}})
    ] * 3
    assert (report.name, report.space, report.bounds) == (str(recipe), None, ())
    (corner,) = report.corners
    assert (corner.parameter, corner.values) == (LR, {}) == ("lr", {})
    (found,) = report.findings
    assert found.minimum == pytest.approx(0.01, rel=0.1)
    assert bench.notices == []


@pytest.mark.parametrize(
    ("epochs", "steps"),
    [(28, 112), (27.6, 111), (27.5, 110), (100.0, 400)],
)
def test_epochs_become_steps_of_the_images_that_there_are(
    bench: Bench, recipe: Path, epochs: float, steps: int
) -> None:
    bench.run(config=recipe, epochs=epochs, seeds=1)  # 4 steps an epoch
    assert bench.ramps == {Ramp(steps=steps)}


def test_a_batch_larger_than_the_set_is_the_set(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "large.toml"
    file.write_text("batch_size = 1024\n")
    bench.run(config=file, epochs=150, seeds=1)
    assert bench.ramps == {Ramp(steps=150)}


def test_steps_that_are_chosen_are_not_repeated(bench: Bench, recipe: Path) -> None:
    bench.answer = flat
    report = bench.run(config=recipe, epochs=50, seeds=1)
    assert len(bench.pool.tasks) == 1
    assert not report.findings[0].conclusive
    bench.run(config=recipe, seeds=1)
    assert [task.ramp.steps for task in bench.pool.tasks] == [
        None,
        SLOWER * len(Ramp().rates(100)),
    ]


def test_equal_steps_are_passed_on(bench: Bench, recipe: Path) -> None:
    report = bench.run(config=recipe, linear=True, low=0.01, high=1.0, seeds=1)
    assert bench.ramps == {Ramp(0.01, 1.0, linear=True)}
    first, second, third, *_ = report.findings[0].lr
    assert second - first == pytest.approx(third - second)


# ------------------------------------------------------------------------------------- of a grid


def test_a_grid_is_measured_once_for_each_recipe_that_differs_in_more_than_rate_and_length(
    bench: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "grid.toml"
    file.write_text(GRID)
    report = bench.run(space=str(file), seeds=1)
    assert [corner.values["batch_size"] for corner in report.corners] == [100, 200]
    assert {corner.parameter for corner in report.corners} == {LR}
    assert len(bench.pool.tasks) == 2
    assert report.bounds == ()
    for corner in report.corners:
        assert report.space is not None
        assert corner.recipe == report.space.recipe_of(corner.values)


@pytest.mark.parametrize(
    ("name", "distinct"),
    [
        ("batch_size", 4),
        ("optimizer", 2),
        ("scheduler", 2),
        ("plateau", 1),
        ("tutorial", 1),
        ("resnet9", 2),
        ("init", 2),
    ],
)
def test_a_shipped_grid_is_measured_at_its_distinct_recipes(
    bench: Bench, name: str, distinct: int
) -> None:
    report = bench.run(space=name, scale="full", seeds=1)
    assert len(report.corners) == len(report.findings) == len(bench.pool.tasks) == distinct
    assert report.seeds == 1


def test_a_grid_is_swept_three_times_over_eleven_decades(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "grid.toml"
    file.write_text(GRID)
    assert bench.run(space=str(file)).seeds == 3
    assert bench.ramps == {Ramp()}


def test_a_space_that_measures_no_rate_is_measured_at_its_known_configurations(
    bench: Bench, tmp_path: Path
) -> None:
    plain = plain_space(lr_range=None, quick=None)
    for name in ("sgd_lr", "adam_lr"):
        plain["parameters"][name]["measured"] = False
    report = bench.run(space=space_file(tmp_path, **plain, lr_range=None, quick=None))
    assert [corner.values for corner in report.corners] == [
        known["values"] for known in plain["known"]
    ]
    assert report.bounds == ()


def test_a_space_that_says_nothing_to_measure_is_answered_with_the_other_way(
    bench: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "space.json"
    file.write_text(json.dumps(one_parameter(sets="batch_size", choices=[32, 64])))
    with pytest.raises(UsageError, match="so there is nothing to measure") as caught:
        bench.run(space=str(as_toml(file)))
    assert "--config FILE" in str(caught.value)
    assert not bench.prepared


# ---------------------------------------------------------------------------------------- report

ABOUT = {"data", "split", "seed", "seeds"}
FINDING = {
    *("lr", "loss", "smoothed", "epochs", "start", "steepest", "minima", "minimum", "divergence"),
    *("low", "high", "suggested", "reason", "conclusive", "words"),
}


def strict(report: Report) -> dict[str, Any]:
    """The report's document, which must be JSON without NaN and infinities."""
    found: dict[str, Any] = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    return found


def test_a_recipes_document_has_its_finding_at_the_top(bench: Bench, recipe: Path) -> None:
    found = strict(bench.run(config=recipe, seed=3))
    assert found.keys() == ABOUT | FINDING | {"config", "recipe"}
    assert found["config"] == str(recipe)
    assert found["recipe"] == Recipe.read(found["recipe"]).to_dict()
    assert (found["recipe"]["batch_size"], found["seed"], found["seeds"]) == (100, 3, 3)
    assert found["data"] == {**DATA.model_dump(mode="json"), "train": IMAGES}
    assert found["split"] == "training images only"
    assert len(found["lr"]) == len(found["loss"]) == len(found["smoothed"]) > 100
    assert found["conclusive"] is True
    assert found["low"] < found["suggested"] < found["minima"][0]["lr"] == found["minimum"]
    assert found["minimum"] < found["divergence"]
    assert found["epochs"] == pytest.approx(1.0)


def test_a_spaces_document_has_a_range_for_each_optimizer_and_every_corner(
    bench: Bench, tmp_path: Path
) -> None:
    report = bench.run(space=space_file(tmp_path))
    found = strict(report)
    assert found.keys() == ABOUT | {"space", "epochs", "lr_bounds", "corners"}
    assert found["space"] == "small"
    assert found["lr_bounds"].keys() == {"sgd", "adam"}
    for bounds, one in zip(found["lr_bounds"].values(), report.bounds, strict=True):
        assert bounds == one.to_dict()
    assert found["epochs"] == pytest.approx(16 / 3, abs=1e-3)
    assert len(found["corners"]) == 8
    for corner in found["corners"]:
        assert corner.keys() == FINDING | {"parameter", "values"}


@pytest.mark.parametrize("steps", [0, 5, 11])
def test_what_is_no_number_is_null_in_the_document(bench: Bench, recipe: Path, steps: int) -> None:
    def breaks_off(task: SweepTask) -> WorkerMessage:
        whole = curve(0.1, task.ramp.rates(task.recipe.batch_size))
        return SweepDone(type(whole)(whole.lr, whole.loss[:steps], whole.epochs))

    bench.answer = breaks_off
    found = strict(bench.run(config=recipe))
    assert found["conclusive"] is False
    assert found["reason"]
    assert found["words"].startswith("Inconclusive: ")
    assert (found["low"], found["high"], found["suggested"]) == (None, None, None)


# --------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({"space": "nonsense"}, SpaceError, "There is no space named 'nonsense'"),
        (
            {"space": "batch_size", "train_images": 9},
            UsageError,
            "--train-images",
        ),
        ({"space": "batch_size", "train_images": 45_001}, UsageError, "10 to 45000, but got 45001"),
        ({"config": Path("none.toml")}, UsageError, "none.toml cannot be read"),
        ({"config": Path("none.txt")}, UsageError, "none.txt cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_before_images_are_prepared(
    bench: Bench, request_: dict[str, Any], error: type[CifarSearchError], words: str
) -> None:
    with pytest.raises(error, match=words):
        bench.run(**request_)
    assert not bench.prepared


def test_a_recipe_that_is_none_is_refused_with_its_key(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("epochs = 0\n")
    with pytest.raises(RecipeError, match="epochs: must be at least 1, but got 0"):
        bench.run(config=file)
    assert not bench.prepared


@pytest.mark.parametrize(
    "ends",
    [
        {"low": 0.1, "high": 0.1},
        {"low": 1.0, "high": 0.1},
        {"low": 20.0},
        {"high": 1e-11},
        {"low": -1.0},
        {"low": 0.0},
        {"high": 1001.0},
        {"low": float("nan")},
        {"high": float("nan")},
        {"high": float("inf")},
    ],
    ids=str,
)
def test_rates_that_make_no_sweep_are_refused(
    bench: Bench, recipe: Path, ends: dict[str, float]
) -> None:
    with pytest.raises(RampError, match="A sweep needs 0 < low < high <= 1000, but got"):
        bench.run(config=recipe, **ends)
    assert bench.pool.tasks == []


@pytest.mark.parametrize("epochs", [1e-9, 1, 27])
def test_too_few_epochs_are_refused(bench: Bench, recipe: Path, epochs: float) -> None:
    with pytest.raises(RampError, match="steps are too few from lr 1e-10 to 10: at least 110"):
        bench.run(config=recipe, epochs=epochs)
    assert bench.pool.tasks == []


def test_a_folder_without_images_is_refused_with_the_ways_out(
    temporary: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(_: Path) -> None:
        raise DataError("no net")

    monkeypatch.setattr("cifar_core.data.dataset.download", offline)
    asked = LrRangeRequest(config=recipe, device="cpu", data=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="There are no CIFAR-10 images"):
        run_lr_range(asked, print, tmp_path)


def test_synthetic_images_in_place_of_others_are_told_loudly(
    bench: Bench, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        lr_report, "open_data", lambda *_: DataSet("synthetic", notice="SYNTHETIC, not CIFAR-10.")
    )
    bench.run(config=recipe, data="auto", seeds=1)
    assert bench.notices == ["SYNTHETIC, not CIFAR-10."]


def test_a_disk_without_room_is_told_in_a_sentence(
    bench: Bench, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("search.lr_range.report.TemporaryDirectory", full)
    with pytest.raises(ServiceError, match=r"no room to work: .*No space left on device"):
        bench.run(config=recipe)


def test_a_sweep_that_cannot_be_kept_counts_all_the_same(
    bench: Bench, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("search.lr_range.sweeps.write_atomically", full)
    report = bench.run(config=recipe, seeds=2)
    assert len(bench.notices) == 2
    assert all("cannot be kept" in one and "No space left" in one for one in bench.notices)
    assert report.findings[0].epochs > 0.0


def test_a_training_that_fails_is_told_in_a_sentence(bench: Bench, recipe: Path) -> None:
    bench.answer = lambda _: Failed("out of memory: 3 GiB")
    with pytest.raises(ServiceError, match="cannot be run: out of memory: 3 GiB"):
        bench.run(config=recipe)


def test_nothing_is_left_after_an_interruption(bench: Bench, recipe: Path) -> None:
    def interrupted(_: SweepTask) -> WorkerMessage:
        raise KeyboardInterrupt

    bench.answer = interrupted
    with pytest.raises(KeyboardInterrupt):
        bench.run(config=recipe)


def test_a_gpu_that_is_not_there_is_refused(bench: Bench, recipe: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(CifarSearchError, match="cuda"):
        bench.run(config=recipe, device="cuda")
    assert not bench.prepared


@pytest.mark.parametrize("workers", [1, 3])
def test_there_are_as_many_workers_as_asked_for(bench: Bench, recipe: Path, workers: int) -> None:
    bench.run(config=recipe, workers=workers)
    assert [slot.device for slot in bench.slots] == ["cpu"] * workers


def test_the_space_is_the_one_that_a_search_would_read(tmp_path: Path) -> None:
    assert read_space(plain_space(), "here") == load_space(space_file(tmp_path))


def test_a_rate_of_nothing_is_not_taken_for_none(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(RampError):
        bench.run(space=space_file(tmp_path), low=0.0)


def test_rates_that_make_no_sweep_are_refused_before_images_are_prepared(
    bench: Bench, recipe: Path
) -> None:
    with pytest.raises(RampError):
        bench.run(config=recipe, low=1.0, high=0.1)
    assert not bench.prepared


def test_a_batch_size_above_the_training_images_is_said(bench: Bench, recipe: Path) -> None:
    bench.run(config=recipe)
    assert bench.notices == []
    recipe.write_text(RECIPE.replace("batch_size = 100", f"batch_size = {IMAGES + 1}"))
    bench.run(config=recipe)
    (said,) = bench.notices
    assert said.startswith(f"batch_size is {IMAGES + 1}, but there are {IMAGES} training images: ")
