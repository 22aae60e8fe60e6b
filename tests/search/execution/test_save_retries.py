"""A disk that is full or read-only, a database that is locked, in the middle of a search."""

import contextlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.search.conftest import Undisturbed
from tests.search.running import (
    Database,
    begin,
    ended,
    needs_proc,
    run,
    values_of,
    wait_for_epoch,
)

pytestmark = needs_proc

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


@pytest.mark.slow
def test_a_search_that_is_stopped_on_a_full_disk_goes_on_later(
    command: tuple[object, ...], disk: Path, undisturbed: Undisturbed, plain_images: Path
) -> None:
    database = Database(disk / "home")
    with begin(*command, folder=disk.parent, data=plain_images) as running:
        wait_for_epoch(running, database, 0, 1)
        filler = fill(disk)
        running.until(lambda: "No space left" in running.out, "it says that the disk is full")
        running.signal(signal.SIGINT)
        result = running.wait()
    assert result.code in {1, 130}, result
    assert "Traceback" not in result.err
    running.assert_gone()
    # A start on the full disk says what is wrong, and damages nothing.
    result = run(*command, folder=disk.parent, data=plain_images)
    assert result.code == 1, result
    assert "No space left on device" in result.err or "disk is full" in result.err
    assert "Traceback" not in result.err
    filler.unlink()
    with begin(*command, folder=disk.parent, data=plain_images) as running:
        ended(running, 0)
    assert_as_undisturbed(database, undisturbed)


@pytest.mark.slow
def test_a_home_that_becomes_read_only_is_waited_for(
    command: tuple[object, ...], disk: Path, undisturbed: Undisturbed, plain_images: Path
) -> None:
    """As Linux makes a file system whose disk has errors, until somebody mounts it anew."""
    database = Database(disk / "home")
    with begin(*command, folder=disk.parent, data=plain_images) as running:
        wait_for_epoch(running, database, 0, 1)
        # What is open for writing keeps a file system from becoming read-only, but not this name for it.
        subprocess.run(["mount", "--bind", disk, disk], check=True)  # noqa: S607
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", disk], check=True)  # noqa: S607
            running.until(
                lambda: "Read-only file system" in running.out, "it says that it is read-only"
            )
        finally:
            subprocess.run(["umount", "-l", disk], check=True)  # noqa: S607
        result = ended(running, 0)
    assert result.err == ""
    assert_as_undisturbed(database, undisturbed)


def test_a_home_that_is_read_only_from_the_beginning_is_refused(
    command: tuple[object, ...], disk: Path, plain_images: Path
) -> None:
    remount(disk, "ro")
    result = run(*command, folder=disk.parent, data=plain_images)
    assert result.code == 1, result
    assert "cannot be created: Read-only file system" in result.err
    assert "--home" in result.err
    assert "Traceback" not in result.err
    for other in (("status",), ("studies",), ("export",), ("resume",)):
        result = run(*other, "--home", disk / "home", folder=disk.parent)
        assert result.code in {1, 2}, result
        assert "Traceback" not in result.err


@pytest.mark.slow
def test_a_database_that_somebody_locks_for_long_is_waited_for_and_no_report_is_lost(
    undisturbed: Undisturbed, plain_images: Path, tmp_path: Path
) -> None:
    """A backup, or another program's transaction that is not ended."""
    database = Database(tmp_path / "home")
    wishes = ("--home", tmp_path / "home", "--trials", 2, "--lr-bounds", "off")
    command = ("start", *undisturbed.options, *wishes)
    with begin(*command, folder=tmp_path, data=plain_images) as running:
        wait_for_epoch(running, database, 0, 1)
        with contextlib.closing(sqlite3.connect(database.path)) as other:
            other.execute("BEGIN IMMEDIATE")
            running.until(lambda: "database is locked" in running.out, "it says what it waits for")
            other.rollback()
        result = ended(running, 0)
    assert "The storage works again" in result.out
    assert result.err == ""
    assert_as_undisturbed(database, undisturbed)
