"""The command line: what is parsed, printed and answered, without a search."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, get_args

import click
import optuna
import pytest

from search import __version__
from search.cli import cli, run
from search.commands.options import Duration
from search.commands.start import start
from search.errors import ServiceError, StudyHeldError, UsageError
from search.home import Home
from search.recipe_files import read_configuration
from search.request import ConfirmRequest, ResumeRequest, Scale, StartRequest
from search.storage.opening import open_storage
from search.storage.study_lock import StudyLock
from search.study.bounds import Bounds
from search.study.settings import Pruner, SearchSampler
from search.study.study import SearchStudy
from search.workers.engine_options import LOCAL, EngineOptions
from tests.search.scripted import ScriptedPool, enqueue_known, new_study, search

COMMANDS = sorted(cli.commands)

ENGINE_OPTIONS = {
    "--workers": "4..64",
    "--engine": "ray",
    "--ray-address": "head:6379",
    "--cpus-per-worker": "2",
    "--gpus-per-worker": "0.25",
}
ON_RAY = EngineOptions("ray", (4, 64), "head:6379", 2.0, 0.25)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; the test ends if it is not empty, but for what the test made."""
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("CIFAR_SEARCH_HOME", "CIFAR_SEARCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that is not there."""
    return tmp_path / "home"


def make_study(home: Path, name: str = "mine", trials: int = 3) -> SearchStudy:
    """A finished study in a home."""
    place = Home(home)
    study = new_study(open_storage(place.storage_url()), trials=trials, name=name)
    bounds = Bounds("sgd_lr", "sgd", 0.004, 0.4, 0.05, True, "measured")
    study.write("lr_bounds", [bounds.to_dict()])
    enqueue_known(study)
    folder = place.study(name)
    folder.create()
    search(study, ScriptedPool(), folder)
    return study


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> str:
    """Standard error of a command that must end with this code, and print nothing else."""
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Standard output of a command that must succeed, and say nothing else."""
    assert run(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


# ------------------------------------------------------------------------------------------- help


def test_help_answers_without_the_slow_libraries() -> None:
    script = """
import sys
from search.cli import run, cli
for command in [[], *([one] for one in cli.commands)]:
    assert run([*command, "--help"]) == 0
slow = {"torch", "torchvision", "optuna", "optuna_dashboard", "matplotlib", "sqlalchemy", "numpy"}
print(sorted(slow & sys.modules.keys()), file=sys.stderr)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stderr == "[]\n"
    assert ended.stdout.count("Usage: cifar-search") == 1 + len(COMMANDS)


@pytest.mark.parametrize(
    ("command", "flag"), [*zip(COMMANDS, repeat("--help"), strict=False), ("stop", "-h")]
)
def test_every_command_explains_itself_and_every_option(
    capsys: pytest.CaptureFixture[str], command: str, flag: str
) -> None:
    text = printed(capsys, command, flag)
    assert text.startswith(f"Usage: cifar-search {command} ")
    for option in cli.load(command).params:
        if isinstance(option, click.Option):
            assert option.help
            assert option.opts[0] in text


def test_the_whole_lists_every_command_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "--help").splitlines()
    for command in COMMANDS:
        (line,) = [one for one in lines if one.startswith(f"  {command} ")]
        assert len(line.split()) > 3


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--version") == f"cifar-search, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["start", "--nonsense"], "No such option '--nonsense'"),
        (["start"], "Missing option '--space'"),
        (["train"], "Missing argument 'CONFIG...'"),
        (["status", "a", "b"], "unexpected extra argument"),
        (["start", "--space"], "requires an argument"),
    ],
)
def test_what_is_not_there_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in said(capsys, *arguments, code=2)


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Commands:" in "".join(capsys.readouterr())


# ---------------------------------------------------------------------------------------- options


class AskedError(UsageError):
    """Carries what the service was asked for, in place of a search."""

    def __init__(self, home: Home, request: Any, data: Path) -> None:
        super().__init__("enough")
        self.home, self.request, self.data = home, request, data


def asked(monkeypatch: pytest.MonkeyPatch, command: str, *arguments: str) -> AskedError:
    """What a command would have asked the service for."""
    found = []

    def serve(home: Home, request: Any, _observe: object, data: Path) -> None:
        found.append(AskedError(home, request, data))
        raise found[0]

    monkeypatch.setattr(f"search.service.{command}.{command}", serve)
    assert run([command, *arguments]) == 2
    return found[0]


def test_a_start_without_options_asks_for_the_requests_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = asked(monkeypatch, "start", "--space", "x")
    assert found.request == StartRequest(space="x")
    assert found.home == Home(Path("runs"))
    assert found.data == Path("data")


def test_every_option_of_start_reaches_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "--space": "x",
        "--study": "mine",
        "--storage": "sqlite:///x.db",
        "--trials": "7",
        "--timeout": "1.5h",
        "--epochs": "3",
        "--train-images": "100",
        **ENGINE_OPTIONS,
        "--device": "cuda:0,cuda:1",
        "--data": "synthetic",
        "--lr-bounds": "1e-4:0.1",
        "--sampler": "random",
        "--pruner": "median",
        "--seed": "0",
        "--seeds": "3",
        "--scale": "full",
        "--keep": "5",
        "--hang-after": "2m",
        "--patience": "20",
        "--warm-start": "old",
        "--known": "off",
        "--experience": "off",
        "--beliefs": "off",
        "--confirm": "5",
        "--track": "tensorboard:curves",
    }
    words = (word for pair in options.items() for word in pair)
    found = asked(monkeypatch, "start", *words, "--compile", "--trust")
    assert found.request == StartRequest(
        space="x",
        study="mine",
        storage="sqlite:///x.db",
        trials=7,
        timeout=5_400.0,
        epochs=3,
        train_images=100,
        engine=ON_RAY,
        device="cuda:0,cuda:1",
        data="synthetic",
        lr_bounds="1e-4:0.1",
        sampler="random",
        pruner="median",
        seed=0,
        seeds=3,
        scale="full",
        compile_networks=True,
        keep=5,
        hang_after=120.0,
        patience=20,
        warm_start=("old",),
        known="off",
        experience="off",
        beliefs="off",
        confirm=5,
        trust=True,
        track=("tensorboard:curves",),
    )
    fields = {*StartRequest.__dataclass_fields__, *EngineOptions.__dataclass_fields__} - {
        "compile_networks",
        "trust",
    }
    assert {f"--{name.replace('_', '-')}" for name in fields} == set(options)


def test_choices_are_those_that_the_service_knows() -> None:
    by_name = {option.name: option for option in start.params}
    for name, literal in (("sampler", SearchSampler), ("pruner", Pruner), ("scale", Scale)):
        kind = by_name[name].type
        assert isinstance(kind, click.Choice)
        assert tuple(kind.choices) == get_args(literal)


def test_resume_without_options_keeps_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, "resume").request
    assert found == ResumeRequest(None, None, None, None, LOCAL, "auto", None, False)


def test_every_option_of_resume_reaches_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "--storage": "sqlite:///x.db",
        "--trials": "7",
        "--timeout": "1.5h",
        **ENGINE_OPTIONS,
        "--device": "cuda:0,cuda:1",
        "--data": "synthetic",
        "--keep": "0",
        "--hang-after": "90",
        "--patience": "30",
        "--confirm": "off",
        "--track": "tensorboard",
    }
    words = (word for pair in options.items() for word in pair)
    found = asked(monkeypatch, "resume", "mine", *words, "--compile", "--trust")
    assert found.request == ResumeRequest(
        study="mine",
        storage="sqlite:///x.db",
        trials=7,
        timeout=5_400.0,
        engine=ON_RAY,
        device="cuda:0,cuda:1",
        data="synthetic",
        compile_networks=True,
        keep=0,
        hang_after=90.0,
        patience=30,
        confirm=0,
        trust=True,
        track=("tensorboard",),
    )
    fields = {*ResumeRequest.__dataclass_fields__, *EngineOptions.__dataclass_fields__}
    fields -= {"study", "compile_networks", "trust"}
    assert {f"--{name.replace('_', '-')}" for name in fields} == set(options)


def test_every_option_of_confirm_reaches_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "--storage": "sqlite:///x.db",
        "--top": "5",
        "--seeds": "8",
        **ENGINE_OPTIONS,
        "--device": "cpu",
        "--data": "synthetic",
        "--hang-after": "90",
    }
    words = (word for pair in options.items() for word in pair)
    words = (*words, "--track", "tensorboard")
    found = asked(monkeypatch, "confirm", "mine", *words, "--compile", "--trust")
    tracked = ("tensorboard",)
    assert found.request == ConfirmRequest(
        "mine", "sqlite:///x.db", 5, 8, ON_RAY, "cpu", "synthetic", True, 90.0, True, tracked
    )
    assert asked(monkeypatch, "confirm").request == ConfirmRequest()


@pytest.mark.parametrize("wrong", ["0", "21", "-1", "on", "1.5", ""])
def test_a_number_of_finalists_is_off_or_from_1_to_20(
    capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    err = said(capsys, "start", "--space", "x", "--confirm", wrong, code=2)
    assert f"must be off, or from 1 to 20, but got '{wrong}'." in err


def test_the_environment_names_home_and_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CIFAR_SEARCH_HOME", str(tmp_path / "h"))
    monkeypatch.setenv("CIFAR_SEARCH_DATA", str(tmp_path / "d"))
    found = asked(monkeypatch, "start", "--space", "x")
    assert (found.home, found.data) == (Home(tmp_path / "h"), tmp_path / "d")
    named = asked(monkeypatch, "start", "--space", "x", "--home", str(tmp_path / "o"))
    assert named.home == Home(tmp_path / "o")


def test_the_environment_names_the_storage_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR_SEARCH_STORAGE", "sqlite:///x.db")
    for command in (("start", "--space", "x"), ("resume",)):
        assert asked(monkeypatch, *command).request.storage == "sqlite:///x.db"
        given = asked(monkeypatch, *command, "--storage", "sqlite:///y.db")
        assert given.request.storage == "sqlite:///y.db"


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "mine", "URL"],
        ["status", "--stroage", "URL"],
        ["--storage=URL", "status"],
        ["start", "--space", "URL"],
        ["start", "--space", "x", "--trials", "URL"],
        ["start", "--space", "baseline_constrained", "--device", "cpu", "--warm-start", "URL"],
        ["copy", "--to-home", "h", "--to-storage", "URL"],
    ],
)
@pytest.mark.parametrize("url", ["oracle://me:hunter2@host/db", "nonsense://me:hunter2@at@host/db"])
def test_a_password_in_the_wrong_place_is_not_repeated(
    capsys: pytest.CaptureFixture[str], arguments: list[str], url: str
) -> None:
    assert run([one.replace("URL", url) for one in arguments]) in {1, 2}
    assert "hunter2" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172_800), (" 1 m ", 60)],
)
def test_times_have_units(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


# -------------------------------------------------------------------------------- wrong usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--space", "nonsense"], "There is no space named 'nonsense'. The spaces are: baseline"),
        (["--space", ""], "There is no space named ''"),
        (["--space", "./none.toml"], "There is no space file none.toml"),
        (["--space", "/"], "cannot be read: Is a directory"),
        (["--lr-bounds", ""], "--lr-bounds must be auto, off, or LOW:HIGH"),
        (["--lr-bounds", "0.1"], "--lr-bounds must be auto, off, or LOW:HIGH"),
        (["--lr-bounds", "0.1:0.01"], "--lr-bounds must be auto, off, or LOW:HIGH"),
        (["--lr-bounds", "0:0.01"], "--lr-bounds must be auto, off, or LOW:HIGH"),
        (["--lr-bounds", "-1:1"], "--lr-bounds must be auto, off, or LOW:HIGH"),
        (["--lr-bounds", "nan:1"], "--lr-bounds must be auto, off, or LOW:HIGH"),
        (["--lr-bounds", "1e-3:inf"], "--lr-bounds must be auto, off, or LOW:HIGH"),
        (["--lr-bounds", "1:2:3"], "--lr-bounds must be auto, off, or LOW:HIGH"),
        (["--space", "a", "--space", "b"], "'--space': can be given once, but got a, b."),
        (["--device", "tpu"], "A device must be auto, cpu, cuda, mps, or a list"),
        (["--device", ""], "A device must be auto, cpu, cuda, mps, or a list"),
        (["--device", "cpu,cpu"], "Use --device to choose another device."),
        (["--device", "cuda:99"], "The device cuda:99 was asked for"),
        (["--timeout", "0"], "must be a time such as 90s, 30m or 1.5h, but got '0'"),
        (["--timeout", "-5m"], "must be a time such as 90s, 30m or 1.5h, but got '-5m'"),
        (["--timeout", "soon"], "must be a time such as 90s, 30m or 1.5h, but got 'soon'"),
        (["--timeout", "1w"], "must be a time such as 90s, 30m or 1.5h, but got '1w'"),
        (["--study", "x" * 513], "A study's name has 1 to 512"),
        (["--trials", "0"], "0 is not in the range x>=1"),
        (["--trials", "many"], "'many' is not a valid integer"),
        (["--epochs", "0"], "0 is not in the range"),
        (["--train-images", "9"], "9 is not in the range"),
        (["--workers", "0"], "must be a number from 1 to 1024, or two such as 4..64"),
        (["--workers", "8..4"], "or two such as 4..64, but got '8..4'"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["--sampler", "grid"], "'grid' is not one of 'model', 'tpe', 'random'"),
        (["--pruner", "asha"], "'asha' is not one of"),
        (["--scale", "tiny"], "'tiny' is not one of 'auto', 'full', 'quick'"),
    ],
)
def test_a_wrong_start_is_refused_in_a_line_and_nothing_is_created(
    capsys: pytest.CaptureFixture[str], home: Path, arguments: list[str], words: str
) -> None:
    space = [] if "--space" in arguments else ["--space", "baseline_constrained"]
    before = [*space, "--device", "cpu"]
    err = said(capsys, "start", *before, "--home", str(home), *arguments, code=2)
    line = err.splitlines()[-1]
    assert line.startswith("Error: ")
    assert words in line
    assert not home.exists()


def assert_refused_before_anything_is_done(
    capsys: pytest.CaptureFixture[str], home: Path, *arguments: str
) -> None:
    err = said(
        capsys,
        *("start", "--space", "baseline_constrained", "--device", "cpu", "--data", "synthetic"),
        *("--home", str(home), *arguments),
        code=2,
    )
    assert err.splitlines()[-1].startswith("Error: ")
    assert len(err.splitlines()) <= 4
    assert not home.exists()


@pytest.fixture
def no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Preparing images takes seconds and 200 MB: by then, what is wrong must have been said."""

    def refuse(*_: object) -> None:
        raise ServiceError("the images were prepared")

    monkeypatch.setattr("search.service.start.prepare_images", refuse)


@pytest.mark.usefixtures("no_images")
@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:"])
def test_a_wrong_storage_is_refused_before_anything_is_done(
    capsys: pytest.CaptureFixture[str], home: Path, url: str
) -> None:
    assert_refused_before_anything_is_done(capsys, home, "--storage", url)


@pytest.mark.usefixtures("no_images")
def test_a_missing_database_driver_is_told_before_anything_is_done(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert_refused_before_anything_is_done(capsys, home, "--storage", "postgresql+pg8000://host/db")


@pytest.mark.usefixtures("no_images")
def test_an_empty_name_is_no_studys(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert_refused_before_anything_is_done(capsys, home, "--study", "")


@pytest.mark.usefixtures("no_images")
@pytest.mark.parametrize("wish", ["1e-4 : 0.1", "1_0:2_0", "1e-4:\u0661", " 0.1:0.2"])
def test_bounds_that_python_reads_and_settings_do_not_are_refused(
    capsys: pytest.CaptureFixture[str], home: Path, wish: str
) -> None:
    assert_refused_before_anything_is_done(capsys, home, "--lr-bounds", wish)


@pytest.mark.usefixtures("no_images")
def test_a_time_beyond_all_numbers_is_refused(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert_refused_before_anything_is_done(capsys, home, "--timeout", "9" * 400)


def test_a_wrong_start_with_a_dashboard_creates_nothing_either(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    said(capsys, "start", "--space", "nonsense", "--home", str(home), "--dashboard", code=2)
    assert not home.exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("so"), 2),
        (ServiceError("so"), 1),
        (StudyHeldError("so"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_exit_codes_and_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("search.service.start.start", fail)
    err = said(capsys, "start", "--space", "x", code=code)
    interrupted = "Interrupted. Every finished epoch is saved."
    assert err.strip() == (interrupted if code == 130 else "Error: so")


# ------------------------------------------------------------------------------------- spaces


def test_spaces_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "spaces")
    assert "baseline_constrained" in text
    assert "cifar-search spaces NAME" in text


def test_a_new_space_file_can_be_shown_and_is_never_written_over(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "my space.toml"
    text = printed(capsys, "spaces", "--new", str(file))
    assert f"cifar-search start --space '{file}'" in text
    assert "channels1" in printed(capsys, "spaces", str(file))
    assert run(["spaces", "--new", str(file)]) == 2
    assert f"{file} is there already" in capsys.readouterr().err


def test_spaces_are_listed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "spaces", "--json"))
    assert "baseline_constrained" in [one["name"] for one in found]
    assert all(one.keys() == {"name", "title"} and one["title"] for one in found)


def test_a_space_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "spaces", "baseline_constrained")
    for words in (
        "sgd_lr",
        "0.0003 to 0.3, log (measured)",
        "optimizer is sgd",
        "network.channels1",
        "6 to 256, log",
        "reference Net4",
        "epochs",
        "--scale quick",
        "cifar-search start --space baseline_constrained",
    ):
        assert words in text


def test_a_grid_is_shown_with_what_each_variant_changes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [line.split() for line in printed(capsys, "spaces", "scheduler").splitlines()]
    assert ["constant", "optimizer.lr", "0.001,", "schedule.name", "constant"] in lines
    assert any(line[:3] == ["StepLR", "optimizer.lr", "0.002,"] for line in lines)
    text = printed(capsys, "spaces", "scheduler")
    assert "A grid: 4 cells, each trained to the end over 2 seeds (--seeds), beside" in text
    assert "published" not in printed(capsys, "spaces", "plateau")


def test_a_space_as_json_is_what_its_file_says(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "spaces", "baseline_constrained", "--json"))
    from importlib import resources

    text = resources.files("spaces.shipped").joinpath("baseline_constrained.toml").read_text()
    written = tomllib.loads(text)
    assert found["parameters"].keys() == written["parameters"].keys()
    assert found["known"] == written["known"]
    assert found["recipe"] == written["recipe"]


def test_an_unknown_space_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no space named 'nonsense'" in said(capsys, "spaces", "nonsense", code=2)


def test_a_space_of_ones_own_is_searched_by_its_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "my.toml"
    file.write_text(
        "name = 'one'\ntitle = 'One'\n[parameters.a]\nsets = 'batch_size'\nchoices = [8]"
    )
    assert f"cifar-search start --space {file}" in printed(capsys, "spaces", str(file))


# --------------------------------------------------------------------------------- no study yet


@pytest.mark.parametrize(
    "command",
    ["status", "status mine", "studies", "export", "export mine", "stop", "dashboard"],
)
def test_without_a_study_the_first_step_is_told_and_nothing_created(
    capsys: pytest.CaptureFixture[str], home: Path, command: str
) -> None:
    err = said(capsys, *command.split(), "--home", str(home), code=2)
    assert "There are no studies yet" in err
    assert "cifar-search start --space baseline_constrained" in err
    assert not home.exists()


@pytest.mark.parametrize("named", [[], ["mine"]])
def test_resuming_nothing_creates_nothing(
    capsys: pytest.CaptureFixture[str], home: Path, named: list[str]
) -> None:
    said(capsys, "resume", *named, "--home", str(home), code=2)
    assert not home.exists()


def test_stopping_a_study_that_is_not_there_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    make_study(home)
    assert "There is no study named 'yours'" in said(
        capsys, "stop", "yours", "--home", str(home), code=2
    )


def test_a_storage_that_is_none_is_refused_by_every_command(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    for command in ("status", "studies", "export", "stop", "resume", "dashboard"):
        err = said(capsys, command, "--home", str(home), "--storage", "nonsense", code=2)
        assert "sqlite:///runs/studies.db" in err
    assert not home.exists()


# --------------------------------------------------------------------------------- with studies


def test_a_status_as_json_is_one_document(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    make_study(home)
    found = json.loads(printed(capsys, "status", "--home", str(home), "--json"))
    assert (found["study"], found["state"]) == ("mine", "finished")
    assert found["trials"]["finished"] == found["trials"]["total"] == 3
    assert found["baseline"]["name"] == "base"


def test_a_status_shows_every_trial_and_what_it_was_measured_on(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    study = make_study(home)
    text = printed(capsys, "status", "mine", "--home", str(home))
    assert "mine: finished, 3 of 3 trials" in text
    assert "CIFAR-10, 45,000 training / 5,000 validation, split 0123456789abcdef" in text
    assert f"Best: trial {study.optuna.best_trial.number}" in text
    assert "sgd lr 0.004 to 0.4, measured" in text


def test_a_status_names_the_trials_of_other_programs(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    study = make_study(home)
    assert json.loads(printed(capsys, "status", "--json", "--home", str(home)))["foreign"] == []
    for _ in range(2):
        study.optuna.add_trial(optuna.trial.create_trial(value=0.99))
    text = printed(capsys, "status", "--home", str(home))
    assert "Trials 3, 4 were added by another program and do not count." in text
    found = json.loads(printed(capsys, "status", "--json", "--home", str(home)))
    assert (found["foreign"], found["trials"]["finished"]) == ([3, 4], 3)


def test_watching_a_study_that_does_not_run_ends_at_once(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    make_study(home)
    assert "mine: finished" in printed(capsys, "status", "--watch", "--home", str(home))


def test_a_study_that_is_not_there_is_answered_with_those_that_are(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    make_study(home)
    for command in ("status", "export", "resume"):
        err = said(capsys, command, "yours", "--home", str(home), code=2)
        assert "There is no study named 'yours' here. Studies: mine." in err


def test_studies_are_listed_the_newest_last(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    for name in ("b", "a"):
        make_study(home, name)
    found = json.loads(printed(capsys, "studies", "--home", str(home), "--json"))
    assert [one["study"] for one in found] == ["b", "a"]
    text = printed(capsys, "studies", "--home", str(home))
    assert text.index("\nb") < text.index("\na")
    assert "3/3" in text


def test_the_best_configurations_are_exported_to_where_it_is_said(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    make_study(home)
    (line,) = printed(capsys, "export", "--home", str(home)).splitlines()
    assert Path(line) == home / "exports" / "mine" / "best-1.toml"
    assert read_configuration(Path(line)).epochs == 4
    out = tmp_path / "out"
    options = ("--top", "2", "--format", "yaml", "--out", str(out), "--home", str(home))
    assert run(["export", "mine", *options]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert [Path(line) for line in lines] == [out / "best-1.yaml", out / "best-2.yaml"]
    assert all(read_configuration(Path(line)) for line in lines)
    assert shown.err.startswith("note: Trials 0, 1 have no kept network, so only configurations ")


def test_one_trial_is_exported_or_the_best_but_not_both(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    make_study(home)
    options = ("--home", str(home), "--out", str(tmp_path), "--trial", "1")
    assert run(["export", *options, "--format", "python"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{tmp_path / 'trial-1.py'}\n"
    assert "to train it, run the program" in shown.err
    assert "def train(" in (tmp_path / "trial-1.py").read_text(encoding="utf-8")
    assert "Give either --top K or --trial N." in said(
        capsys, "export", *options, "--top", "2", code=2
    )
    assert "has no kept network" in said(capsys, "export", *options, "--format", "onnx", code=2)


def test_an_export_that_cannot_be_written_fails_in_a_line(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    make_study(home)
    (tmp_path / "file").touch()
    out = str(tmp_path / "file" / "below")
    err = said(capsys, "export", "--home", str(home), "--out", out, code=1)
    assert "cannot be written" in err


def test_a_study_that_does_not_run_need_not_be_stopped(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    make_study(home)
    assert "Study mine is not running." in printed(capsys, "stop", "--home", str(home))
    assert not Home(home).study("mine").stop_request.exists()


def test_a_running_study_is_asked_to_stop(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    make_study(home)
    lock = StudyLock(Home(home), open_storage(Home(home).storage_url()), "mine")
    with lock:
        text = printed(capsys, "stop", "mine", "--no-wait", "--home", str(home))
        assert "Study mine was asked to stop" in text
        assert lock.folder.stop_request.exists()
        status = json.loads(printed(capsys, "status", "--home", str(home), "--json"))
        assert status["state"] == "running"


def test_a_port_that_is_taken_is_answered_with_another(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    import socket

    make_study(home)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        err = said(capsys, "dashboard", "--home", str(home), "--port", port, code=2)
    assert f"127.0.0.1:{port}" in err
    assert "--port 0" in err


# ------------------------------------------------------------------------------------------ train


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        ("epochs = ", "is not valid TOML"),
        ("epochs = 0", "epochs: must be at least 1, but got 0."),
        ("nonsense = 1", "nonsense: no such key"),
    ],
)
def test_a_configuration_that_is_none_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | None, words: str
) -> None:
    file = tmp_path / "it.toml"
    if content is not None:
        file.write_text(content)
    assert words in said(capsys, "train", str(file), code=2)


def test_a_final_training_takes_no_number_of_images(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    err = said(capsys, "train", str(tmp_path / "a.toml"), "--final", "--train-images", "99", code=2)
    assert "--final trains on all training images" in err


# ----------------------------------------------------------------------------------- as a program


def program(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("cifar-search")
    if not command.exists():
        pytest.skip("cifar-search is not installed beside this Python")
    environment = {**os.environ, "CIFAR_SEARCH_HOME": str(home), "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [command, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )


def test_the_program_prints_json_to_standard_output_alone(home: Path) -> None:
    ended = program("spaces", "speed", "--json", home=home)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["name"] == "speed"


def test_the_program_ends_wrong_usage_with_two_and_one_line(home: Path) -> None:
    ended = program("spaces", "nonsense", home=home)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Error: ")
    assert len(ended.stderr.splitlines()) == 1
    assert not home.exists()


# ----------------------------------------------------------------------------------- networks


def test_networks_are_listed_with_their_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split() for line in printed(capsys, "networks").splitlines()]
    assert ["net", "62,006", "651,720"] in [line[:3] for line in lines]
    assert ["resnet18_cifar", "11,173,962"] in [line[:2] for line in lines]


def test_networks_are_listed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "networks", "--json"))
    net = next(one for one in found if one["name"] == "net")
    assert (net["parameters"], net["multiply_adds"]) == (62_006, 651_720)
    assert net["options"]["channels1"] == 6
    assert {"resnet9", "speednet"} < {one["name"] for one in found}
