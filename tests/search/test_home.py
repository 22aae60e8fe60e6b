"""The home: names, folders, and who holds a study."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from search.errors import ServiceError, StudyHeldError, UsageError
from search.home import Home, StudyFolder

HOLD = """
import sys, time
from pathlib import Path
from search.home import StudyFolder
with StudyFolder(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    folder = Home(tmp_path / "home").study("mine")
    folder.create()
    return folder


@contextmanager
def holding(folder: StudyFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the study."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.root)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["a", "7", "Mine-2_b.c", "x" * 80, "baseline_constrained"])
def test_a_study_is_named_like_a_folder(tmp_path: Path, name: str) -> None:
    assert Home(tmp_path).study(name).root == tmp_path / "studies" / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "a/b",
        "/a",
        "-a",
        ".a",
        "_a",
        "a b",
        "x" * 81,
        "é",
        "a\n",
        "a\0",
        "\u0661",
    ],
)
def test_a_name_that_is_no_folders_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        Home(tmp_path).study(name)
    assert repr(name) in str(caught.value)
    assert "1 to 80 letters" in str(caught.value)


def test_looking_at_a_study_that_is_not_there_creates_nothing(tmp_path: Path) -> None:
    place = Home(tmp_path / "home")
    assert place.study("mine").holder() is None
    assert not place.root.exists()


def test_artifacts_lie_in_the_home_and_looking_for_them_makes_nothing(tmp_path: Path) -> None:
    assert Home(tmp_path / "home").artifacts == tmp_path / "home" / "artifacts"
    assert not (tmp_path / "home").exists()


def test_a_home_is_made_with_the_folders_above_it(tmp_path: Path) -> None:
    place = Home(tmp_path / "a" / "b")
    place.create()
    place.create()
    assert place.root.is_dir()


def test_a_home_that_is_a_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(ServiceError) as caught:
            Home(root).create()
        assert f"The home {root} cannot be created" in str(caught.value)
        assert "--home or CIFAR_SEARCH_HOME" in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_to_is_refused_with_the_way_out(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        for root in (tmp_path, tmp_path / "home"):
            with pytest.raises(ServiceError, match="--home or CIFAR_SEARCH_HOME"):
                Home(root).create()
    finally:
        tmp_path.chmod(0o700)


def test_a_held_study_is_held_by_this_process_alone(folder: StudyFolder) -> None:
    other = StudyFolder(folder.root)
    with folder.held(), pytest.raises(StudyHeldError), other.held():
        pytest.fail("two hold it")
    with other.held():
        pass


def test_what_a_killed_holder_has_half_written_is_gone_once_the_study_is_held(
    folder: StudyFolder,
) -> None:
    folder.create()
    for name in (".holder.json.x1", ".images.x2"):
        (folder.root / name).touch()
    with folder.held():
        assert not list(folder.root.glob(".*"))


def test_a_study_is_free_again_after_an_error(folder: StudyFolder) -> None:
    with pytest.raises(KeyError), folder.held():
        raise KeyError
    assert folder.holder() is None


def test_a_hold_is_exclusive_between_processes_and_says_who_has_it(folder: StudyFolder) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with holding(folder) as process:
        who = folder.holder()
        assert who is not None
        assert who["pid"] == process.pid
        assert before <= datetime.fromisoformat(who["since"]) <= datetime.now(UTC)
        with pytest.raises(StudyHeldError) as caught, folder.held():
            pytest.fail("two hold it")
        assert f"process {process.pid} on " in str(caught.value)
        assert "cifar-search status mine --watch" in str(caught.value)


def test_a_hold_ends_with_the_process_that_is_killed(folder: StudyFolder) -> None:
    with holding(folder) as process:
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        assert (folder.root / "holder.json").exists()  # what it wrote is still there
        assert folder.holder() is None
        with folder.held():
            mine = folder._read_holder()
            assert mine["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", "\0"])
def test_a_damaged_note_of_the_holder_does_not_free_the_study(
    folder: StudyFolder, content: str
) -> None:
    with folder.held():
        (folder.root / "holder.json").write_text(content)
        assert folder.holder() == {}
        with pytest.raises(StudyHeldError, match="process unknown on this machine"):
            StudyFolder(folder.root).held().__enter__()


def test_looking_changes_nothing_for_the_holder(folder: StudyFolder) -> None:
    with folder.held():
        assert folder.holder() == folder.holder() != {}
        with pytest.raises(StudyHeldError):
            StudyFolder(folder.root).held().__enter__()


def test_a_look_does_not_keep_a_search_from_starting(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, release = threading.Event(), FileLock.release

    def slow(lock: FileLock) -> None:
        looking.set()
        time.sleep(0.2)
        release(lock)

    monkeypatch.setattr(FileLock, "release", slow)
    look = threading.Thread(target=folder.holder)
    look.start()
    looking.wait(1.0)
    try:
        with StudyFolder(folder.root).held():
            pass
    finally:
        look.join()


def test_taking_a_study_takes_back_an_old_request_to_stop(folder: StudyFolder) -> None:
    folder.stop_request.touch()
    with folder.held():
        assert not folder.stop_request.exists()


def test_tidying_removes_what_only_an_unfinished_study_needs(folder: StudyFolder) -> None:
    for file in (
        folder.images,
        folder.stop_request,
        folder.sweeps / "0-0.json",
        folder.checkpoint(3),
        folder.checkpoint(3).with_name(".4.pt.half"),
        folder.logs / "worker-0.log",
    ):
        file.touch()
    folder.checkpoint(4).touch()
    folder.tidy({3})
    folder.tidy({3})
    assert sorted(path.name for path in folder.root.iterdir()) == ["checkpoints", "logs"]
    assert folder.checkpoints() == {3}  # the best trial's network
    assert list(folder.checkpoint(3).parent.iterdir()) == [folder.checkpoint(3)]
    assert (folder.logs / "worker-0.log").exists()
    folder.create()
    assert folder.checkpoint(0).parent.is_dir()


def test_a_study_of_the_same_name_in_another_storage_does_not_take_the_states_of_this_one(
    folder: StudyFolder,
) -> None:
    with folder.held(storage="studies.db"):
        pass
    with folder.held(storage="other.db"):
        pass  # there is nothing yet that could be lost
    folder.checkpoint(3).touch()
    with (
        pytest.raises(UsageError, match=r"another study named .*, which is in other\.db"),
        folder.held(storage="studies.db"),
    ):
        pytest.fail("it was taken")
    assert folder.checkpoints() == {3}
    with folder.held(storage="other.db"):
        pass
