"""Opening a study's storage."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from filelock import FileLock
from sqlalchemy import create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from search.errors import ServiceError, UsageError
from search.home import Home
from search.storage.locks import LOCKING, locked, server_options
from search.storage.retrying import RetryingStorage
from search.storage.urls import hide_secrets, shown_url, sqlite_file

__all__ = ["check_storage", "existing_storage", "has_tables", "open_storage", "saying_why"]

PATIENCE_SECONDS = 5
"""How long SQLite itself waits for another process that holds its lock. Meanwhile a Ctrl-C is not heard,
so it is short: `RetryingStorage` tries again."""


def open_storage(url: str) -> RetryingStorage:
    """Open, or create, the database that `url` names.

    SQLite is put into write-ahead mode, in which readers (a dashboard, a status) and the writer don't
    lock each other out.

    Raises:
        UsageError: `url` is no database's.
        ServiceError: The database cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # the service says itself what happens
    check_storage(url)
    path = sqlite_file(url)
    template = url.replace("{", "{{").replace("}", "}}")  # Optuna fills in what stands in braces
    with saying_why(url):
        # Two searches that start at once must not both make the tables.
        if path is None:
            with locked(make_url(url), "the tables"):
                return RetryingStorage(template, None, server_options(make_url(url)))
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock")):
            _use_write_ahead_log(path)
            options = {"connect_args": {"timeout": PATIENCE_SECONDS}}
            storage = RetryingStorage(template, path, options)
    event.listen(storage.engine, "connect", _relax_synchronisation)
    storage.engine.dispose()  # connections made before the listener don't have the setting
    return storage


def has_tables(url: str) -> bool:
    """Whether studies have ever been kept in a database that is there. Nothing is changed there.

    Raises:
        UsageError: `url` is no database's.
        ServiceError: The database cannot be opened.
    """
    check_storage(url)
    with saying_why(url):
        engine = create_engine(url, **server_options(make_url(url)))
        try:
            return inspect(engine).has_table("studies")
        finally:
            engine.dispose()


@contextmanager
def saying_why(url: str) -> Iterator[None]:
    """Whatever a database or its file answers within this context when it is opened, in a sentence.

    Raises:
        ServiceError: It cannot be opened.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, RuntimeError) as error:
        cause = str(error).strip().splitlines() or [type(error).__name__]
        reason = hide_secrets(cause[0], url)
        raise ServiceError(f"The storage {shown_url(url)} cannot be opened: {reason}") from error


def check_storage(url: str) -> None:
    """Refuse what can be known to be wrong with a storage without touching it.

    Raises:
        UsageError: `url` is no database's, its driver is not installed, or studies cannot be held in it.
    """
    if sqlite_file(url) is None:
        try:
            make_url(url).get_dialect().import_dbapi()
        except (ImportError, NoSuchModuleError) as error:
            raise UsageError(
                f"The storage {shown_url(url)} needs a database driver that is not installed "
                f"({error}). For PostgreSQL: pip install 'cifar-search[postgres]'"
            ) from error
        if make_url(url).get_backend_name() not in LOCKING:
            raise UsageError(
                f"The storage {shown_url(url)} is of a kind in which two searches cannot be kept apart. "
                "Studies can be in SQLite, PostgreSQL and MySQL."
            )


def _use_write_ahead_log(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=PATIENCE_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _relax_synchronisation(connection: sqlite3.Connection, _record: object) -> None:
    # In write-ahead mode this loses nothing when a process is killed, and never corrupts; it saves a
    # disk synchronisation per write (https://www.sqlite.org/pragma.html#pragma_synchronous).
    connection.execute("PRAGMA synchronous=NORMAL")


def existing_storage(home: Home, url: str | None) -> RetryingStorage:
    """The storage of the studies, which must be there.

    Raises:
        UsageError: There is no database yet.
    """
    url = url or home.storage_url()
    path = sqlite_file(url)
    if path is not None and not path.is_file():
        raise UsageError(
            f"There are no studies yet: {path} does not exist. Start one with "
            "cifar-search start --space baseline_constrained, or name another --home."
        )
    if not has_tables(url):  # somebody else's database is left as it is
        raise UsageError(
            f"There are no studies yet in {shown_url(url)}. Start one with "
            "cifar-search start --space baseline_constrained."
        )
    return open_storage(url)
