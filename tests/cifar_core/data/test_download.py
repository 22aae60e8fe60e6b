"""Downloading CIFAR-10: what a success leaves, and that a failure leaves nothing."""

import contextlib
import errno
import hashlib
import http.client
import io
import pickle
import shutil
import socket
import tarfile
import threading
import urllib.error
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from cifar_core.data import download as download_module
from cifar_core.data.cifar10 import Source, find
from cifar_core.data.download import download
from cifar_core.errors import DataError

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: what is printed is part of what is tested."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a web server on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny archive that torchvision takes for CIFAR-10's, on no server yet."""
    pixels = np.zeros((2, 3072), np.uint8)
    train = [[f"data_batch_{number}", {"data": pixels, "labels": [0, 1]}] for number in range(1, 6)]
    test = [["test_batch", {"data": pixels, "labels": [2, 3]}]]
    meta = [["batches.meta", {"label_names": list("abcdefghij")}]]
    path = tmp_path / "server" / ARCHIVE
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        for entry in train + test + meta:
            content = pickle.dumps(entry[1], protocol=2)
            info = tarfile.TarInfo(f"{FOLDER}/{entry[0]}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            entry[1] = md5(content)
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", test)
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": meta[0][1]})
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(path.read_bytes()))
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/nobody-listens-here")
    monkeypatch.setenv("no_proxy", "*")
    return path


@pytest.fixture
def served(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The tiny archive, where torchvision's address now points."""
    with serving(archive.parent) as address:
        monkeypatch.setattr(CIFAR10, "url", f"{address}/{ARCHIVE}")
        yield archive


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def instead_of_downloading(
    monkeypatch: pytest.MonkeyPatch, action: Callable[[Path], object]
) -> None:
    """Let torchvision call `action` with its folder where it would download."""
    monkeypatch.setattr(CIFAR10, "download", lambda dataset: action(Path(dataset.root)))


def fail_half_way(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let torchvision raise `error` when part of the archive and of the images is there."""

    def write_some_and_fail(folder: Path) -> None:
        (folder / ARCHIVE).write_bytes(b"half")
        (folder / FOLDER).mkdir()
        (folder / FOLDER / "data_batch_1").touch()
        raise error

    instead_of_downloading(monkeypatch, write_some_and_fail)


# Success


@pytest.mark.usefixtures("served")
def test_a_download_puts_the_images_and_nothing_else_into_place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "new" / "root"
    assert download(root) == find(root) == Source(root / FOLDER, "python")
    assert names(root) == [FOLDER]
    assert len(names(root / FOLDER)) == 7
    assert capfd.readouterr().out == ""


@pytest.mark.usefixtures("served")
def test_a_download_goes_beside_what_the_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("stays")
    download(tmp_path)
    assert (tmp_path / "mine").read_text() == "stays"


@pytest.mark.usefixtures("served")
def test_a_relative_folder_is_one_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert download(Path("~")) == Source(Path("~") / FOLDER, "python")
    assert (tmp_path / "~" / FOLDER).is_dir()


@pytest.mark.usefixtures("served")
def test_images_that_are_there_are_not_downloaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = download(tmp_path)
    fail_half_way(monkeypatch, AssertionError("downloaded again"))
    assert download(tmp_path) == source


def test_an_intact_archive_in_the_folder_needs_no_network(archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(archive, root)
    assert download(root) == Source(root / FOLDER, "python")
    assert md5((root / ARCHIVE).read_bytes()) == CIFAR10.tgz_md5


@pytest.mark.usefixtures("served")
def test_images_that_another_process_put_there_meanwhile_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    torchvisions = CIFAR10.download

    def download_twice(dataset: Any) -> None:
        torchvisions(dataset)
        shutil.copytree(Path(dataset.root) / FOLDER, root / FOLDER)

    monkeypatch.setattr(CIFAR10, "download", download_twice)
    assert download(root) == Source(root / FOLDER, "python")
    assert names(root) == [FOLDER]


# Failure


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")), "refused"),
        (
            urllib.error.URLError(socket.gaierror(-3, "Temporary failure in name resolution")),
            "name",
        ),
        (urllib.error.HTTPError("", 503, "Busy", http.client.HTTPMessage(), None), "503: Busy"),
        (TimeoutError("The read operation timed out"), "read operation timed out"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "reset by peer"),
        (http.client.IncompleteRead(b"half", 4), "4 bytes read, 4 more expected"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (RuntimeError("File not found or corrupted."), "File not found or corrupted"),
        (tarfile.ReadError("not a\n  gzip file"), "not a gzip file"),
        (EOFError(), "EOFError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_failed_download_gives_its_cause_on_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    fail_half_way(monkeypatch, error)
    root = tmp_path / "new" / "root"
    with pytest.raises(DataError) as caught:
        download(root)
    text = str(caught.value)
    assert text.startswith(f"Downloading CIFAR-10 into {root} failed: ")
    assert words in text
    assert "\n" not in text
    assert caught.value.__cause__ is error
    assert names(tmp_path) == []


def test_a_failed_download_leaves_a_folder_that_was_there_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / ARCHIVE).write_text("somebody's half archive")
    fail_half_way(monkeypatch, TimeoutError("timed out"))
    for root in (empty, full):
        with pytest.raises(DataError, match="timed out"):
            download(root)
    assert names(empty) == []
    assert names(full) == [ARCHIVE]
    assert (full / ARCHIVE).read_text() == "somebody's half archive"


def test_an_interrupted_download_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_half_way(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        download(tmp_path / "root")
    assert names(tmp_path) == []


def test_a_wrong_archive_from_a_server_fails_cleanly(
    served: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    served.write_bytes(served.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"failed: File not found or corrupted\.$"):
        download(tmp_path / "root")
    assert not (tmp_path / "root").exists()
    assert capfd.readouterr().out == ""


def test_an_archive_that_the_server_lacks_fails_cleanly(served: Path, tmp_path: Path) -> None:
    served.unlink()
    with pytest.raises(DataError, match="failed: HTTP Error 404: File not found"):
        download(tmp_path / "root")
    assert not (tmp_path / "root").exists()


@pytest.mark.usefixtures("archive")
def test_a_machine_without_network_fails_cleanly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def urlopen(*_: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    with pytest.raises(DataError, match=r"failed: no route to host\.$"):
        download(tmp_path / "root")
    assert not (tmp_path / "root").exists()


@pytest.mark.usefixtures("archive")
def test_a_server_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "SILENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        with pytest.raises(DataError, match="timed out"):
            download(tmp_path / "root")


def test_other_sockets_keep_their_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def look_and_fail(_: Path) -> None:
        seen.append(socket.getdefaulttimeout())
        raise TimeoutError

    instead_of_downloading(monkeypatch, look_and_fail)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(7)
    try:
        with pytest.raises(DataError, match="TimeoutError"):
            download(tmp_path / "root")
        assert (seen, socket.getdefaulttimeout()) == ([20], 7)
    finally:
        socket.setdefaulttimeout(before)


def test_what_torchvision_prints_goes_to_the_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def chatter(_: Path) -> None:
        print("Downloading ...")  # noqa: T201 - as a library may
        raise TimeoutError

    instead_of_downloading(monkeypatch, chatter)
    with pytest.raises(DataError):
        download(tmp_path)
    assert capfd.readouterr() == ("", "Downloading ...\n")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere" / "at-all")
    with pytest.raises(DataError, match=r"Downloading CIFAR-10 into .* failed: .*File exists"):
        download(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="Not a directory"):
        download(tmp_path / "file")
    with pytest.raises(DataError, match="Not a directory"):
        download(tmp_path / "file" / "root")
    assert names(tmp_path) == ["file", "gone"]
