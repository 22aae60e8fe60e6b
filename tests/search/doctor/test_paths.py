"""Where a search reads and writes: looked at, and left as it was."""

import json
import os
import shutil
import sqlite3
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from cifar_core.data import cifar10
from cifar_core.data.dataset import DataSet
from search.doctor import paths as places
from search.doctor.check import Check
from search.doctor.paths import home_check, images_check, storage_check
from search.errors import UsageError
from search.home import Home
from search.storage.opening import open_storage

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; nothing is ever left in it."""
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert list(folder.iterdir()) == []


def everything_in(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}


def plain(check: Check) -> dict[str, object]:
    found: dict[str, object] = json.loads(json.dumps(check.to_dict()))
    return found


# --------------------------------------------------------------------------------------- images


def test_images_that_are_there_are_told_with_whether_they_are_official(
    plain_images: Path,
) -> None:
    check, data = images_check(None, plain_images)
    assert (check.verdict, check.facts["official"]) == ("warning", False)
    assert check.facts["name"] == "cifar10"
    assert str(plain_images) in check.found
    assert data.source == cifar10.find(plain_images)
    assert plain(check)["looked_in"] == str(plain_images)


def test_official_images_are_in_order(plain_images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = cifar10.TRAIN_FILES["binary"]
    content = (plain_images / cifar10.FOLDERS["binary"] / names[0]).read_bytes()
    checksum = __import__("hashlib").sha1(content, usedforsecurity=False).hexdigest()
    monkeypatch.setitem(cifar10.CHECKSUMS, "binary", dict.fromkeys(names, checksum))
    check, _ = images_check(str(plain_images), Path("elsewhere"))
    assert (check.verdict, check.facts["official"], check.advice) == ("ok", True, None)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (None, "is not in {}: a search downloads it (about 170 MB), and ends if that fails"),
        ("auto", "is not in {}: a search downloads it (about 170 MB), and takes the synthetic"),
    ],
)
def test_missing_images_are_not_downloaded_but_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wanted: str | None, words: str
) -> None:
    def never(_: Path) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr("cifar_core.data.dataset.download", never)
    check, data = images_check(wanted, tmp_path / "new" / "data")
    assert check.verdict == "warning"
    assert words.format(tmp_path / "new" / "data") in check.found
    assert "CIFAR_SEARCH_DATA" in str(check.advice)
    assert check.facts["name"] == "synthetic"
    assert data == DataSet("synthetic")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_nothing_can_be_downloaded_to_stops_a_search_that_needs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def read_only(_: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(places, "_write_in", read_only)
    check, _ = images_check(str(tmp_path), Path("data"))
    assert check.verdict == "failed"
    assert "and cannot be downloaded there: Read-only file system" in check.found
    check, _ = images_check("auto", tmp_path)
    assert check.verdict == "warning"
    assert "cannot be downloaded there: a search takes the synthetic" in check.found


def test_synthetic_images_that_are_asked_for_are_in_order() -> None:
    check, data = images_check("synthetic", Path("data"))
    assert (check.verdict, check.facts["name"], data.source) == ("ok", "synthetic", None)
    assert "SYNTHETIC" in check.found


def test_incomplete_or_damaged_images_fail_with_the_file(
    plain_images: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / cifar10.FOLDERS["binary"]
    shutil.copytree(plain_images / cifar10.FOLDERS["binary"], folder)
    (folder / "data_batch_3.bin").write_bytes(b"short")
    damaged, data = images_check(str(folder.parent), Path("data"))
    assert damaged.verdict == "failed"
    assert "data_batch_3.bin has 5 bytes" in damaged.found
    assert data.source is None
    (folder / "data_batch_3.bin").unlink()
    incomplete, _ = images_check(str(folder.parent), Path("data"))
    assert incomplete.verdict == "failed"
    assert "lacks data_batch_3.bin" in incomplete.found
    assert "--data DIR" in str(incomplete.advice)


def test_a_user_who_is_not_there_has_no_images() -> None:
    check, _ = images_check("~nobody-of-this-name/data", Path("data"))
    assert check.verdict == "failed"
    assert "home folder of an unknown user" in check.found


# ------------------------------------------------------------------------------------------- home


def test_a_home_that_is_not_there_can_be_made_and_is_not(tmp_path: Path) -> None:
    check = home_check(Home(tmp_path / "a" / "home"))
    assert (check.verdict, check.facts["writable"], check.facts["exists"]) == ("ok", True, False)
    assert "can be created" in check.found
    assert not (tmp_path / "a").exists()


def test_a_home_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    check = home_check(Home(tmp_path))
    assert (check.verdict, check.facts["exists"]) == ("ok", True)
    assert f"{tmp_path}, writable, " in check.found
    assert abs(int(check.facts["free_bytes"]) - shutil.disk_usage(tmp_path).free) < 2**30
    assert everything_in(tmp_path) == {}


@pytest.mark.parametrize("below", ["", "home"])
def test_a_home_where_a_file_is_in_the_way_fails(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    check = home_check(Home(tmp_path / "file" / below))
    assert (check.verdict, check.facts["writable"]) == ("failed", False)
    assert f"cannot be written to: {tmp_path / 'file'} is not a folder" in check.found
    assert "--home" in str(check.advice)
    plain(check)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
def test_a_home_that_only_looks_writable_fails() -> None:
    check = home_check(Home(Path("/proc/home")))
    assert (check.verdict, check.facts["writable"]) == ("failed", False)
    assert "/proc/home cannot be written to: " in check.found


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for the superuser")
def test_a_read_only_home_fails(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(0o500)
    assert "Permission denied" in home_check(Home(tmp_path / "home")).found


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(100_000_000, "failed"), (1_500_000_000, "warning"), (2_000_000_000, "ok")],
)
def test_a_full_disk_is_told_before_a_search_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, verdict: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - free, free))
    check = home_check(Home(tmp_path / "home"))
    assert (check.verdict, check.facts["free_bytes"]) == (verdict, free)


# ---------------------------------------------------------------------------------------- storage


def test_a_database_that_is_not_there_is_made_by_a_search_and_not_before(tmp_path: Path) -> None:
    check = storage_check(f"sqlite:///{tmp_path}/home/studies.db")
    assert (check.verdict, check.facts["reachable"], check.facts["studies"]) == ("ok", True, 0)
    assert list(tmp_path.glob("home")) == []


@pytest.mark.parametrize("name", ["studies.db", "odd #1 100%.db"])
@pytest.mark.parametrize("in_use", [False, True])
def test_studies_are_counted_and_no_file_is_changed_or_made(
    tmp_path: Path, name: str, in_use: bool
) -> None:
    home = tmp_path / "home"
    url = f"sqlite:///{home / name}"
    storage = open_storage(url)
    for study in ("one", "two"):
        optuna.create_study(storage=storage, study_name=study)
    if not in_use:
        storage.remove_session()
        storage.engine.dispose()
    before = everything_in(home)
    assert any(path.endswith("-wal") for path in before) == in_use
    check = storage_check(url)
    assert (check.verdict, check.facts["studies"]) == ("ok", 2), check
    assert check.found.endswith(", 2 studies")
    assert everything_in(home).keys() == before.keys()
    if not in_use:
        assert everything_in(home) == before


def test_a_database_of_somebody_else_holds_no_studies(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE other (number)")
    connection.close()
    before = everything_in(tmp_path)
    assert storage_check(f"sqlite:///{tmp_path}/other.db").facts["studies"] == 0
    assert everything_in(tmp_path) == before


def test_what_cannot_be_opened_fails_with_the_cause(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but a text of some length" * 50)
    causes = {
        tmp_path / "notes.txt": "file is not a database",
        tmp_path: "it is a folder",
        tmp_path / "notes.txt" / "studies.db": "is not a folder",
    }
    for path, cause in causes.items():
        check = storage_check(f"sqlite:///{path}")
        assert (check.verdict, check.facts["reachable"]) == ("failed", False)
        assert cause in check.found
        assert "--storage" in str(check.advice)
        plain(check)


def test_a_database_of_another_optuna_fails_with_what_to_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    storage = open_storage(url)
    storage.remove_session()
    storage.engine.dispose()
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.4.0.a'")
    connection.close()
    check = storage_check(url)
    assert check.verdict == "failed"
    assert "no longer compatible with the table schema" in check.found


def test_a_missing_driver_fails_without_the_password() -> None:
    check = storage_check("postgresql+pg8000://me:secret@host/db?sslpassword=secret")
    assert check.verdict == "failed"
    assert "driver that is not installed" in check.found
    assert "secret" not in json.dumps(check.to_dict())


def test_a_server_that_refuses_fails_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(url: object, **_: object) -> None:
        raise OperationalError("connect", {}, Exception("me:secret was refused"))

    monkeypatch.setitem(sys.modules, "psycopg", type(sys)("psycopg"))
    monkeypatch.setattr(places, "check_storage", lambda _: None)
    monkeypatch.setattr(places, "create_engine", refuse)
    check = storage_check("postgresql+psycopg://me:secret@host/db")
    assert check.verdict == "failed"
    assert "me:*** was refused" in check.found
    assert check.facts["url"] == "postgresql+psycopg://me:***@host/db"
    assert "secret" not in json.dumps(check.to_dict())


@pytest.mark.parametrize("url", ["nonsense", "runs/studies.db", "sqlite://"])
def test_what_is_no_storage_at_all_is_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError):
        storage_check(url)
