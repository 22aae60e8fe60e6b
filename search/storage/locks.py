"""Named locks that end with the process that holds them.

Those of an SQLite database are files beside it; those of a PostgreSQL server are its advisory locks, which
belong to a connection.
"""

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, Select, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from search.storage.drivers import KEEPALIVES, engine_options
from search.storage.urls import sqlite_file

__all__ = ["SECONDS_TO_TAKE", "StorageLock", "is_locked", "lock_in", "locked"]

SECONDS_TO_TAKE, SECONDS_TO_LOOK = 1.0, 0.1
"""How long taking a file's lock, and looking at one, is tried: a look holds the lock for a moment."""
WATCH_CONNECTION = tuple(f"SET tcp_{name} = {value}" for name, value in KEEPALIVES.items())
"""Set first, so that the server soon sees when this machine is gone."""
PLACE = "SELECT current_schema()"
TAKE = "SELECT pg_try_advisory_lock(:key)"
# A bigint's two halves stand in two columns (https://www.postgresql.org/docs/current/view-pg-locks.html).
TAKEN = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
    "AND (classid::bigint << 32) | objid::bigint = :key "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class StorageLock(ABC):
    """A named lock in a storage.

    A database's errors are raised as SQLAlchemy's, a file's as `OSError`.
    """

    @abstractmethod
    def acquire(self) -> bool:
        """Take the lock; return False if another process has it."""

    @abstractmethod
    def is_held(self) -> bool:
        """Return whether this process, having taken the lock, still has it."""

    @abstractmethod
    def is_taken(self) -> bool:
        """Return whether another process has the lock."""

    @abstractmethod
    def read(self, question: Select[Any]) -> str | None:
        """Return the answer to a query; a server gets it through the lock's own connection."""

    @abstractmethod
    def release(self) -> None:
        """Release the lock."""


def lock_in(engine: Engine, name: str) -> StorageLock:
    """Return the lock of this name in an engine's database, SQLite or PostgreSQL."""
    if engine.url.get_backend_name() == "sqlite":
        return _FileLock(engine, name)
    return _ServerLock(engine, name)


@contextmanager
def locked(url: URL, name: str) -> Iterator[None]:
    """Wait for a server's lock, and hold it within the context."""
    lock = lock_in(create_engine(url), name)
    while not lock.acquire():
        time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Return whether a process holds this lock file; nothing is created or changed."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=SECONDS_TO_LOOK)
    except Timeout:
        return True
    except OSError:
        return _is_locked_read_only(path)
    lock.release()
    return False


def _is_locked_read_only(path: Path) -> bool:
    """Return whether a lock file that cannot be opened for writing is locked."""
    import fcntl  # which Windows does not have

    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks
    finally:
        os.close(handle)
    return False


class _FileLock(StorageLock):
    def __init__(self, engine: Engine, name: str) -> None:
        # A link names the same database.
        database = (sqlite_file(str(engine.url)) or Path()).resolve()
        self._engine = engine
        self._path = database.with_name(f"{database.name}.{name}.hold")
        self._lock = FileLock(self._path)

    def acquire(self) -> bool:
        try:
            self._lock.acquire(timeout=SECONDS_TO_TAKE)
        except Timeout:
            return False
        return True

    def is_held(self) -> bool:
        return self._lock.is_locked  # the system takes it from nobody

    def is_taken(self) -> bool:
        return is_locked(self._path)

    def read(self, question: Select[Any]) -> str | None:
        with self._engine.connect() as connection:
            return connection.execute(question).scalar()

    def release(self) -> None:
        self._lock.release()


class _ServerLock(StorageLock):
    """Lasts as long as a connection of its own."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._name = name
        self._engine = engine
        options = engine_options(engine.url)
        self._own = create_engine(
            engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", **options
        )
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        self.release()
        connection = self._own.connect()
        try:
            for setting in WATCH_CONNECTION:
                connection.execute(text(setting))
            taken = self._ask(connection, TAKE)
        except BaseException:
            connection.close()
            raise
        if not taken:
            connection.close()
            return False
        self._connection = connection
        return True

    def is_held(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def is_taken(self) -> bool:
        with self._engine.connect() as connection:
            return self._ask(connection, TAKEN)

    def read(self, question: Select[Any]) -> str | None:
        if self._connection is not None:
            return self._connection.execute(question).scalar()
        with self._own.connect() as connection:
            return connection.execute(question).scalar()

    def release(self) -> None:
        if self._connection is not None:
            with suppress(SQLAlchemyError):  # where it is broken, the lock is gone already
                self._connection.close()
            self._connection = None

    def _ask(self, connection: Connection, question: str) -> bool:
        place = connection.execute(text(PLACE)).scalar()
        digest = hashlib.sha256(f"cifar-search\n{place}\n{self._name}".encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        return bool(connection.execute(text(question), {"key": key}).scalar())
