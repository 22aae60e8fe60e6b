"""A file is written whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from cifar_core.files import make_durable, write_atomically

OLD, NEW = b"old content", b"new content, longer than the old one"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state.pt"
    path.write_bytes(OLD)
    return path


def test_a_new_file_holds_what_was_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new.pt", NEW)
    assert (tmp_path / "new.pt").read_bytes() == NEW
    assert os.listdir(tmp_path) == ["new.pt"]  # noqa: PTH208 - names are wanted, not paths


def test_an_old_file_is_replaced_and_not_written_into(path: Path) -> None:
    with path.open("rb") as reader:
        write_atomically(path, NEW)
        assert reader.read() == OLD  # who reads it already goes on reading the old one
    assert path.read_bytes() == NEW


def test_others_may_read_it(path: Path) -> None:
    write_atomically(path, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_an_empty_file_can_be_written(path: Path) -> None:
    write_atomically(path, b"")
    assert path.read_bytes() == b""


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_a_failure_on_the_way_leaves_the_old_file_and_no_other(
    step: str, error: BaseException, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(type(error)):
        write_atomically(path, NEW)
    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


def test_the_content_is_on_the_disk_before_it_gets_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(file: int) -> None:
        order.append("fsync")
        fsync(file)

    def noted_replace(path: Path, target: Path) -> Path:
        order.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_atomically(path, NEW)
    assert order == ["fsync", "replace", "fsync"]  # at last the folder, which has the name


def test_a_folder_in_the_files_place_stays_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "state.pt"
    folder.mkdir()
    with pytest.raises(OSError, match=r"state\.pt"):
        write_atomically(folder, NEW)
    assert list(tmp_path.iterdir()) == [folder]
    assert list(folder.iterdir()) == []


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "absent" / "state.pt", NEW)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_has_nothing_to_lose(tmp_path: Path) -> None:
    make_durable(tmp_path / "absent")


def test_a_disk_that_fails_is_told_and_a_file_system_that_cannot_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(error: OSError) -> None:
        def fail(_: int) -> None:
            raise error

        monkeypatch.setattr(os, "fsync", fail)

    answer(OSError(errno.EINVAL, "Invalid argument"))
    make_durable(path.parent)
    answer(OSError(errno.EIO, "Input/output error"))
    before = set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else set()  # noqa: PTH208
    with pytest.raises(OSError, match="Input/output error"):
        make_durable(path)
    if before:
        assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208
