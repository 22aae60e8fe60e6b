"""Open the storage of the studies, and report why it cannot be opened."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from sqlalchemy import create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from cifar_core.text_files import first_line
from search.errors import ServiceError, UsageError
from search.home import Home
from search.storage.drivers import SQLITE, engine_options
from search.storage.fast_rdb import FastRDBStorage
from search.storage.gathering import GatheringStorage
from search.storage.locks import locked
from search.storage.read_only import is_read_only, read_only_url
from search.storage.schema import schema_problem
from search.storage.urls import hide_secrets, shown_url, sqlite_file

__all__ = ["check_storage", "existing_storage", "has_tables", "open_storage", "saying_why"]

ATTEMPTS, SECONDS_BETWEEN_ATTEMPTS = 5, 0.5


def open_storage(url: str) -> GatheringStorage:
    """Open, or create, the database that `url` names.

    SQLite is put into write-ahead mode, in which readers (a dashboard, a status) and the writer do not lock
    each other out.

    Raises:
        UsageError: `url` does not name a database that can be used.
        ServiceError: The database cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # the service reports what happens itself
    check_storage(url)
    path = sqlite_file(url)
    template = url.replace("{", "{{").replace("}", "}}")  # Optuna substitutes what stands in braces
    options = engine_options(make_url(url))
    with saying_why(url):
        # Two searches that start at once must not both create the tables.
        if path is None:
            with locked(make_url(url), "the tables"):
                return _checked(GatheringStorage(_with_tables(template, options)))
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock")):
            _use_write_ahead_log(path)
            storage = _checked(GatheringStorage(_with_tables(template, options), path))
    event.listen(storage.engine, "connect", _relax_synchronisation)
    storage.engine.dispose()  # connections made before the listener lack the setting
    return storage


def _with_tables(template: str, options: dict[str, Any]) -> FastRDBStorage:
    """Open a database, and create its tables unless another program, which knows no lock, just does it."""
    for _ in range(ATTEMPTS - 1):
        try:
            return FastRDBStorage(template, options)
        except SQLAlchemyError as error:
            if "already exists" not in str(error):
                raise
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
    return FastRDBStorage(template, options)


def has_tables(url: str) -> bool:
    """Return whether a database holds Optuna's tables. Nothing is changed.

    Raises:
        UsageError: `url` does not name a database that can be used.
        ServiceError: The database cannot be opened.
    """
    check_storage(url)
    with saying_why(url):
        engine = create_engine(url, **engine_options(make_url(url)))
        try:
            return inspect(engine).has_table("studies")
        finally:
            engine.dispose()


@contextmanager
def saying_why(url: str) -> Iterator[None]:
    """Report an error of a database or its file within this context as one sentence.

    Raises:
        ServiceError: It cannot be opened.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, RuntimeError) as error:
        reason = hide_secrets(first_line(error), url)
        raise ServiceError(f"The storage {shown_url(url)} cannot be opened: {reason}") from error


def check_storage(url: str) -> None:
    """Refuse a storage that cannot be used, as far as that can be known without touching it.

    Raises:
        UsageError: `url` does not name a database, its driver is not installed, or it is of another kind
            than SQLite and PostgreSQL.
    """
    if sqlite_file(url) is not None:
        return
    if (kind := make_url(url).get_backend_name()) != "postgresql":
        raise UsageError(
            f"Studies are kept in SQLite or PostgreSQL, but the storage {shown_url(url)} is {kind}. "
            "Give --storage another URL, or leave it out for a database in the home."
        )
    try:
        make_url(url).get_dialect().import_dbapi()
    except (ImportError, NoSuchModuleError) as error:
        raise UsageError(
            f"The storage {shown_url(url)} needs a database driver that is not installed ({error}). "
            "Install it with: pip install 'cifar-search[postgres]'"
        ) from error


def _use_write_ahead_log(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=SQLITE["timeout"])
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _relax_synchronisation(connection: sqlite3.Connection, _record: object) -> None:
    # In write-ahead mode this never corrupts and loses nothing when a process is killed; it saves a disk
    # synchronisation per write (https://www.sqlite.org/pragma.html#pragma_synchronous).
    connection.execute("PRAGMA synchronous=NORMAL")


def existing_storage(home: Home, url: str | None) -> GatheringStorage:
    """Open the storage of the studies, which must exist; if it cannot be written to, open it to be read.

    Raises:
        UsageError: There is no database yet.
    """
    url = url or home.storage_url()
    path = sqlite_file(url)
    if path is not None and not path.is_file():
        problem = "is not a file" if path.exists() else "does not exist"
        raise UsageError(
            f"There are no studies yet: {path} {problem}. Start one with "
            "cifar-search start --space baseline_constrained, or name another --home."
        )
    read_from = str(read_only_url(path)) if path is not None and is_read_only(path) else None
    if not has_tables(read_from or url):  # a database of something else is left as it is
        raise UsageError(
            f"There are no studies yet in {shown_url(url)}. Start one with "
            "cifar-search start --space baseline_constrained."
        )
    return open_storage(url) if read_from is None else _open_to_read(url, read_from)


def _open_to_read(url: str, read_from: str) -> GatheringStorage:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    options = engine_options(make_url(read_from))
    template = read_from.replace("{", "{{").replace("}", "}}")
    with saying_why(url):
        database = FastRDBStorage(template, options, read_only=True)
        return _checked(GatheringStorage(database, read_from=url))


def _checked(storage: GatheringStorage) -> GatheringStorage:
    """Return a storage whose tables are those of the installed Optuna.

    Raises:
        RuntimeError: They are not.
    """
    if (problem := schema_problem(storage.engine)) is not None:
        raise RuntimeError(problem)
    return storage
