"""A full or read-only disk in the middle of a search, over scripted workers and for real."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from search.events import Event, Notice
from search.home import StudyFolder
from search.workers.messages import Died, Unsaved
from tests.search.conftest import Here, Undisturbed
from tests.search.running import (
    Database,
    begin,
    ended,
    values_of,
    wait_for_epoch,
)
from tests.search.script import HandClock
from tests.search.scripted import (
    ScriptedPool,
    new_study,
    reopened,
    search,
    states_of,
)


class FullDisk:
    """A worker's disk that has no space from one epoch of a trial on, for so many tries."""

    def __init__(self, trial: int, epoch: int, tries: int, clock: HandClock | None = None) -> None:
        self._where, self._tries, self._clock = (trial, epoch), tries, clock or HandClock()
        self.tried: list[float] = []

    def __call__(self, trial: int, epoch: int) -> Unsaved | None:
        if (trial, epoch) != self._where:
            return None
        self.tried.append(self._clock())
        if len(self.tried) > self._tries:
            return None
        return Unsaved("3.pt: No space left on device")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_state_that_cannot_be_saved_is_tried_again_and_nothing_is_lost(
    folder: StudyFolder, workers: int
) -> None:
    clock, events = HandClock(), list[Event]()

    def tick(_polls: int) -> None:
        clock.now += 0.5

    study, quiet = new_study(trials=4), new_study(trials=4, name="quiet")
    search(quiet, ScriptedPool(workers), folder)
    disk = FullDisk(1, 2, tries=3, clock=clock)
    pool = ScriptedPool(workers, trouble=disk, after=tick)
    assert search(study, pool, folder, events=events, clock=clock) == "finished"
    assert sorted(pool.trained) == [(trial, epoch) for trial in range(4) for epoch in (1, 2, 3, 4)]
    assert [row.validation_accuracy for row in study.rows()] == [
        row.validation_accuracy for row in quiet.rows()
    ]
    said = [event.text for event in events if isinstance(event, Notice)]
    assert len(said) == 2
    assert "No space left on device" in said[0]
    assert "make space" in said[0]
    assert "continues" in said[1]
    waits = [later - earlier for earlier, later in pairwise(disk.tried)]
    assert waits == [pytest.approx(2.0, abs=0.6)] * 3  # a full disk is not asked all the time


def test_a_stop_ends_the_waiting_for_space_and_the_trial_goes_on_later(
    folder: StudyFolder,
) -> None:
    asked = [False]

    def after(polls: int) -> None:
        asked[0] = polls >= 6

    study = new_study(trials=1)
    pool = ScriptedPool(trouble=FullDisk(0, 3, tries=10**6), after=after)
    assert search(study, pool, folder, stop=lambda: asked[0]) == "stopped"
    assert states_of(study) == ["running"]
    again = ScriptedPool(checkpoints=pool.checkpoints)
    assert search(reopened(study), again, folder) == "finished"
    assert again.trained == [(0, 3), (0, 4)]


def test_a_worker_that_dies_without_space_is_not_answered_any_more(folder: StudyFolder) -> None:
    clock = HandClock()

    def tick(_polls: int) -> None:
        clock.now += 0.5

    study = new_study(trials=2)
    pool = ScriptedPool(
        trouble=FullDisk(0, 2, tries=1), after=tick, meanwhile=lambda: Died("killed by SIGKILL")
    )
    assert search(study, pool, folder, clock=clock) == "finished"
    assert states_of(study) == ["complete", "complete"]


# ------------------------------------------------------------------------------------ for real

SIZE = 48 * 2**20
"""Bytes: the images of these searches take 18 MiB."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        # Lazily: a process that a failed test has left may still have a file open.
        subprocess.run(["umount", "-l", place], check=True)  # noqa: S607


def fill(disk: Path) -> Path:
    """Take all space that is left."""
    file = disk / "filler"
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    free = os.statvfs(disk)
    assert free.f_bavail == 0
    return file


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)  # noqa: S607


@pytest.fixture
def command(undisturbed: Undisturbed, disk: Path) -> tuple[object, ...]:
    # Known configurations are the same whatever the rates that are searched.
    wishes = ("--trials", 2, "--lr-bounds", "off")
    return ("start", *undisturbed.options, "--home", disk / "home", *wishes)


def assert_as_undisturbed(database: Database, undisturbed: Undisturbed) -> None:
    assert database.finished() == {0: "COMPLETE", 1: "COMPLETE"}
    assert values_of(database.trials()) == values_of(undisturbed.database.trials())[:2]


@pytest.mark.slow
def test_a_search_on_a_full_disk_waits_and_goes_on_when_there_is_space(
    command: tuple[object, ...], disk: Path, undisturbed: Undisturbed, plain_images: Path
) -> None:
    database = Database(disk / "home")
    with begin(*command, folder=disk.parent, data=plain_images) as running:
        wait_for_epoch(running, database, 0, 1)
        filler = fill(disk)
        running.until(lambda: "No space left" in running.out, "it says that the disk is full")
        before = database.epochs()
        filler.unlink()
        result = ended(running, 0)
    assert "note: A checkpoint cannot be saved" in result.out
    assert "can be saved again" in result.out
    assert result.err == ""
    assert {key: database.epochs()[key] for key in before} == before
    assert_as_undisturbed(database, undisturbed)


def test_a_home_that_is_read_only_from_the_beginning_is_refused(
    command: tuple[object, ...], disk: Path, here: Here
) -> None:
    remount(disk, "ro")
    result = here(*command)
    assert result.code == 1, result
    assert "cannot be created: Read-only file system" in result.err
    assert "--home" in result.err
    assert "Traceback" not in result.err
