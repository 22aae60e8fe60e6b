"""Where Optuna keeps the studies."""

import sqlite3
from pathlib import Path
from urllib.parse import quote, quote_plus

import optuna
from filelock import FileLock
from optuna.storages import RDBStorage
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from search.errors import ServiceError, UsageError

__all__ = ["check_storage", "hide_secrets", "open_storage", "shown_url", "sqlite_file"]

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
    check_storage(url)
    path = sqlite_file(url)
    try:
        if path is None:
            return RDBStorage(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two searches that start at once must not both make the tables.
        with FileLock(path.with_name(f"{path.name}.lock")):
            _use_write_ahead_log(path)
            options = {"connect_args": {"timeout": PATIENCE_SECONDS}}
            storage = RDBStorage(url, engine_kwargs=options)
    except (SQLAlchemyError, sqlite3.Error, OSError, RuntimeError) as error:
        cause = str(error).strip().splitlines() or [type(error).__name__]
        raise ServiceError(f"The storage {shown_url(url)} cannot be opened: {cause[0]}") from error
    event.listen(storage.engine, "connect", _relax_synchronisation)
    storage.engine.dispose()  # connections made before the listener don't have the setting
    return storage


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for other databases.

    Raises:
        UsageError: `url` is no database's.
    """
    parsed = _parsed(url)
    if parsed is None or "\0" in url:
        # What has an @ may hold a password that cannot be told from the rest: it is not repeated.
        found = "something else" if "@" in url else repr(url)
        raise UsageError(
            f"--storage must be a database URL such as sqlite:///runs/studies.db, but got {found}."
        )
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise UsageError(
            "--storage must name a file: a study in memory is lost when the search ends."
        )
    return Path(parsed.database)


def check_storage(url: str) -> None:
    """Refuse what can be known to be wrong with a storage without touching it.

    Raises:
        UsageError: `url` is no database's, or its driver is not installed.
    """
    if sqlite_file(url) is None:
        try:
            make_url(url).get_dialect().import_dbapi()
        except (ImportError, NoSuchModuleError) as error:
            raise UsageError(
                f"The storage {shown_url(url)} needs a database driver that is not installed "
                f"({error}). For PostgreSQL: pip install 'cifar-search[postgres]'"
            ) from error


def shown_url(url: str) -> str:
    """The URL without its passwords, wherever they stand."""
    parsed = _parsed(url)
    if parsed is None:
        return "(not a database URL)"
    shown = parsed.set(
        query={key: parsed.query[key] for key in parsed.query if not _is_secret(key)}
    )
    secret = "&".join(f"{key}=***" for key in parsed.query if _is_secret(key))
    text = shown.render_as_string(hide_password=True)
    return text if not secret else f"{text}{'&' if shown.query else '?'}{secret}"


def hide_secrets(text: str, url: str) -> str:
    """`text`, such as a driver's error, without the passwords of `url`."""
    parsed = _parsed(url)
    if parsed is None:
        return text
    inside = [value for key, value in parsed.query.items() if _is_secret(key)]
    values = [one for value in inside for one in ([value] if isinstance(value, str) else value)]
    for value in sorted({str(parsed.password or ""), *values} - {""}, key=len, reverse=True):
        for written in (value, quote(value, safe=""), quote_plus(value)):
            text = text.replace(written, "***")
    return text


def _is_secret(key: str) -> bool:
    """It names a password in a URL's query: libpq has password and sslpassword, MySQL passwd."""
    return any(word in key.lower() for word in ("pass", "pwd", "secret", "token"))


def _parsed(url: str) -> URL | None:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return None


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
