"""Studies on a read-only file system are read; where that cannot be, the cause is named."""

import base64
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from search.cli import run
from search.dashboard import app
from search.dashboard.access import Access
from search.dashboard.app import dashboard_of
from search.doctor.paths import storage_check
from search.errors import ServiceError
from search.home import Home
from search.storage.opening import existing_storage, open_storage
from search.storage.read_only import read_only_url
from search.storage.retrying import RetryingStorage
from search.storage.study_lock import StudyLock
from tests.search.asking import asked
from tests.search.scripted import NAME, ScriptedPool, new_study, search


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a finished study."""
    home = Home(tmp_path / "home")
    home.create()
    storage = open_storage(home.storage_url())
    study = new_study(storage, trials=2)
    with StudyLock(home, storage, NAME) as lock:
        assert search(study, ScriptedPool(), lock.folder) == "finished"
    storage.remove_session()
    storage.engine.dispose()
    return home


@pytest.fixture
def read_only(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be written, as far as programs ask: root may write in spite of a file's mode."""
    assert home.database.exists()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and access(path, mode))


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize(
    "command",
    [
        ("status", "--json"),
        ("studies", "--json"),
        ("export", "--out", "../out"),
        ("copy", "--to-home", "../copy"),
        ("stop",),
    ],
    ids=lambda command: command[0],
)
def test_what_only_reads_changes_nothing_in_the_home(
    home: Home, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_in(home.root)
    monkeypatch.chdir(home.root)
    if command[0] == "copy":  # its own home is written to
        monkeypatch.setattr(Home, "create", lambda self: self.root.mkdir(parents=True))
    assert run([*command, "--home", str(home.root)]) == 0
    assert files_in(home.root) == before


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - the address under test
def test_the_dashboard_shows_the_study_and_changes_nothing(
    home: Home, host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serving(
        storage: RetryingStorage, _place: object, home: Home, access: Access
    ) -> AbstractContextManager[str]:
        handle = dashboard_of(storage, home, access)
        word = base64.b64encode(f"me:{access.password}".encode()).decode()
        login = {"HTTP_AUTHORIZATION": f"Basic {word}"}
        seen.append(handle(asked("/api/studies/1", **login)).code)
        note = handle(asked("/api/studies/1/note", "PUT", b'{"body": "", "version": 1}', **login))
        seen.append(note.code)
        assert (access.password is None) is (host == "127.0.0.1"), "still asked for"
        raise KeyboardInterrupt

    seen, before = list[int](), files_in(home.root)
    monkeypatch.setattr(app, "serving", serving)
    assert run(["dashboard", "--home", str(home.root), "--host", host]) == 130
    assert (seen, files_in(home.root)) == ([200, 403], before)


@pytest.mark.usefixtures("read_only")
def test_a_search_is_refused_there_with_the_cause(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["resume", "--home", str(home.root), "--data", "synthetic"]) == 1
    assert f"The home {home.root} cannot be written to" in capsys.readouterr().err


def test_a_study_that_another_user_runs_is_read_with_its_last_trials(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(home.storage_url())
    with StudyLock(home, storage, NAME):
        new_study(storage, name="newest")  # in the log, which is not merged while it is open
        with monkeypatch.context() as patch:
            access = os.access
            patch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
            reader = existing_storage(home, None)
        assert reader.read_only
        assert {one.study_name for one in reader.get_all_studies()} == {NAME, "newest"}
        assert StudyLock(home, reader, NAME).owner() is not None
        reader.engine.dispose()
    storage.engine.dispose()


def test_a_log_that_cannot_be_merged_is_named(home: Home, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(home.database, copy)
    copy.with_name("copy.db-wal").write_bytes(b"changes")
    with pytest.raises(ServiceError, match=r"last changes are in copy\.db-wal.*Copy both files"):
        read_only_url(copy)


@pytest.mark.slow
def test_a_read_only_mount_is_read(home: Home) -> None:
    """In a name space of its own, where that is possible."""
    script = (
        f"mount --bind {home.root} {home.root} && mount -o remount,ro,bind {home.root} "
        f"&& {Path(sys.executable).with_name('cifar-search')} status --json --home {home.root}"
    )
    ended = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, check=False)  # noqa: S607
    if b"unshare" in ended.stderr or b"mount" in ended.stderr:
        pytest.skip(f"no file system can be mounted here: {ended.stderr.decode().strip()}")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["study"] == NAME


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE trials RENAME COLUMN number TO no",
        "UPDATE alembic_version SET version_num = 'v0.9.0.a'; DROP TABLE studies",
    ],
)
def test_a_database_of_another_optuna_fails_for_the_doctor_and_for_a_search(
    home: Home, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(home.database)) as connection:
        connection.executescript(statement)
    check = storage_check(home.storage_url())
    assert check.verdict == "failed"
    assert "Optuna" in check.found or "no longer compatible" in check.found
    with pytest.raises(ServiceError, match=r"cannot be opened: "):
        open_storage(home.storage_url())
