"""Kills and signals for real: finished trials stay, interrupted ones continue, totals are exact."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from cifar_core.checkpoint import load_state
from tests.search.conftest import Undisturbed
from tests.search.running import (
    FAST,
    Database,
    Running,
    begin,
    ended,
    needs_proc,
    run,
    space_file,
    values_of,
    wait_for_epoch,
)

pytestmark = needs_proc


def epochs_in_checkpoint(home: Path, trial: int, study: str = "tiny") -> list[dict[str, float]]:
    path = home / "studies" / study / "checkpoints" / f"{trial}.pt"
    return list(load_state(path)["history"])


def kill_coordinator(running: Running) -> None:
    """Its workers are alive until then, and end by themselves soon after."""
    assert running.workers(), running.story
    running.signal(signal.SIGKILL)
    assert running.wait().code == -signal.SIGKILL
    running.assert_gone(seconds=5.0)


def deaths_of(database: Database, trial: int) -> int:
    return int(database.trials()[trial].user_attrs.get("interruptions", 0))


def assert_same_rows(before: dict[object, object], after: dict[object, object]) -> None:
    """What the study had is still there: the same rows with the same values."""
    assert {key: after.get(key) for key in before} == before


@pytest.mark.slow
def test_after_a_kill_in_the_lr_range_test_what_is_swept_is_not_swept_again(
    undisturbed: Undisturbed, plain_images: Path, tmp_path: Path
) -> None:
    database = Database(tmp_path)
    command = ("start", *undisturbed.options, "--home", tmp_path)
    sweeps = tmp_path / "studies" / "tiny" / "sweeps"
    with begin(*command, folder=tmp_path, data=plain_images) as running:
        running.until(lambda: list(sweeps.rglob("[!.]*.json")), "a sweep is done")
        kill_coordinator(running)
    assert len(list(sweeps.rglob("[!.]*.json"))) == 1
    with begin(*command, folder=tmp_path, data=plain_images) as running:
        wait_for_epoch(running, database, 0, 1)
        assert running.out.startswith("LR-range test: 1/2 sweeps"), running.story
        kill_coordinator(running)
    for note in ("lr_bounds", "lr_range_curves"):
        assert database.note(note) == undisturbed.database.note(note)


def test_after_a_kill_of_the_coordinator_trials_end_as_if_nothing_had_been(
    undisturbed: Undisturbed, plain_images: Path, tmp_path: Path
) -> None:
    """To the last digit, in a search of the first two trials of the undisturbed one."""
    database = Database(tmp_path)
    # Known configurations are the same whatever the rates that are searched.
    wishes = ("--trials", 2, "--lr-bounds", "off")
    command = ("start", *undisturbed.options, "--home", tmp_path, *wishes)
    with begin(*command, folder=tmp_path, data=plain_images) as running:
        wait_for_epoch(running, database, 0, 1)
        kill_coordinator(running)
    before, killed = database.epochs(), database.trials()
    (begun,) = (trial for trial in killed if trial.state is TrialState.RUNNING)
    epochs = len(begun.intermediate_values)
    saved = epochs_in_checkpoint(tmp_path, begun.number)
    assert len(saved) >= epochs
    with begin(*command, folder=tmp_path, data=plain_images) as running:
        result = ended(running, 0)
    assert f"trial {begun.number} continues after epoch {epochs}\n" in result.out
    assert result.err == ""
    assert_same_rows(before, database.epochs())
    assert database.finished() == {0: "COMPLETE", 1: "COMPLETE"}
    after = database.trials()
    assert values_of(after) == values_of(undisturbed.database.trials())[:2]
    # Seconds are measured anew whenever an epoch is trained: these were not.
    seconds = [epoch["seconds"] for epoch in after[begun.number].user_attrs["epochs"]]
    assert seconds[: len(saved)] == pytest.approx([one["seconds"] for one in saved], rel=1e-5)


@pytest.mark.slow
def test_after_a_kill_of_the_coordinator_a_study_ends_as_if_nothing_had_been(
    undisturbed: Undisturbed, plain_images: Path, tmp_path: Path
) -> None:
    database = Database(tmp_path)
    command = ("start", *undisturbed.options, "--home", tmp_path)
    # In a trial whose values come from the sampler's model.
    with begin(*command, folder=tmp_path, data=plain_images) as running:
        wait_for_epoch(running, database, 0, 1)
        wait_for_epoch(running, database, 10, 1)
        kill_coordinator(running)
    before, killed = database.epochs(), database.trials()
    # By then it may have come to a rung, where it waits, goes on or ends; when it ends its state goes.
    if killed[10].state.is_finished():
        saved = killed[10].user_attrs["epochs"]
    else:
        saved = epochs_in_checkpoint(tmp_path, 10)
    assert len(saved) >= len(killed[10].intermediate_values) >= 1
    with begin(*command, folder=tmp_path, data=plain_images) as running:
        result = ended(running, 0)
    assert "sweeps" not in result.out
    for trial in killed:
        if trial.state is TrialState.RUNNING:
            epochs = len(trial.intermediate_values)
            assert f"trial {trial.number} continues after epoch {epochs}\n" in result.out
    assert result.err == ""
    assert_same_rows(before, database.epochs())
    assert len(database.finished()) == len(database.states()) == 11
    after = database.trials()
    # Seconds are measured anew whenever an epoch is trained: these were not.
    seconds = [epoch["seconds"] for epoch in after[10].user_attrs["epochs"]]
    assert seconds[: len(saved)] == pytest.approx([one["seconds"] for one in saved], rel=1e-5)
    for was, became in zip(values_of(killed), values_of(after), strict=True):
        if was["state"] in {"RUNNING", "WAITING"}:  # it has gone on since, or ended where it waited
            assert was["accuracies"].items() <= became["accuracies"].items()
        else:
            assert became == was
    assert values_of(after) == values_of(undisturbed.database.trials())
    for note in ("lr_bounds", "lr_range_curves"):
        assert database.note(note) == undisturbed.database.note(note)
    # Two processes came by; the first of them made the image, and the last one the report.
    names = sorted(one.filename for one in database.artifacts())
    assert names == ["lr-range-sgd_lr.png", "report.html"]
    assert len(list((tmp_path / "artifacts").iterdir())) == 2


@pytest.mark.slow
def test_a_killed_worker_and_a_signal_to_the_whole_group_cost_no_epoch(
    plain_images: Path, tmp_path: Path
) -> None:
    """systemd, batch systems and a closed terminal signal every process of a group."""
    database = Database(tmp_path)
    command = ("start", "--space", space_file(tmp_path), *FAST, "--home", tmp_path)
    wishes = ("--trials", 1, "--epochs", 100, "--lr-bounds", "off")
    with begin(*command, *wishes, folder=tmp_path, data=plain_images) as running:
        wait_for_epoch(running, database, 0, 1)
        (worker,) = running.workers()
        os.kill(worker, signal.SIGKILL)
        before = database.epochs(0)
        wait_for_epoch(running, database, 0, len(before) + 2)
        os.killpg(running.pid, signal.SIGTERM)
        result = ended(running, 130, seconds=30.0)
    assert result.out.count("note: The worker of trial 0 was killed by SIGKILL") == 1
    assert "running trials finish their epoch" in result.out
    assert "stopped, everything is saved" in result.out
    assert "cifar-search resume tiny" in result.out
    assert_same_rows(before, database.epochs())
    assert deaths_of(database, 0) == 1  # the signal is not held against the trial
    before = database.epochs()
    # Every epoch that was trained is in the study and in the checkpoint.
    assert len(epochs_in_checkpoint(tmp_path, 0)) == len(before) < 100
    assert database.states()[0] == "RUNNING"
    with begin("resume", "--home", tmp_path, folder=tmp_path, data=plain_images) as running:
        result = ended(running, 0)
    assert f"trial 0 continues after epoch {len(before)}" in result.out
    assert_same_rows(before, database.epochs())
    assert database.finished() == {0: "COMPLETE"}
    assert len(database.epochs()) == 100


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once(plain_images: Path, tmp_path: Path) -> None:
    database = Database(tmp_path)
    command = ("start", "--space", space_file(tmp_path), *FAST, "--home", tmp_path)
    # An epoch takes several seconds, so that waiting for its end would show.
    wishes = ("--lr-bounds", "off", "--train-images", 45_000)
    with begin(*command, *wishes, folder=tmp_path, data=plain_images) as running:
        running.until(lambda: database.states().get(0) == "RUNNING", "a trial is running")
        running.signal(signal.SIGINT)
        running.until(lambda: "finish their epoch" in running.out, "it says that it stops")
        began = time.monotonic()
        running.signal(signal.SIGINT)
        result = ended(running, 130)
        assert time.monotonic() - began < 6.0, running.story
    assert "Traceback" not in result.err
    assert database.states()[0] == "RUNNING"


@pytest.mark.slow
def test_a_running_study_is_not_started_twice_and_is_stopped_alone(
    plain_images: Path, tmp_path: Path
) -> None:
    """Two studies begin in one new home at the same moment; one of them is stopped from elsewhere."""
    command = ("start", "--space", space_file(tmp_path), *FAST, "--home", tmp_path)
    wishes = ("--trials", 2, "--lr-bounds", "off")
    long = (*command, *wishes, "--study", "long", "--epochs", 500)
    short = (*command, *wishes, "--study", "short", "--epochs", 2)
    database = Database(tmp_path, "long")
    with (
        begin(*long, folder=tmp_path, data=plain_images, core=0) as running,
        begin(*short, folder=tmp_path, data=plain_images, core=1) as other,
    ):
        wait_for_epoch(running, database, 0, 1)
        second = run(*long, folder=tmp_path, data=plain_images)
        assert second.code == 1, second
        assert f"Study long is already running: process {running.pid} on" in second.err
        assert re.search(r"since \d{4}-\d\d-\d\dT", second.err)
        epochs = len(database.epochs(0))
        running.until(lambda: len(database.epochs(0)) > epochs, "the first search goes on")
        stopped = run("stop", "long", "--home", tmp_path, folder=tmp_path)
        # `stop` has waited, so there is nothing left to wait for.
        result = ended(running, 130, seconds=3.0)
        ended(other, 0)
    assert stopped.code == 0, stopped
    assert "Stopped. Continue with: cifar-search resume long" in stopped.out
    assert "stopped, everything is saved" in result.out
    assert len(epochs_in_checkpoint(tmp_path, 0, "long")) == len(database.epochs(0))
    assert database.states()[0] == "RUNNING"
    assert Database(tmp_path, "short").finished() == {0: "COMPLETE", 1: "COMPLETE"}
