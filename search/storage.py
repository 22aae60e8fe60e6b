"""Where Optuna keeps the studies."""

import sqlite3
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from search.errors import ServiceError, UsageError

__all__ = ["open_storage", "shown_url", "sqlite_file"]

PATIENCE_SECONDS = 60
"""How long a write waits for another process that holds SQLite's lock (Optuna's default is 5)."""


def open_storage(url: str) -> RDBStorage:
    """Open, or create, the database that `url` names.

    SQLite is put into write-ahead mode, in which readers (a dashboard, a status) and the writer don't
    lock each other out.

    Raises:
        UsageError: `url` is no database's.
        ServiceError: The database cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # the service says itself what happens
    path = sqlite_file(url)
    shown = shown_url(url)
    options = {"connect_args": {"timeout": PATIENCE_SECONDS}} if path else {}
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _use_write_ahead_log(path)
        storage = RDBStorage(url, engine_kwargs=options)
    except ImportError as error:
        raise UsageError(
            f"The storage {shown} needs a database driver that is not installed ({error}). "
            "For PostgreSQL: pip install 'cifar-search[postgres]'"
        ) from error
    except (
        SQLAlchemyError,
        sqlite3.Error,
        OSError,
        RuntimeError,
        optuna.exceptions.OptunaError,
    ) as error:
        cause = str(error).strip().splitlines() or [type(error).__name__]
        raise ServiceError(f"The storage {shown} cannot be opened: {cause[0]}") from error
    if path is not None:
        event.listen(storage.engine, "connect", _relax_synchronisation)
        storage.engine.dispose()  # connections made before the listener don't have the setting
    return storage


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for other databases.

    Raises:
        UsageError: `url` is no database's.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UsageError(
            f"--storage must be a database URL such as sqlite:///runs/studies.db, but got {url!r}."
        ) from error
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise UsageError(
            "--storage must name a file: a study in memory is lost when the search ends."
        )
    return Path(parsed.database)


def shown_url(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not a database URL)"


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
