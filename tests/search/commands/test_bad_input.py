"""Whatever stands on a command line ends in a short error, and leaves nothing behind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cifar_core.data import dataset
from search.cli import cli, run
from search.doctor import examine as doctor
from search.errors import UsageError
from search.home import Home
from search.lr_range import report as lr_report
from search.service import resume, start

# Derandomized: the same examples on every machine, so that a run does not fail by chance.
MANY = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
LONGEST_ERROR = 2_000

NASTY = [
    *(
        "",
        " ",
        "0",
        "1",
        "-1",
        "2",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "5e-324",
        "9" * 400,
        "9" * 5_000,
    ),
    *("0x10", "1_000", "\u0661", "1.5", "true", "null", "1h", "1e-4:0.1", "1:2:3", "10:1", ":"),
    *(
        "auto",
        "off",
        "cpu",
        "cuda:99",
        "cpu,cpu",
        "synthetic",
        "json",
        "tpe",
        "batch_size",
        "flip=1",
    ),
    *("flip=nan", "=", "__class__=1", "flip=" + "9" * 5_000, "mine", "a.png", "a/b.png", ".png"),
    *("..", "/", "/dev/null", "/dev/zero", "/dev/null/x", "~no-such-user", "~no-such-user/a.toml"),
    *(
        "none.toml",
        "none.yaml",
        ".toml",
        "../none.json",
        "x" * 300,
        "x" * 5_000 + ".toml",
        "é" * 300,
    ),
    *(
        "\x1b[31m",
        "a\x1b[2J.toml",
        "\x07",
        "\r",
        "a\nb",
        "\u202e",
        "\u2028",
        "\udcff",
        "\udcff.toml",
    ),
    *(
        "sqlite:///none/x.db",
        "sqlite:////dev/null",
        "sqlite:///a?b",
        "sqlite://",
        "nonsense://me:pw@h",
    ),
    *(
        "sqlite:///" + "x" * 5_000,
        "\x1b[31m://",
        "a?b",
        "a b",
        "$(id)",
        "%s%n",
        "-",
        "--",
        "-x",
        "--x",
    ),
]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, where no command finds images; it must stay empty."""
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("CIFAR_SEARCH_HOME", "CIFAR_SEARCH_DATA"):
        monkeypatch.delenv(name, raising=False)

    def no_images(*_: object) -> None:
        raise UsageError("everything before the images was accepted")

    for place in (start, resume, lr_report, dataset):
        monkeypatch.setattr(place, "open_data", no_images)
    monkeypatch.setattr(doctor, "examine", no_images)
    yield folder
    assert list(folder.iterdir()) == []


def values_of(parameter: click.Parameter) -> st.SearchStrategy[list[str]]:
    """An option or argument with anything at all, or not given."""
    given_ = st.sampled_from(NASTY).map(
        lambda value: (
            [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
        )
    )
    is_flag = isinstance(parameter, click.Option) and parameter.is_flag
    return st.just([]) | (st.just([parameter.opts[0]]) if is_flag else given_)


def lines_of(command: str) -> st.SearchStrategy[list[str]]:
    """Command lines of a command; half of a start's name a space that is there."""
    parameters = [one for one in cli.load(command).params if one.name != "help"]
    options = st.lists(st.one_of(*map(values_of, parameters)), max_size=6).map(
        lambda parts: [command, *(word for part in parts for word in part)]
    )
    if command not in {"start", "lr-range", "sheet"}:
        return options
    return options | options.map(lambda line: [*line, "--space", "baseline_constrained"])


# `networks` takes nothing but --json, and a second to count.
COMMAND_LINES = st.sampled_from(sorted(cli.commands.keys() - {"networks"})).flatmap(lines_of)


@MANY
@given(
    COMMAND_LINES
    | st.lists(st.sampled_from([*NASTY, *(cli.commands.keys() - {"networks"})]), max_size=4)
)
def test_whatever_stands_on_a_command_line_is_answered_in_short(
    capsys: pytest.CaptureFixture[str], nowhere: Path, arguments: list[str]
) -> None:
    code = run(arguments)
    out, err = capsys.readouterr()
    assert code in {0, 1, 2}
    assert "Traceback" not in err
    assert len(err) <= LONGEST_ERROR
    assert (code == 0) or err.strip()
    for mark in out + err:
        assert mark.isprintable() or mark in "\n\u2588", repr(mark)
    assert list(nowhere.iterdir()) == []


# ------------------------------------------------------------------------------------- the home


@pytest.mark.parametrize(
    ("command", "home"),
    [
        ("status", "x" * 300),
        ("studies", "/dev/null"),
        ("export", "/dev/null/x"),
        ("stop", "gone"),
        ("resume", "a?b"),
        ("dashboard", "~no-such-user/x"),
        ("resume", "gone"),
        ("status mine", "/dev/null"),
    ],
)
def test_a_home_that_cannot_be_is_answered_in_a_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, home: str
) -> None:
    link = tmp_path / "gone"
    link.symlink_to("nowhere-at-all")
    name = str(link) if home == "gone" else home
    assert run([*command.split(), "--home", name]) in {1, 2}
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("name", ["with space and é", "\udcff", "a'b\"c#d@e"])
def test_a_home_may_have_any_name_that_a_folder_can_have(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    from search.storage.opening import open_storage

    home = Home(tmp_path / name)
    home.create()
    open_storage(home.storage_url())
    assert home.database.is_file()
    assert [one.name for one in tmp_path.iterdir()].count(name) == 1
    assert run(["studies", "--home", str(home.root)]) == 0
    assert "Studies in " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["what?", "a%20b"])
def test_a_home_whose_database_would_lie_elsewhere_is_refused(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """In the URL of a database these marks mean something."""
    assert run(["start", "--space", "flip", "--home", name]) == 2
    assert (
        f"the name of a home must not contain ? or %, but got {name!r}" in capsys.readouterr().err
    )


def test_a_variable_that_is_empty_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def look(*arguments: object) -> None:
        seen.append(arguments)
        raise UsageError("enough")

    monkeypatch.setattr(start, "open_data", look)
    for name in ("CIFAR_SEARCH_HOME", "CIFAR_SEARCH_DATA"):
        monkeypatch.setenv(name, "")
    assert run(["start", "--space", "flip", "--device", "cpu"]) == 2
    assert seen == [("data", Path("data"))]


@pytest.mark.parametrize("seed", [2**52 + 1, 10**30])
def test_a_seed_that_a_database_cannot_keep_is_refused(
    capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    assert run(["start", "--space", "flip", "--seed", str(seed)]) == 2
    assert f"{seed} is not in the range 0<=x<={2**52}" in capsys.readouterr().err


# ------------------------------------------------------------------------------------ the last net


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(28, "No space left on device", "/disk/a"),
            "/disk/a: No space left on device. Make",
        ),
        (
            PermissionError(13, "Permission denied", "a\x1b[31mb"),
            "a [31mb: Permission denied. Choose",
        ),
        (MemoryError(), "There is not enough memory"),
    ],
)
def test_what_a_machine_lacks_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    words: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(start, "start", fail)
    assert run(["start", "--space", "x"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: {words}")


@pytest.mark.parametrize("error", [TypeError("a"), KeyError("a"), AssertionError("a")])
def test_an_error_of_the_program_shows_where_it_is(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(start, "start", fail)
    with pytest.raises(type(error)):
        run(["start", "--space", "x"])


def test_a_database_that_breaks_down_is_told_without_its_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    def fail(*_: object) -> None:
        raise OperationalError("SELECT 1", None, Exception("no user me with sesame"))

    monkeypatch.setattr(start, "start", fail)
    assert run(["start", "--space", "x", "--storage", "postgresql://me:sesame@h/x"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: The storage does not work: no user me with ***. ")


def test_a_search_whose_export_cannot_be_written_ends_with_its_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from search.storage.opening import open_storage
    from tests.search.scripted import ScriptedPool, enqueue_known, new_study, search

    home = Home(tmp_path / "home")
    study = new_study(open_storage(home.storage_url()), trials=2)
    enqueue_known(study)
    folder = home.study(study.name)
    folder.create()
    search(study, ScriptedPool(), folder)
    (home.root / "exports").touch()
    monkeypatch.setattr(resume, "resume", lambda *_: (study, "finished"))
    assert run(["resume", "--home", str(home.root)]) == 0
    out, err = capsys.readouterr()
    assert "Search mine finished: 2 of 2 trials" in out
    assert err.startswith("note: ")
    assert "best-1.toml cannot be written: " in err


# ------------------------------------------------------------------------------- as a program


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell with `$cifar_search` for the program and `$status` for how it ends."""
    return subprocess.run(  # noqa: S602 - what is tested is what a shell does
        f"{command}; exit $status",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error", "python": sys.executable},
    )


PROGRAM = "$python -c 'from search.cli import main; main()'"


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (f"{PROGRAM} spaces | true; status=${{PIPESTATUS[0]}}", 1, ""),
        (
            f"{PROGRAM} spaces > /dev/full; status=$?",
            1,
            "Error: No space left on device. Make space",
        ),
        (f"{PROGRAM} spaces <&- >&- 2>&-; status=$?", 0, ""),
        (f"{PROGRAM} spaces nonsense 2>&-; status=$?", 2, ""),
        (f"PYTHONIOENCODING=ascii {PROGRAM} spaces > /dev/null; status=$?", 0, ""),
    ],
    ids=["pipe", "full", "all closed", "no errors", "ascii"],
)
def test_an_output_that_goes_nowhere_is_no_error_of_the_program(
    command: str, code: int, words: str
) -> None:
    if "/dev/full" in command and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    ended = shell(command)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert ended.stderr.startswith(words)
    assert bool(ended.stderr) is bool(words)
    assert ended.returncode == code


def test_a_title_that_the_terminal_cannot_write_is_shown_all_the_same(tmp_path: Path) -> None:
    space = tmp_path / "my.toml"
    space.write_text(
        "name = 'a'\ntitle = 'é 日本'\n[parameters.a]\nsets = 'batch_size'\nchoices = [8]",
        encoding="utf-8",
    )
    ended = shell(f"PYTHONIOENCODING=ascii {PROGRAM} spaces {space}; status=$?")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "a: \\xe9 \\u65e5\\u672c" in ended.stdout
