"""Every command that is proposed, pasted into a real bash, names the study that it is about."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.cli import cli, run
from search.dashboard.access import Access
from search.dashboard.app import dashboard_of
from search.errors import StudyGoneError, StudyHeldError
from search.home import Home
from search.results.reader import StudyReader
from search.storage.opening import open_storage
from search.storage.retrying import RetryingStorage
from search.storage.study_lock import StudyLock
from search.storage.urls import where_flags
from search.views.next_steps import next_steps
from tests.search.asking import asked
from tests.search.scripted import ScriptedPool, new_study, search

ODD = 'Eigene Läufe (Test) #1 & co\'s "$HOME" `pwd`'
STUDY = "Mein Versuch / v2's #1 & co; $(ls)"
TRIALS = 2
WITHOUT_STUDY = {"dashboard", "studies"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / ODD)


@pytest.fixture
def storage(home: Home) -> RetryingStorage:
    """A storage with one study, which has a trial to go."""
    home.create()
    storage = open_storage(home.storage_url())
    study = new_study(storage, TRIALS, name=STUDY)
    with StudyLock(home, storage, STUDY) as lock:
        search(study, ScriptedPool(), lock.folder)
    new_study(storage, TRIALS + 1, name=STUDY)  # with a larger total it can be continued
    return storage


def proposed(text: str) -> list[str]:
    """The commands in a text, from the name of the program to the end of the line."""
    return re.findall(r"(?:^| )(cifar-search [a-z-]+ .*)$", text, re.MULTILINE)


def pasted(command: str) -> tuple[str, dict[str, Any]]:
    """What the program is told by a command that is pasted into bash."""
    script = f"cifar-search() {{ printf '%s\\0' \"$@\"; }}\n{command}\n"
    bash = [str(shutil.which("bash")), "--norc", "-c", script]
    ended = subprocess.run(bash, capture_output=True, check=True)
    assert ended.stderr == b"", command
    name, *words = ended.stdout.decode().split("\0")[:-1]
    with cli.load(name).make_context(name, words) as context:
        return name, context.params


def assert_meant(commands: list[str], home: Home, study: str = STUDY, *, names: set[str]) -> None:
    told = [pasted(command) for command in commands]
    assert {name for name, _ in told} == names
    for (name, values), command in zip(told, commands, strict=True):
        if name == "train":
            assert values["configs"][0].is_file(), command
            continue
        assert values["home"] == home, command
        assert name in WITHOUT_STUDY or values["study"] == study, command


def test_at_the_end_of_a_search_and_in_its_status(
    home: Home, storage: RetryingStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--home", str(home.root))
    assert run(["export", STUDY, *flags]) == 0
    summary = StudyReader(home, None, STUDY, storage).look()
    steps = [step.command for step in next_steps(summary, where_flags(home, storage.url))]
    assert_meant(steps, home, names={"resume", "status", "dashboard", "confirm", "export", "train"})
    capsys.readouterr()
    assert run(["status", STUDY, *flags]) == 0
    assert_meant(proposed(capsys.readouterr().out), home, names={"resume"})
    assert run(["copy", STUDY, *flags, "--name", f"{STUDY} again"]) == 0
    copied = proposed(capsys.readouterr().out)
    assert_meant(copied, home, f"{STUDY} again", names={"status"})
    # And what only looks does so.
    for command in (*steps, *copied):
        name, values = pasted(command)
        if name == "status":
            assert run(["status", values["study"], "--json", *flags]) == 0
            assert json.loads(capsys.readouterr().out)["study"] == values["study"]


def test_in_errors_and_in_the_dashboard(
    home: Home,
    storage: RetryingStorage,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = open_storage(home.storage_url())
    handle = dashboard_of(open_storage(home.storage_url()), home, Access())
    with pytest.raises(StudyGoneError) as gone, StudyLock(home, storage, STUDY):  # noqa: PT012
        with pytest.raises(StudyHeldError) as held:
            StudyLock(home, other, STUDY).__enter__()
        refusal = json.loads(handle(asked("/api/studies/1", "DELETE")).read())["reason"]
        owners = iter([StudyLock(home, other, STUDY).owner(), None])  # it stops when it is asked to
        with monkeypatch.context() as patched:
            patched.setattr(StudyLock, "owner", lambda _lock: next(owners))
            assert run(["stop", STUDY, "--home", str(home.root)]) == 0
        new = f"{STUDY} 2"
        optuna.copy_study(
            from_study_name=STUDY, from_storage=other, to_storage=other, to_study_name=new
        )
        optuna.delete_study(study_name=STUDY, storage=other)
    assert_meant(proposed(str(held.value)), home, names={"status"})
    assert_meant(proposed(refusal), home, names={"stop"})
    assert_meant(proposed(capsys.readouterr().out), home, names={"resume"})
    assert_meant(proposed(str(gone.value)), home, new, names={"resume"})
    note = json.loads(handle(asked("/api/studies/2")).read())["note"]["body"]
    assert_meant(proposed(note), home, new, names={"status", "resume", "export"})
