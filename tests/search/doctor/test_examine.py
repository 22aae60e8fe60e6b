"""`cifar-search doctor`: the whole examination, as it is shown, and as a process that leaves nothing."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cifar_core.data import cifar10
from cifar_core.data.dataset import DataSet
from cifar_core.recipe import Net, Recipe
from cifar_core.throughput import Throughput
from search.cli import run
from search.doctor import examine as doctor
from search.doctor import machine
from search.doctor.check import Check
from search.errors import ServiceError
from search.plan import plan_of
from search.request import StartRequest
from search.study.settings import DataIdentity
from search.workers import slots
from search.workers.messages import Failed, SpeedDone, SpeedTask, WorkerMessage
from spaces.files import load_space
from spaces.reading import quicker, with_ranges
from tests.search.running import begin, ended, needs_proc, without_test_files
from tests.search.scripted import DATA
from tests.search.speeding import SpeedingPool

REAL = os.environ.get("CIFAR_SEARCH_DATA")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, and one for temporary files: both stay empty."""
    folder, temporary = tmp_path / "nowhere", tmp_path / "temporary"
    for one in (folder, temporary):
        one.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name in ("CIFAR_SEARCH_HOME", "CIFAR_SEARCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    assert list(folder.iterdir()) == []
    assert list(temporary.iterdir()) == []


class Prepared:
    """Images and workers as if they had been prepared; neither is there."""

    def __init__(self) -> None:
        self.data: DataSet | None = None
        self.train_images: int | None = None
        self.pool = SpeedingPool()

    def prepare(self, data: DataSet, train_images: int | None, path: Path) -> DataIdentity:
        assert path.parent.is_dir()
        self.data, self.train_images = data, train_images
        return DATA

    def begin(self, slots: list[Any], images: Path, logs: Path) -> SpeedingPool:
        assert images.parent == logs.parent
        pool = SpeedingPool(slots)
        pool.said = self.pool.said
        return pool


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> Prepared:
    found = Prepared()
    monkeypatch.setattr(doctor, "prepare_images", found.prepare)
    monkeypatch.setattr(doctor, "LocalPool", found.begin)
    for module in (slots, machine):
        monkeypatch.setattr(module, "available_cores", lambda: 2)
    return found


def call(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """Standard output of a call on the CPU that must end with this code."""
    assert run(["doctor", "--device", "cpu", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return out


def document(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    return json.loads(call(capsys, "--json", *arguments, code=code))


def cannot(_task: SpeedTask, _index: int) -> WorkerMessage:
    return Failed("out of memory: no more of it")


# ---------------------------------------------------------------------------------- what is found


@pytest.mark.usefixtures("prepared")
def test_the_document_has_a_check_for_everything_that_a_search_needs(
    capsys: pytest.CaptureFixture[str], plain_images: Path
) -> None:
    found = document(capsys, "--data", plain_images, "--workers", 2)
    assert found.keys() == {"works", "space", "checks", "speeds", "outlook"}
    assert found["works"] is True
    assert set(found["checks"]) == {
        *("python", "cifar-search", "torch", "torchvision", "optuna", "optuna-dashboard"),
        *("CPU", "GPU", "device", "precision", "workers", "torch.compile", "scale"),
        *("images", "home", "storage", "speed"),
    }
    for check in found["checks"].values():
        assert check["verdict"] in {"ok", "warning", "failed"}
        assert check["found"]
        assert check["advice"] or check["verdict"] == "ok"
    assert found["checks"]["storage"]["studies"] == 0
    assert found["checks"]["images"]["official"] is False
    assert len(found["checks"]["workers"]["workers"]) == 2
    whole = found["outlook"]["whole_search"]
    assert whole["trials"] == 25
    assert 0.0 < whole["seconds_least"] < whole["seconds_most"]


def test_the_speed_is_that_of_the_default_network_and_the_widest_on_a_searchs_images(
    capsys: pytest.CaptureFixture[str], plain_images: Path, prepared: Prepared
) -> None:
    found = document(capsys, "--data", plain_images, "--workers", 2)
    default, wide = found["speeds"]["default network"], found["speeds"]["widest network"]
    assert Recipe.read(default["recipe"]) == Recipe()
    assert default["images_per_second"] == 994 + 995
    assert wide["recipe"]["network"]["channels1"] == 32
    assert wide["recipe"]["network"]["channels2"] == 64
    assert wide["images_per_second"] == 968 + 969
    assert found["checks"]["speed"]["found"] == "1,989 images/s"
    assert prepared.train_images == 10_000
    assert prepared.data == DataSet("cifar10", cifar10.find(plain_images))


def test_the_outlook_is_for_the_search_that_would_be_made_here(
    capsys: pytest.CaptureFixture[str], plain_images: Path, prepared: Prepared
) -> None:
    prepared.pool.said = lambda task, _: tenth_where_wide(task)
    outlook = document(capsys, "--data", plain_images, "--workers", 2)["outlook"]
    assert outlook["default_trial"]["seconds"] == 12 * (45 + 1)
    trial = outlook["trial"]
    assert (trial["epochs"], trial["train_images"]) == (6, 10_000)
    assert (trial["seconds_narrow"], trial["seconds_wide"]) == (6 * (10 + 1), 6 * (100 + 1))
    search = outlook["search"]
    assert search["trials"] == 25
    assert (search["seconds_narrow"], search["seconds_wide"]) == (13 * 66, 13 * 606)


def tenth_where_wide(task: SpeedTask) -> WorkerMessage:
    """A thousand images/s, a hundred of the widest network."""
    wide = isinstance(task.recipe.network, Net) and task.recipe.network.channels1 > 6
    return SpeedDone(Throughput(training=100.0 if wide else 1_000.0, evaluation=5_000.0))


def test_the_widest_network_is_the_one_that_the_space_reaches() -> None:
    space = load_space("baseline_constrained")
    for reached, widths in ((quicker(space), (32, 64)), (space, (256, 256))):
        recipe = doctor.widest(reached)
        assert isinstance(recipe.network, Net)
        assert (recipe.network.channels1, recipe.network.channels2) == widths
        assert recipe.network.batch_norm
        known = space.recipe_of(space.known[0].values)  # all else is that of the strongest
        assert recipe.model_copy(update={"network": known.network}) == known
    narrowest = with_ranges(space, {"channels1": {"high": 8}})
    network = doctor.widest(narrowest.model_copy(update={"known": [space.known[-1]]})).network
    assert isinstance(network, Net)
    assert (network.channels1, network.channels2) == (8, 256)


def test_without_images_the_speed_is_that_of_synthetic_ones_and_it_says_so(
    capsys: pytest.CaptureFixture[str], prepared: Prepared, nowhere: Path
) -> None:
    found = document(capsys)
    assert found["works"] is True
    images = found["checks"]["images"]
    assert (images["verdict"], images["name"]) == ("warning", "synthetic")
    assert images["looked_in"] == "data"
    assert "SYNTHETIC" in found["checks"]["speed"]["found"]
    assert prepared.data == DataSet("synthetic")
    assert not (nowhere / "data").exists()


def test_the_environment_names_the_images(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    prepared: Prepared,
    plain_images: Path,
) -> None:
    monkeypatch.setenv("CIFAR_SEARCH_DATA", str(plain_images))
    assert document(capsys)["checks"]["images"]["name"] == "cifar10"
    assert document(capsys, "--data", "synthetic")["checks"]["images"]["name"] == "synthetic"
    assert prepared.data == DataSet("synthetic")


# --------------------------------------------------------------------------------- what is shown


@pytest.mark.usefixtures("prepared")
def test_the_page_shows_every_check_and_what_the_speed_means(
    capsys: pytest.CaptureFixture[str], plain_images: Path
) -> None:
    out = call(capsys, "--data", plain_images, "--workers", 2)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for heading in ("Versions", "Machine", "Images", "Speed", "Estimates"):
        assert heading in lines
    assert "ok workers 2 workers with 1 CPU thread each" in lines
    (at,) = [i for i, line in enumerate(lines) if line.startswith("warning images CIFAR-10 ")]
    assert lines[at + 1].startswith("They are used, and every figure says so")  # the advice
    assert "default network 1,989 994 995 10,001 sgd batch 64 channels 6/16 no bn" in lines
    assert "widest network 1,937 968 969 10,001 sgd batch 64 channels 32/64 bn augmented" in lines
    text = " ".join(lines)
    assert "The default network for 12 epochs of 45,000 images, validation included: " in text
    # 25 trials of 6 epochs, 3 of them known, then 8 to 16 trainings: 166 epochs of the known networks.
    whole = re.search(
        r"trials of baseline_constrained: (\d+) to (\d+) min, including the LR-range", text
    )
    assert whole is not None, text
    assert 10 <= int(whole[1]) < int(whole[2]) <= 150
    assert lines[-1].startswith("A search can run here.")
    assert "\x1b" not in out


@pytest.mark.usefixtures("prepared")
def test_what_would_prevent_a_search_is_exit_code_1_and_named_at_the_end(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    options = ("--data", "synthetic", "--home", tmp_path / "file" / "home")
    out = call(capsys, *options, code=1)
    assert out.splitlines()[-1].endswith("A search cannot run here. Failed: home, storage")
    assert "failed" in out
    found = document(capsys, *options, code=1)
    assert found["works"] is False
    assert found["checks"]["home"]["verdict"] == "failed"
    assert found["checks"]["speed"]["verdict"] == "ok"


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql+nodriver://me:secret@host/db",
        "postgresql+pg8000://me@host/db?password=secret",
        "sqlite:////proc/nothing/studies.db",
    ],
)
def test_a_storage_that_cannot_be_reached_fails_and_shows_no_password(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    options = ("--data", "synthetic", "--storage", url)
    assert "secret" not in call(capsys, *options, code=1)
    found = document(capsys, *options, code=1)
    assert "secret" not in json.dumps(found)
    assert found["checks"]["storage"]["verdict"] == "failed"
    assert found["checks"]["home"]["verdict"] == "ok"


@pytest.mark.parametrize(
    "options",
    [
        ("--storage", "nonsense"),
        ("--storage", "me:secret@host"),
        ("--device", "tpu"),
        ("--workers", "0"),
        ("--home", "~nobody-of-this-name/runs"),
        ("more",),
    ],
)
def test_wrong_usage_is_exit_code_2_and_nothing_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr(doctor, "_measured", None)
    assert run(["doctor", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error: " in err
    assert "Traceback" not in err
    assert "secret" not in err


# --------------------------------------------------------------------------- what cannot be measured


def test_a_worker_that_cannot_train_prevents_a_search(
    capsys: pytest.CaptureFixture[str], prepared: Prepared
) -> None:
    prepared.pool.said = cannot
    found = document(capsys, "--data", "synthetic", code=1)
    assert found["checks"]["speed"]["verdict"] == "failed"
    assert "out of memory: no more of it" in found["checks"]["speed"]["found"]
    assert (found["speeds"], found["outlook"]) == ({}, None)
    assert "Estimates" not in call(capsys, "--data", "synthetic", code=1)


def test_the_last_words_of_a_worker_that_does_not_come_up_are_kept(
    capsys: pytest.CaptureFixture[str], prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(_slots: object, _images: Path, logs: Path) -> SpeedingPool:
        logs.mkdir()
        (logs / "worker-0.log").write_text("a long story\nbad luck\n\n")
        raise ServiceError(f"The workers keep dying (killed). The log may say why: {logs}/x.log")

    monkeypatch.setattr(doctor, "LocalPool", dies)
    speed = document(capsys, "--data", "synthetic", code=1)["checks"]["speed"]
    assert speed["found"] == "The workers keep dying (killed). The last line of its log: bad luck"
    assert prepared.data is not None


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("where", ["tempfile.mkdtemp", "search.doctor.examine.prepare_images"])
def test_without_room_for_temporary_files_the_speed_is_not_known_and_a_search_can_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise ServiceError("no images") from OSError(28, "No space left on device")

    def nowhere_to_be(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(where, no_room if where.startswith("search") else nowhere_to_be)
    found = document(capsys, "--data", "synthetic")
    assert found["works"] is True
    speed = found["checks"]["speed"]
    assert speed["verdict"] == "warning"
    assert "No space left on device" in speed["found"]
    assert "TMPDIR" in speed["advice"]


def test_an_installation_that_is_not_whole_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "search.doctor.examine", None)
    assert run(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "The installation is incomplete: " in err
    assert "Traceback" not in err


def test_an_examination_works_unless_something_failed() -> None:
    fine, unusual, bad = (
        Check("places", name, name, "x")  # type: ignore[arg-type] # their names are verdicts
        for name in ("ok", "warning", "failed")
    )
    plan = plan_of(StartRequest(doctor.SPACE), load_space(doctor.SPACE), [])
    assert doctor.Examination((fine, unusual), (), None, plan).works
    assert not doctor.Examination((fine, unusual, bad), (), None, plan).works


# ------------------------------------------------------------------------------- with processes


@pytest.fixture
def training_files(plain_images: Path, tmp_path: Path) -> Path:
    """A data folder of the real images where they are, else of plain ones; without a test file."""
    source = cifar10.find(Path(REAL)) if REAL else None
    if source is None:
        return plain_images
    return without_test_files(source, tmp_path)


@pytest.mark.slow
@needs_proc
def test_a_process_trains_in_all_workers_and_leaves_nothing(
    training_files: Path, tmp_path: Path
) -> None:
    options = ("--device", "cpu", "--workers", 2, "--json")
    before = set(tmp_path.iterdir())
    with begin("doctor", *options, folder=tmp_path, data=training_files, core=-1) as process:
        process.until(lambda: len(process.workers()) == 2, "both workers are there")
        result = ended(process, 0, seconds=120.0)
    assert result.err == ""
    found = json.loads(result.out)
    assert found["works"] is True
    assert found["checks"]["images"]["name"] == "cifar10"
    default, wide = found["speeds"]["default network"], found["speeds"]["widest network"]
    for speed in (default, wide):
        assert len(speed["workers"]) == 2
        for worker in speed["workers"]:
            assert 10 < worker["images_per_second"] < worker["evaluation_images_per_second"]
    assert wide["images_per_second"] < default["images_per_second"]
    search = found["outlook"]["search"]
    assert 0 < search["seconds_narrow"] < search["seconds_wide"]
    made = {path.name.partition("-")[0] for path in set(tmp_path.iterdir()) - before}
    assert made == {"output"}  # the test's own


@needs_proc
@pytest.mark.slow
def test_whatever_ends_it_while_it_measures_leaves_no_process_and_no_file(
    plain_images: Path, tmp_path: Path
) -> None:
    options = ("--device", "cpu", "--workers", 1)
    with begin("doctor", *options, folder=tmp_path, data=plain_images) as process:
        process.until(process.busy_worker, "a worker trains")
        os.kill(process.pid, signal.SIGTERM)
        result = ended(process, 130, seconds=20.0)
    assert result.out == ""
    assert result.err.splitlines()[-1] == "Interrupted."
