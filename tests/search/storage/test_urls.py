"""The storage as it is opened, and its URL as it is shown."""

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from search.errors import ServiceError, UsageError
from search.home import Home
from search.storage.drivers import SQLITE, engine_options
from search.storage.fast_rdb import FastRDBStorage
from search.storage.opening import open_storage
from search.storage.urls import hide_secrets, place_of, shown_url, sqlite_file, where_flags


def test_readers_and_writer_do_not_lock_each_other_out(tmp_path: Path) -> None:
    open_storage(f"sqlite:///{tmp_path}/studies.db")
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_tables_that_another_program_creates_at_the_same_time_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, made = f"sqlite:///{tmp_path}/studies.db", []

    def between(*arguments: Any) -> FastRDBStorage:
        if not made:
            made.append(
                optuna.storages.RDBStorage(url)
            )  # a script of the user's, which knows no lock
            raise OperationalError(
                "CREATE TABLE studies", None, Exception("table studies already exists")
            )
        return FastRDBStorage(*arguments)

    monkeypatch.setattr("search.storage.opening.FastRDBStorage", between)
    monkeypatch.setattr("search.storage.opening.SECONDS_BETWEEN_ATTEMPTS", 0.0)
    assert open_storage(url).get_all_studies() == []
    made[0].engine.dispose()


def test_every_connection_synchronises_at_checkpoints_only(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/studies.db")
    storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE])
    found = []

    def look() -> None:
        with storage.engine.connect() as connection:
            found.append(connection.execute(text("PRAGMA synchronous")).scalar())

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    look()
    assert found == [1] * 5


def test_folders_above_the_database_are_made(tmp_path: Path) -> None:
    open_storage(f"sqlite:///{tmp_path}/a/b/studies.db")
    assert (tmp_path / "a" / "b" / "studies.db").is_file()


def test_a_database_that_another_writer_has_locked_is_waited_for_longer_than_sqlite_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SQLITE, "timeout", 0.1)
    storage = open_storage(f"sqlite:///{tmp_path}/studies.db")
    study = optuna.create_study(storage=storage)
    writer = sqlite3.connect(tmp_path / "studies.db", check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    release = threading.Timer(1.0, writer.commit)
    release.start()
    began = time.monotonic()
    try:
        study.set_user_attr("key", "value")
    finally:
        release.join()
        writer.close()
    assert time.monotonic() - began > 0.9
    assert study.user_attrs == {"key": "value"}


@pytest.mark.parametrize("url", ["", "x", "runs/studies.db", "sqlite:/x", "://:"])
def test_what_is_no_url_is_refused_with_an_example(url: str) -> None:
    for look in (sqlite_file, open_storage):
        with pytest.raises(UsageError) as caught:
            look(url)
        assert "sqlite:///runs/studies.db" in str(caught.value)
        assert repr(url) in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_study_in_memory_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="lost when the search ends"):
        open_storage(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5/db", "postgresql://me:***@host:5/db"),
        ("sqlite:///runs/studies.db", "sqlite:///runs/studies.db"),
        ("postgresql://me@host/db?password=secret", "postgresql://me@host/db?password=***"),
        (
            "postgresql://me:secret@host/db?sslpassword=secret&sslmode=require",
            "postgresql://me:***@host/db?sslmode=require&sslpassword=***",
        ),
        (
            "other://host/db?passwd=secret&passwd=secret",
            "other://host/db?passwd=***",
        ),
        ("secret", "(not a database URL)"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize("kind", ["mysql+pymysql", "oracle", "mariadb", "nonsense"])
def test_another_kind_of_database_is_refused_without_the_password(kind: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_storage(f"{kind}://me:secret@host/db")
    assert "Studies are kept in SQLite or PostgreSQL" in str(caught.value)
    assert f"{kind}://me:***@host/db is {kind.partition('+')[0]}." in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://me:secret@host/db", "no entry for me:secret"),
        ("postgresql://me@host/db?password=secret", "password=secret is wrong"),
        ("postgresql://me@host/db?passwd=secret&passwd=2nd", "secret or 2nd"),
        ("postgresql://me:s%40cret%2F%20x@host/db", "s@cret/ x, s%40cret%2F%20x, s%40cret%2F+x"),
        ("postgresql://me:s%40cret%2F%20x@host/db", "s%40cret/%20x"),
        ("postgresql://me:se%5C%27cret@host/db", repr("at se\\'cret's door")),
        ("postgresql://me:se@cret@host/db", "no study named 'postgresql://me:se@cret@host/db'"),
    ],
)
def test_a_drivers_error_is_repeated_without_the_passwords(url: str, text: str) -> None:
    hidden = hide_secrets(text, url)
    assert "***" in hidden
    assert not any(part in hidden for part in ("secret", "2nd", "cret", "%40"))


def test_what_holds_no_password_is_repeated_as_it_is() -> None:
    for url in ("postgresql://me@host/db", "postgresql://me:@host/db", "nonsense"):
        assert hide_secrets("connection refused", url) == "connection refused"


def test_a_missing_postgres_driver_is_answered_with_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(UsageError) as caught:
        open_storage("postgresql+psycopg://me:secret@host/db")
    assert "pip install 'cifar-search[postgres]'" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql//me:secret@host/db", "me:secret@host", "postgresql:/me:secret@host/db"),
        *("postgresql://me:12@secret@host/db", "postgresql+psycopg://me:@secret@host"),
    ],
)
def test_a_password_in_what_is_no_url_is_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)
    assert "In a password, write @ as %40" in str(caught.value)
    assert "secret" not in shown_url(url)


def test_a_port_that_is_no_number_is_refused_without_the_password() -> None:
    url = "postgresql://me:secret@host:port/db"
    assert "secret" not in shown_url(url)
    with pytest.raises(UsageError) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot be opened: unable to open database file"):
        open_storage(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but a text of some length" * 50)
    before = file.read_bytes()
    with pytest.raises(ServiceError, match="file is not a database"):
        open_storage(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_a_database_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match="cannot be opened"):
        open_storage(f"sqlite:///{tmp_path}/file/studies.db")


def test_the_file_of_a_url_is_known_before_it_is_there(tmp_path: Path) -> None:
    assert sqlite_file(f"sqlite:///{tmp_path}/x.db") == tmp_path / "x.db"
    assert sqlite_file("sqlite:///runs/x.db") == Path("runs/x.db")
    assert sqlite_file("postgresql://host/db") is None
    assert not (tmp_path / "x.db").exists()


@pytest.mark.parametrize(
    ("url", "variable", "flags"),
    [
        ("sqlite:///h/studies.db", None, " --home h"),
        ("sqlite:///h/studies.db", "sqlite:///x.db", " --home h --storage sqlite:///h/studies.db"),
        ("sqlite:///a b.db", None, " --home h --storage 'sqlite:///a b.db'"),
        ("postgresql://me@host/db", None, " --home h --storage postgresql://me@host/db"),
        ("postgresql://me:secret@host/db", None, ' --home h --storage "$CIFAR_SEARCH_STORAGE"'),
        ("postgresql://host/db?password=x", None, ' --home h --storage "$CIFAR_SEARCH_STORAGE"'),
        ("postgresql://me:secret@host/db", "postgresql://me:secret@host/db", " --home h"),
    ],
)
def test_further_commands_name_a_storage_where_they_would_not_find_it(
    monkeypatch: pytest.MonkeyPatch, url: str, variable: str | None, flags: str
) -> None:
    monkeypatch.delenv("CIFAR_SEARCH_STORAGE", raising=False)
    if variable is not None:
        monkeypatch.setenv("CIFAR_SEARCH_STORAGE", variable)
    assert where_flags(Home(Path("h")), url) == flags


def test_braces_in_a_url_are_braces(tmp_path: Path) -> None:
    open_storage(f"sqlite:///{tmp_path}/{{SCHEMA_VERSION}} {{x}}.db")
    assert (tmp_path / "{SCHEMA_VERSION} {x}.db").is_file()


def test_what_a_url_says_of_its_connection_is_not_overruled() -> None:
    options = engine_options(make_url("postgresql+psycopg://host/db?connect_timeout=3"))
    assert "connect_timeout" not in options["connect_args"]
    assert options["connect_args"]["keepalives_idle"] > 0
    assert engine_options(make_url("postgresql+pg8000://host/db"))["connect_args"] == {}


def test_a_home_knows_its_storage_when_it_is_moved_or_the_password_changed(tmp_path: Path) -> None:
    for root in (tmp_path / "a", tmp_path / "b"):
        home = Home(root)
        assert place_of(home, home.storage_url()) == "studies.db"
    home = Home(tmp_path / "a")
    assert place_of(home, Home(tmp_path / "b").storage_url()) == str(tmp_path / "b" / "studies.db")
    old = place_of(home, "postgresql+psycopg://me:secret@host:5/db?sslpassword=secret")
    assert old == place_of(home, "postgresql+psycopg://you:new@host:5/db")
    assert "secret" not in old
    assert old != place_of(home, "postgresql+psycopg://me:secret@host:5/other")
