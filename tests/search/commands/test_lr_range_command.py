"""`cifar-search lr-range` as a user runs it: options, answers, files, and what it leaves behind."""

import json
import math
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cifar_core.data import cifar10
from cifar_core.lr_range import find_bounds
from cifar_core.recipe import Recipe
from search.cli import cli, run
from search.errors import ServiceError
from search.events import Notice, Observer, SweepsProgress
from search.lr_range import plots as lr_plots
from search.lr_range import report as lr_report
from search.lr_range.bounds import combine_all
from search.lr_range.corners import Corner, corners_of
from search.lr_range.report import Report
from search.request import LrRangeRequest
from search.study.settings import DataIdentity
from tests.search import running
from tests.search.conftest import Undisturbed
from tests.search.running import FAST, begin, ended, needs_proc
from tests.search.scripted import DATA
from tests.search.sweeping import BEST, SweepingPool, curve
from tests.spaces.making import small_space

MAGIC = b"\x89PNG\r\n\x1a\n"
LR = tuple(10 ** (-5 + index / 30) for index in range(181))
RECIPE = """
batch_size = 20
network = { name = "net", channels1 = 4, channels2 = 4, batch_norm = true }
"""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, which stays empty but for what a test asks for elsewhere."""
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("CIFAR_SEARCH_HOME", "CIFAR_SEARCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A narrow network that learns plain images in an epoch."""
    file = tmp_path / "mine.toml"
    file.write_text(RECIPE)
    return file


def of_a_space() -> Report:
    space = small_space(lr_range={"base": "best", "corners": [["batch_size"]]})
    corners = corners_of(space)
    bests = [BEST[corner.recipe.optimizer.name] for corner in corners]
    findings = [find_bounds([curve(best, LR)]) for best in bests]
    bounds = tuple(combine_all(space, corners, findings))
    return Report("small", space, DATA, 0, 2, tuple(corners), tuple(findings), bounds)


def of_a_recipe(depth: float = 1.0) -> Report:
    finding = find_bounds([curve(0.1, LR, depth)])
    return Report("a.toml", None, DATA, 0, 3, (Corner("lr", {}, Recipe()),), (finding,), ())


class Answer:
    """Answers in place of a measurement, and keeps what was asked for."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.request = LrRangeRequest()
        self.data = Path()
        self.error: BaseException | None = None

    def __call__(self, request: LrRangeRequest, observe: Observer, data: Path) -> Report:
        self.request, self.data = request, data
        observe(Notice("three [red]words[/red]\x1b[31m"))
        observe(SweepsProgress(0, 1))
        observe(SweepsProgress(1, 1))
        if self.error is not None:
            raise self.error
        return self.report


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    found = Answer(of_a_recipe())
    monkeypatch.setattr(lr_report, "run_lr_range", found)
    return found


def call(*arguments: object) -> int:
    return run(["lr-range", *map(str, arguments)])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The last line of standard error of a call that must be refused as wrong usage."""
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    line: str = err.splitlines()[-1]
    assert line.startswith("Error: ")
    return line


def strict(text: str) -> dict[str, Any]:
    """One JSON document, without NaN and infinities."""

    def never(word: str) -> None:
        raise AssertionError(f"{word} in JSON")

    found: dict[str, Any] = json.loads(text, parse_constant=never)
    return found


# --------------------------------------------------------------------------------------- options


def test_a_call_without_options_asks_for_the_requests_defaults(answer: Answer) -> None:
    assert call("--space", "x") == 0
    assert answer.request == LrRangeRequest(space="x")
    assert answer.data == Path("data")
    assert call("--config", "x.toml") == 0
    assert answer.request == LrRangeRequest(config=Path("x.toml"))


def test_every_option_reaches_the_test(answer: Answer) -> None:
    options = {
        "--low": "1e-6",
        "--high": "0.5",
        "--epochs": "1.5",
        "--seeds": "4",
        "--seed": "9",
        "--scale": "full",
        "--train-images": "100",
        "--workers": "2",
        "--device": "cpu",
        "--data": "synthetic",
    }
    words = [word for pair in options.items() for word in pair]
    assert call("--space", "x", "--linear", "--trust", *words) == 0
    assert answer.request == LrRangeRequest(
        space="x",
        low=1e-6,
        high=0.5,
        linear=True,
        epochs=1.5,
        seeds=4,
        seed=9,
        scale="full",
        train_images=100,
        workers=2,
        device="cpu",
        data="synthetic",
        trust=True,
    )
    fields = {f"--{name.replace('_', '-')}" for name in LrRangeRequest.__dataclass_fields__}
    assert fields == {*options, "--space", "--config", "--linear", "--trust"}
    known = {option.opts[0] for option in cli.load("lr-range").params}
    assert known == fields | {"--plot", "--json"}


def test_the_environment_names_the_images(
    answer: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CIFAR_SEARCH_DATA", str(tmp_path))
    assert call("--space", "x") == 0
    assert answer.data == tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give either --space NAME or --config FILE."),
        (["--space", "x", "--config", "y.toml"], "Give either --space NAME or --config FILE."),
        (["--space", "x", "--plot", "curve.pdf"], "--plot must end in .png, but got curve.pdf."),
        (["--space", "x", "--plot", "png"], "--plot must end in .png, but got png."),
        (["--space", "x", "--plot", "."], "is a directory"),
        (["--space", "x", "--epochs", "0"], "0.0 is not in the range"),
        (["--space", "x", "--epochs", "-1"], "-1.0 is not in the range"),
        (["--space", "x", "--epochs", "2000"], "2000.0 is not in the range"),
        (["--space", "x", "--seeds", "0"], "0 is not in the range"),
        (["--space", "x", "--seeds", "21"], "21 is not in the range"),
        (["--space", "x", "--seed", "-1"], "-1 is not in the range"),
        (["--space", "x", "--train-images", "9"], "9 is not in the range"),
        (["--space", "x", "--low", "little"], "'little' is not a valid float"),
        (["--space", "x", "--scale", "tiny"], "'tiny' is not one of"),
        (["--space", "x", "more"], "unexpected extra argument"),
    ],
)
def test_a_wrong_call_is_refused_in_a_line_and_nothing_is_measured(
    answer: Answer, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in refused(capsys, *arguments)
    assert answer.request == LrRangeRequest()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--space", "nonsense"], "There is no space named 'nonsense'."),
        (["--space", "./none.toml"], "There is no space file none.toml"),
        (["--config", "none.toml"], "none.toml cannot be read: No such file or directory."),
        (["--space", "x", "--device", "tpu"], "A device must be auto, cpu, cuda, mps, or a list"),
        (["--space", "scheduler", "--scale", "quick"], "has no [quick] section"),
        (["--space", "scheduler", "--train-images", "45001"], "--train-images must be from 10"),
    ],
)
def test_what_is_not_there_is_refused_in_a_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in refused(capsys, "--data", "synthetic", "--device", "cpu", *arguments)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images and workers as if they had been prepared; neither is there."""

    def prepare(*_: object) -> DataIdentity:
        return DATA.model_copy(update={"train": 400})

    monkeypatch.setattr(lr_report, "prepare_images", prepare)
    monkeypatch.setattr(lr_report, "LocalPool", lambda slots, *_: SweepingPool(len(slots)))


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(
    ("ends", "got"),
    [
        (["--low", "0.1", "--high", "0.1"], "0.1 and 0.1"),
        (["--low", "1", "--high", "0.1"], "1 and 0.1"),
        (["--low", "nan"], "nan and 10"),
        (["--high", "nan"], "1e-10 and nan"),
        (["--low", "-1"], "-1 and 10"),
        (["--low", "0"], "0 and 10"),
        (["--high", "inf"], "1e-10 and inf"),
        (["--high", "2000"], "1e-10 and 2000"),
    ],
    ids=" ".join,
)
def test_rates_that_make_no_sweep_are_refused_with_both(
    capsys: pytest.CaptureFixture[str], recipe: Path, ends: list[str], got: str
) -> None:
    line = refused(capsys, "--config", recipe, "--data", "synthetic", *ends)
    assert line == f"Error: A sweep needs 0 < low < high <= 1000, but got {got}."


@pytest.mark.usefixtures("prepared")
def test_too_few_epochs_are_refused_with_the_steps_that_are_needed(
    capsys: pytest.CaptureFixture[str], recipe: Path
) -> None:
    line = refused(capsys, "--config", recipe, "--data", "synthetic", "--epochs", "1")
    assert line == (
        "Error: 20 steps are too few from lr 1e-10 to 10: at least 110 are needed, 10 a decade."
    )
    assert call("--config", recipe, "--data", "synthetic", "--epochs", "5.5", "--seeds", 1) == 0


@pytest.mark.usefixtures("prepared")
def test_no_room_for_temporary_files_is_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str], recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.mkdtemp", no_room)
    assert call("--config", recipe, "--data", "synthetic", "--device", "cpu") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("Error: The LR-range test has no room to work: ")
    assert "No usable temporary directory found" in line


# --------------------------------------------------------------------------------------- answers


def test_the_answer_in_words_is_a_chart_a_table_and_advice(
    answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--config", "a.toml") == 0
    out, err = capsys.readouterr()
    assert "lr: loss against learning rate" in out
    assert "⠉" in out
    assert "steepest" in out
    assert answer.report.findings[0].words in out
    assert "note: three [red]words[/red] [31m" in err.splitlines()
    assert "\x1b" not in out + err


def test_the_answer_for_a_space_says_where_to_search_each_rate(
    answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer.report = of_a_space()
    assert call("--space", "small") == 0
    out, _ = capsys.readouterr()
    for bounds in answer.report.bounds:
        assert f"{bounds.parameter}: search between {bounds.low:.2g} and {bounds.high:.2g}" in out


@pytest.mark.parametrize("report", [of_a_space(), of_a_recipe(), of_a_recipe(depth=0.01)])
def test_json_is_one_strict_document_alone_on_standard_output(
    answer: Answer, capsys: pytest.CaptureFixture[str], report: Report
) -> None:
    answer.report = report
    assert call("--space", "x", "--json") == 0
    out, err = capsys.readouterr()
    assert strict(out) == json.loads(json.dumps(report.to_dict()))
    assert "note: three" in err


def test_what_is_no_number_does_not_make_the_json_loose(
    answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = replace(answer.report.findings[0], loss=(math.nan,) * 181, smoothed=(math.inf,) * 181)
    answer.report = replace(answer.report, findings=(blank,))
    assert call("--space", "x", "--json") == 0
    assert strict(capsys.readouterr().out)["loss"] == [None] * 181


# ----------------------------------------------------------------------------------------- plots


def test_a_plot_of_one_rate_is_named_after_the_answer(
    answer: Answer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "new" / "curve.PNG"
    assert call("--config", "a.toml", "--plot", path) == 0
    assert path.read_bytes().startswith(MAGIC)
    assert capsys.readouterr().out.splitlines()[-1] == str(path)


def test_plots_of_several_rates_are_named_after_the_answer(
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer.report = of_a_space()
    monkeypatch.setattr(lr_plots, "_draw", lambda *arguments: arguments[-1].touch())
    assert call("--space", "x", "--plot", tmp_path / "curve.png") == 0
    paths = [tmp_path / f"curve-{name}.png" for name in ("sgd_lr", "adam_lr")]
    assert capsys.readouterr().out.splitlines()[-2:] == list(map(str, paths))
    assert all(path.exists() for path in paths)


def test_json_stays_one_document_with_a_plot(
    answer: Answer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "curve.png"
    assert call("--space", "x", "--json", "--plot", path) == 0
    assert strict(capsys.readouterr().out)["config"] == answer.report.name
    assert path.exists()


@pytest.mark.parametrize("where", ["file/curve.png", "file/below/curve.png"])
def test_a_plot_that_cannot_be_written_fails_in_a_line(
    answer: Answer, capsys: pytest.CaptureFixture[str], tmp_path: Path, where: str
) -> None:
    (tmp_path / "file").touch()
    assert call("--config", "a.toml", "--plot", tmp_path / where) == 1
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("Error: ")]
    assert f"{tmp_path / where} cannot be written: " in line
    assert answer.request.config == Path("a.toml")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ServiceError("The workers keep dying."), 1, "Error: The workers keep dying."),
        (KeyboardInterrupt(), 130, "Interrupted."),
    ],
)
def test_what_ends_a_measurement_becomes_an_exit_code_and_a_line(
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    answer.error = error
    assert call("--space", "x") == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == said


# ------------------------------------------------------------------------------- with processes


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a command's temporary folders are made; nothing of it is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    left = [path.name for path in folder.iterdir() if path.name.startswith("cifar-search-")]
    assert left == []


SMALL = ("lr-range", *FAST)


@pytest.mark.usefixtures("temporary")
@pytest.mark.slow
def test_a_space_gets_the_bounds_and_the_curves_that_a_search_of_it_measures(
    undisturbed: Undisturbed, plain_images: Path, nowhere: Path
) -> None:
    """To the last digit, from the same seed; the images have no test file, and none is asked for."""
    command = (*SMALL, "--space", undisturbed.space, "--json", "--seed", 0)
    result = running.run(*command, folder=nowhere.parent, data=plain_images)
    assert result.code == 0, result
    found = strict(result.out)
    assert found["space"] == "tiny"
    assert (found["data"]["name"], found["data"]["train"]) == ("cifar10", 400)
    database = undisturbed.database
    assert list(found["lr_bounds"].values()) == database.note("lr_bounds")
    curves = database.note("lr_range_curves")
    assert found["corners"] == curves["corners"]
    assert found["epochs"] == curves["epochs"]
    assert found["lr_bounds"]["sgd"]["conclusive"] is True
    assert result.err.strip() == ""


@pytest.mark.usefixtures("temporary")
def test_a_recipe_is_answered_in_words_and_with_a_plot(
    recipe: Path, plain_images: Path, tmp_path: Path
) -> None:
    path = tmp_path / "curve.png"
    options = ("--low", "1e-4", "--high", 10, "--epochs", 8, "--seeds", 1, "--plot", path)
    result = running.run(*SMALL, "--config", recipe, *options, folder=tmp_path, data=plain_images)
    assert result.code == 0, result
    assert "lr: loss against learning rate" in result.out
    assert "Search lr between 0." in result.out
    assert "; start at 0." in result.out
    assert "CIFAR-10 (not the official files), 400 training / 5,000 validation" in result.out
    assert "1 seed each, from seed 0." in " ".join(result.out.split())
    assert result.out.splitlines()[-1] == str(path)
    assert path.read_bytes().startswith(MAGIC)
    assert result.err.strip() == ""


@needs_proc
@pytest.mark.usefixtures("temporary")
@pytest.mark.slow
def test_what_ends_it_leaves_no_process_and_no_folder(
    recipe: Path,
    plain_images: Path,
    tmp_path: Path,
) -> None:
    command = (*SMALL, "--config", recipe, "--epochs", 500)
    with begin(*command, folder=tmp_path, data=plain_images) as process:
        process.until(process.busy_worker, "a worker sweeps")
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        result = ended(process, 130, seconds=20.0)
    assert result.out == ""
    assert result.err.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in result.err


@pytest.mark.images
@pytest.mark.slow
@pytest.mark.usefixtures("temporary")
def test_real_images_are_swept_without_a_test_file(
    images_folder: Path, recipe: Path, tmp_path: Path
) -> None:
    source = cifar10.find(images_folder)
    assert source is not None
    folder = tmp_path / "images" / cifar10.FOLDERS[source.layout]
    folder.mkdir(parents=True)
    for name in cifar10.TRAIN_FILES[source.layout]:
        (folder / name).symlink_to((source.folder / name).resolve())
    options = ("--train-images", 2_000, "--device", "cpu", "--workers", 1, "--seeds", 1, "--json")
    command = ("lr-range", "--config", recipe, "--low", "1e-4", *options)
    result = running.run(*command, folder=tmp_path, data=folder.parent)
    assert result.code == 0, result
    found = strict(result.out)
    assert found["data"]["name"] == "cifar10"
    assert found["conclusive"] is True
    assert 1e-4 < found["low"] < found["suggested"] < found["high"] < 1.0


@pytest.mark.parametrize("epochs", ["nan", "inf"])
def test_epochs_that_are_no_number_are_refused(
    capsys: pytest.CaptureFixture[str], recipe: Path, epochs: str
) -> None:
    refused(capsys, "--config", recipe, "--data", "synthetic", "--epochs", epochs)


def test_a_plot_that_cannot_be_written_loses_no_answer(
    answer: Answer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert call("--config", "a.toml", "--plot", tmp_path / "file" / "curve.png") != 0
    assert answer.report.findings[0].words in capsys.readouterr().out
