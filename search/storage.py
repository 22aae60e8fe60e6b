"""Where Optuna keeps the studies."""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import optuna
from filelock import FileLock
from sqlalchemy import create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from search.errors import ServiceError, UsageError
from search.home import STORAGE_VARIABLE, Home
from search.locks import LOCKING, locked, server_options
from search.patience import PatientStorage

__all__ = [
    "check_storage",
    "has_tables",
    "hide_secrets",
    "open_storage",
    "place_of",
    "saying_why",
    "shown_url",
    "sqlite_file",
    "where_flags",
]

PATIENCE_SECONDS = 5
"""How long SQLite itself waits for another process that holds its lock. Meanwhile a Ctrl-C is not heard,
so it is short: `PatientStorage` tries again."""


def open_storage(url: str) -> PatientStorage:
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
                return PatientStorage(template, None, server_options(make_url(url)))
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock")):
            _use_write_ahead_log(path)
            options = {"connect_args": {"timeout": PATIENCE_SECONDS}}
            storage = PatientStorage(template, path, options)
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


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for other databases.

    Raises:
        UsageError: `url` is no database's.
    """
    parsed = _parsed(url)
    if parsed is None or "\0" in url:
        # What has an @ may hold a password that cannot be told from the rest: it is not repeated.
        found = repr(url)
        if "@" in url:
            found = "something else. In a password, write @ as %40, / as %2F and : as %3A"
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
    """`text`, such as a driver's error, without the passwords of `url`.

    Where it cannot be told what the password is, all that may hold it goes.
    """
    if _parsed(url) is None and "@" in url:
        return text.replace(url.rpartition("@")[0].rpartition("//")[2], "***")
    for value in sorted(_secrets(url), key=len, reverse=True):
        # Percent-encoded in one way or another, and as Python repeats a text.
        encoded = (quote(value, safe=""), quote(value), quote_plus(value))
        for written in (value, *encoded, repr(value)[1:-1]):
            text = text.replace(written, "***")
    return text


def where_flags(home: Home, url: str) -> str:
    """What further commands must name to find a study: nothing where they look there by themselves."""
    if url == (os.environ.get(STORAGE_VARIABLE) or home.storage_url()):
        return home.flag
    # A command without the password could not be copied, and with it would show it.
    named = f'"${STORAGE_VARIABLE}"' if _secrets(url) else shlex.quote(shown_url(url))
    return f"{home.flag} --storage {named}"


def place_of(home: Home, url: str) -> str:
    """A storage as a home knows it: the same still when the home is moved, or the password changed."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        kind, host, port = parsed.drivername, parsed.host, parsed.port
        return URL.create(kind, host=host, port=port, database=parsed.database).render_as_string()
    database, root = Path(str(parsed.database)).resolve(), home.root.resolve()
    inside = database.is_relative_to(root)
    return str(database.relative_to(root)) if inside else str(database)


def _secrets(url: str) -> set[str]:
    parsed = _parsed(url)
    if parsed is None:
        return set()
    inside = [value for key, value in parsed.query.items() if _is_secret(key)]
    values = [one for value in inside for one in ([value] if isinstance(value, str) else value)]
    return {str(parsed.password or ""), *values} - {""}


def _is_secret(key: str) -> bool:
    """It names a password in a URL's query: libpq has password and sslpassword, MySQL passwd."""
    return any(word in key.lower() for word in ("pass", "pwd", "secret", "token"))


def _parsed(url: str) -> URL | None:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    # A host has no @: it was in a password.
    return None if "@" in (parsed.host or "") else parsed


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
