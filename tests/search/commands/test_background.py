"""Searches in the background: they begin before the command returns, and outlive its terminal."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.commands.background import Background
from search.commands.study_log import StudyLog
from search.events import Notice, SessionStarted
from search.home import Home
from tests.search.conftest import Here, Undisturbed
from tests.search.running import FAST, Database, begin, ended, needs_proc, space_file

if sys.platform == "win32":
    pytest.skip("there is no fork", allow_module_level=True)

from tests.search.terminals import in_terminal


@contextlib.contextmanager
def killed_at_the_end(pid: int) -> Iterator[None]:
    """End a process of its own session, if a test has not."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


@needs_proc
def test_a_search_in_the_background_outlives_its_terminal_and_is_followed_to_its_end(
    few_images: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_SEARCH_DATA", str(few_images))
    home = ("--home", tmp_path)
    wishes = ("--trials", "1", "--lr-bounds", "off", "--detach", "--json")
    command = ("start", "--space", space_file(tmp_path), *FAST, *home, *wishes)
    with in_terminal(*command, folder=tmp_path, data=few_images) as (terminal, running):
        assert running.wait().code == 0, terminal.shown
        told = json.loads(terminal.shown[terminal.shown.index("{") :])
    # Its terminal is closed by now, and everything that was left in its process group is killed.
    with killed_at_the_end(told["pid"]):
        assert os.getsid(told["pid"]) == told["pid"]
        assert "is already running" in here("resume", *home).err
        followed = here("logs", *told["follow"].split()[2:])
    assert followed.code == 0
    assert "Search tiny finished: 1 of 1 trials" in followed.out
    assert Path(told["log"]) == Home(tmp_path).study("tiny").log
    assert len(Database(tmp_path).trials()) == 1


REFUSED = """
import sys
from search.commands.background import in_background

def search(background):
    print("so far", flush=True)
    print("Error: there is nothing", file=sys.stderr)
    return 2

sys.exit(in_background(search, as_json=False))
"""


def test_what_ends_before_it_has_begun_is_passed_on_with_its_exit_code() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", REFUSED], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (
        2,
        "so far\n",
        "Error: there is nothing\n",
    )


@pytest.mark.slow
def test_a_search_that_cannot_begin_says_why_and_nothing_runs_on(tmp_path: Path) -> None:
    wishes = ("--home", tmp_path, "--data", tmp_path / "nowhere", "--detach")
    with begin("start", "--space", space_file(tmp_path), *wishes, folder=tmp_path) as running:
        result = ended(running, 1)
    assert "nowhere" in result.err
    assert "background" not in result.out + result.err
    assert not (tmp_path / "studies").exists()


def test_the_log_of_a_search_has_its_course_and_its_end(
    undisturbed: Undisturbed, here: Here
) -> None:
    shown = here("logs", "--home", undisturbed.home)
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0][:2] == "20"
    assert "study tiny is run by process" in lines[0]
    assert any(line[11:13].isdigit() and "| trial 10 |" in line for line in lines)
    assert any(line.startswith("Search tiny finished: 11 of 11 trials") for line in lines)
    assert here("logs", "--follow", "--home", undisturbed.home).out == shown.out


def test_a_study_without_a_log_is_answered_in_a_sentence(
    undisturbed: Undisturbed, here: Here, tmp_path: Path
) -> None:
    database = f"sqlite:///{undisturbed.home}/studies.db"
    answer = here("logs", "--storage", database, "--home", tmp_path)
    assert answer.code == 2
    assert "has no log here" in answer.err


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    with StudyLog() as log:
        log(SessionStarted("mine", tmp_path / "nowhere" / "search.log"))
        log(Notice("a"))
        log.end_with("the end")
    assert log.path is None
    assert log.problem is not None
    assert "nowhere" in log.problem


def test_a_log_goes_on_with_the_next_session(tmp_path: Path) -> None:
    for words in ("first", "second"):
        with StudyLog() as log:
            log(Notice("before the study is known"))
            log(SessionStarted("mine", tmp_path / "search.log"))
            log(Notice(words))
    lines = (tmp_path / "search.log").read_text().splitlines()
    assert [line[20:] for line in lines[1::2]] == ["note: first", "note: second"]
    assert len(lines) == 4


def test_a_waiting_command_that_is_gone_does_not_end_the_search(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    kept = [os.dup(number) for number in (1, 2)]
    try:
        background = Background(writer)
        background.begin("mine", None, "")
        assert background.begun
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
