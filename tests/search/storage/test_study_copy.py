"""A study copied: everything is there, or no study."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact

from search.cli import run
from search.errors import ServiceError, StudyHeldError, UsageError
from search.home import Home
from search.storage import study_copy as copying
from search.storage.opening import open_storage
from search.storage.retrying import RetryingStorage
from search.storage.study_copy import Copied, copy_study
from search.storage.study_lock import StudyLock
from search.study import attributes
from search.study.study import SearchStudy, create_or_open, open_study, summaries
from search.study.trial_states import attach, pause
from tests.search.scripted import NAME, ScriptedPool, enqueue_known, new_study, search, settings_of


@dataclass(frozen=True)
class Place:
    """A home and a storage."""

    home: Home
    storage: RetryingStorage

    @property
    def study(self) -> SearchStudy:
        return open_study(self.storage, NAME)


@contextmanager
def opened(home: Home, url: str) -> Iterator[Place]:
    storage = open_storage(url)
    try:
        yield Place(home, storage)
    finally:
        storage.remove_session()
        storage.engine.dispose()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Place]:
    """Where the copy shall be."""
    home = Home(tmp_path / "there")
    home.create()
    with opened(home, home.storage_url()) as place:
        yield place


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Where the copy shall be, in each kind of storage."""
    home = Home(tmp_path / "there")
    home.create()
    other = request.param == "postgresql"
    url = request.getfixturevalue("server_url") if other else home.storage_url()
    with opened(home, url) as place:
        yield place


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a stopped study: trials of every state, and artifacts of its own and of a trial."""
    home = Home(tmp_path_factory.mktemp("prepared") / "here")
    with opened(home, home.storage_url()) as place:
        fill(place)
    return home.root


@pytest.fixture
def stopped(prepared: Path, tmp_path: Path) -> Iterator[Place]:
    home = Home(shutil.copytree(prepared, tmp_path / "here"))
    with opened(home, home.storage_url()) as place:
        yield place


def fill(place: Place) -> None:
    study = new_study(place.storage, trials=6)
    enqueue_known(study)
    folder = place.home.study(NAME)
    folder.create()
    polls: list[int] = []
    search(study, ScriptedPool(after=polls.append), folder, stop=lambda: len(polls) > 6)
    failed = study.optuna.ask()
    failed.set_user_attr(attributes.REASON, "out of memory")
    study.optuna.tell(failed, state=optuna.trial.TrialState.FAIL)
    study.optuna.enqueue_trial({"dropout": 0.25}, user_attrs={"known": "later"})
    study.optuna.set_user_attr("somebody's", {"note": [1.5, None, "ü"]})
    (running,) = (row.number for row in study.rows() if row.state == "running")
    folder.checkpoint(running).write_bytes(b"the state")
    (folder.sweeps / "split").mkdir()
    (folder.sweeps / "split" / "0.json").write_text("a sweep")
    file = place.home.root / "image.png"
    file.write_bytes(b"an image")
    place.home.artifacts.mkdir()
    store = FileSystemArtifactStore(place.home.artifacts)
    for one in (study.optuna, study.optuna.get_trials()[running]):
        upload_artifact(
            artifact_store=store, file_path=str(file), study_or_trial=one, storage=place.storage
        )
    states = {row.state for row in study.rows()}
    assert states == {"complete", "failed", "running", "waiting"}


def copy(source: Place, target: Place, name: str | None = None) -> Copied:
    return copy_study(source.home, source.storage, NAME, target.home, target.storage, name)


def all_of(study: optuna.Study) -> dict[int, dict[str, Any]]:
    """Everything that Optuna knows of the trials, but for the rows' own numbers."""
    return {
        trial.number: {
            key: value for key, value in vars(trial).items() if key not in {"_trial_id", "trial_id"}
        }
        for trial in study.get_trials()
    }


def test_a_copy_has_all_that_the_study_has(stopped: Place, any_target: Place) -> None:
    copied = copy(stopped, any_target)
    old, new = stopped.study, any_target.study
    assert all_of(new.optuna) == all_of(old.optuna)
    here = {attributes.COPY_OF, attributes.HOLDER, attributes.IDENTITY}
    notes = dict(new.optuna.user_attrs)
    assert notes.pop(attributes.IDENTITY) != old.note(attributes.IDENTITY)
    assert notes.pop(attributes.COPY_OF)["study"] == NAME
    assert notes == {key: old.note(key) for key in old.optuna.user_attrs if key not in here}
    assert new.optuna.metric_names == old.optuna.metric_names
    assert (new.settings, new.budget) == (old.settings, old.budget)
    assert (copied.trials, copied.unfinished, copied.lacking) == (len(old.rows()), 1, ())


def test_what_a_copy_needs_to_go_on_is_in_its_home(stopped: Place, any_target: Place) -> None:
    copy(stopped, any_target)
    own, other = stopped.home.study(NAME), any_target.home.study(NAME)
    (number,) = other.checkpoints()
    assert other.checkpoint(number).read_bytes() == b"the state"
    assert own.checkpoint(number).exists()
    assert (other.sweeps / "split" / "0.json").read_text() == "a sweep"
    entries = get_all_artifact_meta(any_target.study.optuna)
    entries += get_all_artifact_meta(
        any_target.study.optuna.get_trials()[number], storage=any_target.storage
    )
    files = {one.name: one.read_bytes() for one in any_target.home.artifacts.iterdir()}
    assert files == {entry.artifact_id: b"an image" for entry in entries}
    assert len(files) == 2


def test_what_waits_in_a_copy_is_tried_there(stopped: Place, any_target: Place) -> None:
    copy(stopped, any_target)
    trial = any_target.study.optuna.ask()
    assert trial.user_attrs == {"known": "later"}
    assert trial.suggest_float("dropout", 0.0, 0.5) == 0.25


def test_a_trial_that_waits_at_a_rung_is_copied_with_its_state(
    stopped: Place, any_target: Place
) -> None:
    (number,) = stopped.home.study(NAME).checkpoints()
    pause(attach(stopped.study.optuna, number))
    copied = copy(stopped, any_target)
    assert (copied.unfinished, copied.lacking) == (1, ())
    assert all_of(any_target.study.optuna) == all_of(stopped.study.optuna)
    assert any_target.study.rows()[number].state == "paused"
    state = any_target.home.study(NAME).checkpoint(number)
    assert state.read_bytes() == b"the state"


def test_a_trial_that_waits_without_a_state_is_named(stopped: Place, target: Place) -> None:
    (number,) = stopped.home.study(NAME).checkpoints()
    pause(attach(stopped.study.optuna, number))
    stopped.home.study(NAME).checkpoint(number).unlink()
    copied = copy(stopped, target)
    assert copied.unfinished == 0
    # What is queued has no state to lack.
    assert copied.lacking == (f"Trial {number} restarts from epoch 1: it has no checkpoint.",)


def test_what_is_not_there_is_said_and_the_rest_is_copied(stopped: Place, target: Place) -> None:
    folder = stopped.home.study(NAME)
    (number,) = folder.checkpoints()
    folder.checkpoint(number).unlink()
    shutil.rmtree(stopped.home.artifacts)
    copied = copy(stopped, target)
    assert copied.unfinished == 0
    assert copied.lacking == (
        f"Trial {number} restarts from epoch 1: it has no checkpoint.",
        f"The artifact image.png is not in the home {stopped.home.root}.",
        f"The artifact image.png is not in the home {stopped.home.root}.",
    )
    assert len(target.study.rows()) == copied.trials


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("place", [RetryingStorage, copying], ids=["in the trials", "in the files"])
def test_a_copy_that_was_killed_is_no_study_and_is_made_anew(
    stopped: Place, target: Place, monkeypatch: pytest.MonkeyPatch, place: Any
) -> None:
    step = "create_new_trial" if place is RetryingStorage else "write_atomically"
    calls, real = [0], getattr(place, step)

    def dying(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise KilledError
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(place, step, dying)
        with pytest.raises(KilledError):
            copy(stopped, target)
    assert summaries(target.storage) == []
    with pytest.raises(UsageError, match="is a copy that was interrupted"):
        open_study(target.storage, NAME)
    copy(stopped, target)
    assert all_of(target.study.optuna) == all_of(stopped.study.optuna)
    assert target.home.study(NAME).checkpoints() == stopped.home.study(NAME).checkpoints()


def test_a_start_takes_the_place_of_an_interrupted_copy(stopped: Place, target: Place) -> None:
    half = optuna.create_study(storage=target.storage, study_name=NAME, direction="maximize")
    note = {"study": NAME, "host": "h", "to": "/t", "begun": "2026-01-01"}
    half.set_user_attr(attributes.COPY_OF, note)
    target.storage.create_new_trial(half._study_id, stopped.study.optuna.get_trials()[0])
    study, is_new = create_or_open(target.storage, NAME, settings_of(), stopped.study.budget)
    assert is_new
    assert study.rows() == []


@pytest.mark.parametrize("note", [None, {"study": NAME}])
def test_trials_of_somebody_else_are_not_taken_for_an_interrupted_copy(
    stopped: Place, target: Place, note: Any
) -> None:
    theirs = optuna.create_study(storage=target.storage, study_name=NAME, direction="maximize")
    if note is not None:
        theirs.set_user_attr(attributes.COPY_OF, note)
    theirs.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(UsageError, match="already has a study named mine"):
        copy(stopped, target)
    assert len(theirs.get_trials()) == 1


def test_a_study_that_is_there_is_not_written_over(stopped: Place, target: Place) -> None:
    copy(stopped, target)
    before = all_of(target.study.optuna)
    with pytest.raises(UsageError, match="already has a study named mine"):
        copy(stopped, target)
    assert all_of(target.study.optuna) == before


def test_states_of_another_study_in_the_home_are_left_alone(stopped: Place, target: Place) -> None:
    folder = target.home.study(NAME)
    folder.create()
    folder.checkpoint(0).write_bytes(b"theirs")
    with pytest.raises(UsageError, match="has checkpoints of another study named mine"):
        copy(stopped, target)
    assert folder.checkpoint(0).read_bytes() == b"theirs"
    assert optuna.get_all_study_names(target.storage) == []


@pytest.mark.usefixtures("impatient")
def test_neither_side_may_be_running(stopped: Place, any_target: Place) -> None:
    for busy in (stopped, any_target):
        with (
            StudyLock(busy.home, busy.storage, NAME),
            pytest.raises(StudyHeldError, match="already running"),
        ):
            copy(stopped, any_target)
    assert optuna.get_all_study_names(any_target.storage) == []


def test_a_copy_beside_its_original_has_another_name(stopped: Place) -> None:
    with pytest.raises(UsageError, match="already has a study named mine"):
        copy(stopped, stopped)
    copy(stopped, stopped, "mine-2")
    copied = open_study(stopped.storage, "mine-2")
    assert all_of(copied.optuna) == all_of(stopped.study.optuna)
    assert len(list(stopped.home.artifacts.iterdir())) == 2  # both name the same files


def test_a_pruner_that_goes_by_the_studys_name_keeps_it(target: Place) -> None:
    new_study(target.storage, pruner="hyperband")
    with pytest.raises(
        UsageError, match="hyperband pruner of study mine decides by the study's name"
    ):
        copy(target, target, "other")


def test_a_study_with_a_hole_is_not_copied(stopped: Place, target: Place) -> None:
    with stopped.storage.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM trials WHERE number = 1")
    stopped.storage.engine.dispose()
    with pytest.raises(ServiceError, match="Trials before number 2 were removed"):
        copy(stopped, target)
    assert summaries(target.storage) == []


def test_an_artifact_that_leaves_its_folder_is_not_followed(stopped: Place, target: Place) -> None:
    entry = {"artifact_id": "../image.png", "filename": "x", "mimetype": "", "encoding": None}
    study = stopped.study.optuna
    stopped.storage.set_study_system_attr(study._study_id, "artifacts:bad", json.dumps(entry))
    copied = copy(stopped, target)
    assert copied.lacking == (f"The artifact x is not in the home {stopped.home.root}.",)
    assert not (target.home.root / "image.png").exists()


def test_the_command_says_what_it_copied_and_where_to_look(
    stopped: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, there = stopped.home.root, tmp_path / "new" / "home"
    assert run(["copy", NAME, "--home", str(home), "--to-home", str(there)]) == 0
    out, err = capsys.readouterr()
    count = len(stopped.study.rows())
    assert out == (
        f"Copied: study mine with {count} trials, 1 of them unfinished.\n"
        f"Look at it with: cifar-search status mine --home {there}\n"
    )
    assert err == ""
    assert run(["status", "mine", "--home", str(there)]) == 0
    assert f"{count} trials" in capsys.readouterr().out.replace("of 6 ", f"{count} ")
    assert run(["copy", NAME, "--home", str(home)]) == 2
    assert "Give --to-home DIR, --name NAME, or both." in capsys.readouterr().err
