"""A tracker is chosen by name, follows a search, and never stops or slows it."""

import threading
import time
from pathlib import Path

import pytest

from search.errors import UsageError
from search.events import Event, Notice
from search.home import Home
from search.tracking import tracked as module
from search.tracking.background import BackgroundTracker
from search.tracking.follower import Follower
from search.tracking.tracked import Choice, tracked, trackers_of
from search.tracking.tracker import End, Run
from tests.search.conftest import Here, Undisturbed
from tests.search.script import begins, ends, epoch
from tests.search.scripted import new_study
from tests.search.tracking.reading import read_tensorboard

EVENTS: list[Event] = [begins(0), epoch(0, 1), epoch(0, 2), ends(0)]


class MadeUpTracker:
    """Notes what it is told, and does something else at each figure."""

    def __init__(self, at_figures: object) -> None:
        self.calls: list[tuple[str, str]] = []
        self._at_figures = at_figures

    def begin(self, run: Run) -> None:
        self.calls.append(("begin", run.name))

    def log(self, run: Run, step: int, figures: object) -> None:
        self.calls.append(("log", f"{run.name} {step}"))
        if callable(self._at_figures):
            self._at_figures()

    def end(self, run: Run, end: End) -> None:
        self.calls.append((end.state, run.name))

    def close(self) -> None:
        self.calls.append(("close", ""))


def follow(
    tracker: MadeUpTracker, events: list[Event], home: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Event]:
    """What the user is told while `tracker` follows these events."""
    monkeypatch.setattr(Choice, "open", lambda _choice, _subject: tracker)
    told: list[Event] = []
    choice = Choice("mlflow", "http://user:secret@host:5000")
    with tracked([choice], new_study(), Home(home), told.append) as tell:
        for event in events:
            tell(event)
    return told


def test_a_run_that_a_stopped_search_leaves_is_ended_as_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = MadeUpTracker(None)
    assert follow(tracker, EVENTS[:2], tmp_path, monkeypatch) == EVENTS[:2]
    run = "trial-0"
    assert tracker.calls == [("begin", run), ("log", f"{run} 1"), ("stopped", run), ("close", "")]


def test_a_tracker_that_fails_is_said_once_and_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise SystemExit("http://user:secret@host:5000 is away.\nMore of it.")

    tracker = MadeUpTracker(fail)
    told = follow(tracker, EVENTS, tmp_path, monkeypatch)
    assert [one for one in told if not isinstance(one, Notice)] == EVENTS
    (notice,) = (one.text for one in told if isinstance(one, Notice))
    assert notice.startswith("mlflow is told no more of this search: http://***@host:5000 is away.")
    assert tracker.calls == [("begin", "trial-0"), ("log", "trial-0 1")]


def test_a_problem_is_handed_out_once() -> None:
    def fail() -> Follower:
        raise OSError("no such server")

    tracker = BackgroundTracker("mlflow", fail)
    tracker.close(5.0)
    assert "no such server" in (tracker.problem() or "")
    assert tracker.problem() is None


def test_a_tracker_that_hangs_delays_nothing_but_the_end_and_that_not_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSING_SECONDS", 0.2)
    released = threading.Event()
    began = time.monotonic()
    told = follow(MadeUpTracker(released.wait), EVENTS, tmp_path, monkeypatch)
    took = time.monotonic() - began
    released.set()
    assert 0.2 <= took < 5.0
    assert told[:-1] == EVENTS
    assert isinstance(told[-1], Notice)
    assert "has not finished within" in told[-1].text


def test_ctrl_c_does_not_wait_for_a_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(Choice, "open", lambda _choice, _subject: MadeUpTracker(released.wait))
    began = time.monotonic()

    def interrupted() -> None:
        with tracked([Choice("mlflow", None)], new_study(), Home(tmp_path), print) as tell:
            tell(EVENTS[0])
            tell(EVENTS[1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    released.set()
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["neptune"], "--track must be one of tensorboard, mlflow, wandb,"),
        (["mlflow:"], "but got 'mlflow:'"),
        (["tensorboard:a", "tensorboard:b"], "--track tensorboard can be given once."),
        (["wandb"], r"pip install 'cifar-search\[wandb\]'"),
    ],
)
def test_what_cannot_be_a_tracker_is_refused(
    wanted: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "wandb" else name)
    with pytest.raises(UsageError, match=words):
        trackers_of(wanted)


def test_the_place_of_a_tracker_may_have_colons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: name)
    choices = trackers_of(["mlflow:http://localhost:5000", "wandb"])
    assert choices == [Choice("mlflow", "http://localhost:5000"), Choice("wandb", None)]


@pytest.mark.parametrize("command", ["start", "resume"])
def test_commands_refuse_an_unknown_tracker_before_they_do_anything(
    command: str, here: Here, tmp_path: Path
) -> None:
    options = ["--space", "speed"] if command == "start" else []
    ended = here(command, *options, "--home", tmp_path / "home", "--track", "neptune")
    assert ended.code == 2
    assert "but got 'neptune'" in ended.err
    assert not (tmp_path / "home").exists()


def test_the_curves_of_a_real_search_are_those_of_its_study(undisturbed: Undisturbed) -> None:
    seen = read_tensorboard(undisturbed.home)
    assert {
        (int(name.removeprefix("trial-")), step): pytest.approx(value)
        for name, one in seen.items()
        for step, value in one.figures["validation_accuracy"]
    } == {at: value for at, (_, value) in undisturbed.database.epochs().items()}
    states = {"COMPLETE": "complete", "PRUNED": "pruned"}
    assert {name: one.state.partition(":")[0] for name, one in seen.items()} == {
        f"trial-{number}": states[state] for number, state in undisturbed.database.states().items()
    }
