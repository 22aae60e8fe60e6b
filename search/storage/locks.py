"""Named locks that a storage's own system keeps, and lets go of when the holder's process dies.

SQLite's are files beside the database. A server's belong to a connection: PostgreSQL's advisory locks and
MySQL's named ones.
"""

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, Select, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

__all__ = ["LOCKING", "StorageLock", "lock_in", "locked", "server_options"]

SECONDS_OF_A_LOOK, SECONDS_OF_ANOTHER_LOOK = 1.0, 0.1
"""How long who takes a file's lock, and who only looks, tries: a look takes the lock for a moment."""
SECONDS_TO_CONNECT = 10
UNANSWERED = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
"""After how many seconds without a word the other machine is asked for a sign of life, how often, and how
many times, until it counts as gone."""
CONNECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "psycopg": {"connect_timeout": SECONDS_TO_CONNECT, "tcp_user_timeout": 30_000, **UNANSWERED},
    "pymysql": {"connect_timeout": SECONDS_TO_CONNECT},
}
CONNECT_ARGUMENTS |= {
    "psycopg2": CONNECT_ARGUMENTS["psycopg"],
    "mysqldb": CONNECT_ARGUMENTS["pymysql"],
}


@dataclass(frozen=True)
class _Server:
    """How a kind of server locks.

    Attributes:
        place: Asks for what studies of one name are kept apart by.
        take: Takes the lock `:key` if it is free.
        taken: Asks whether somebody has it.
        session: What is set first, so that the server soon sees when the other machine is gone.
    """

    place: str
    take: str
    taken: str
    session: tuple[str, ...] = ()

    def key(self, connection: Connection, name: str) -> int | str:
        """The lock's name: a number for PostgreSQL, a short text for MySQL."""
        place = connection.execute(text(self.place)).scalar()
        digest = hashlib.sha256(f"cifar-search\n{place}\n{name}".encode()).digest()
        if connection.dialect.name == "postgresql":
            return int.from_bytes(digest[:8], "big", signed=True)
        return f"cifar-search {digest.hex()[:32]}"


LOCKING = {
    "postgresql": _Server(
        "SELECT current_schema()",
        "SELECT pg_try_advisory_lock(:key)",
        # A bigint's two halves stand in two columns (https://www.postgresql.org/docs/current/view-pg-locks.html).
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
        "AND (classid::bigint << 32) | objid::bigint = :key "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        tuple(f"SET tcp_{name} = {value}" for name, value in UNANSWERED.items()),
    ),
    "mysql": _Server(
        "SELECT DATABASE()", "SELECT GET_LOCK(:key, 0)", "SELECT IS_USED_LOCK(:key) IS NOT NULL"
    ),
}
"""The kinds of servers that studies can be kept in."""


def server_options(url: URL) -> dict[str, Any]:
    """Engine options: a server that was restarted is reached again, one that is gone is noticed."""
    wanted = CONNECT_ARGUMENTS.get(url.get_driver_name(), {})
    # What the URL says itself stays.
    arguments = {key: value for key, value in wanted.items() if key not in url.query}
    return {"pool_pre_ping": True, "connect_args": arguments}


class StorageLock(ABC):
    """One named lock of a storage.

    Errors of a database come as SQLAlchemy has them, those of a file as `OSError`.
    """

    @abstractmethod
    def acquire(self) -> bool:
        """Take it; False if somebody has it."""

    @abstractmethod
    def is_held(self) -> bool:
        """Whether this process, having taken it, still has it."""

    @abstractmethod
    def is_taken(self) -> bool:
        """Whether anybody has it; asked by those who don't."""

    @abstractmethod
    def read(self, question: Select[Any]) -> str | None:
        """Ask the database; a server is asked beside the engine's own connections."""

    @abstractmethod
    def release(self) -> None:
        """Let go."""


def lock_in(engine: Engine, name: str) -> StorageLock:
    """The lock of this name in an engine's database: SQLite, or one of `LOCKING`."""
    if engine.url.get_backend_name() == "sqlite":
        return _FileLock(engine, name)
    return _ServerLock(engine, name)


@contextmanager
def locked(url: URL, name: str) -> Iterator[None]:
    """Wait for a server's lock, and have it for the context."""
    lock = lock_in(create_engine(url), name)
    while not lock.acquire():
        time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()


class _FileLock(StorageLock):
    def __init__(self, engine: Engine, name: str) -> None:
        # A link names the same database.
        database = Path(str(engine.url.database)).resolve()
        self._engine = engine
        self._path = database.with_name(f"{database.name}.{name}.hold")
        self._lock = FileLock(self._path)

    def acquire(self) -> bool:
        try:
            self._lock.acquire(timeout=SECONDS_OF_A_LOOK)
        except Timeout:
            return False
        return True

    def is_held(self) -> bool:
        return self._lock.is_locked  # the system takes it from nobody

    def is_taken(self) -> bool:
        if not self._path.exists():
            return False
        try:
            self._lock.acquire(timeout=SECONDS_OF_ANOTHER_LOOK)
        except Timeout:
            return True
        self._lock.release()
        return False

    def read(self, question: Select[Any]) -> str | None:
        with self._engine.connect() as connection:
            return connection.execute(question).scalar()

    def release(self) -> None:
        self._lock.release()


class _ServerLock(StorageLock):
    """Lives as long as a connection of its own."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._name = name
        self._engine = engine
        self._server = LOCKING[engine.url.get_backend_name()]
        options = server_options(engine.url)
        self._own = create_engine(
            engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", **options
        )
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        self.release()
        connection = self._own.connect()
        try:
            for setting in self._server.session:
                connection.execute(text(setting))
            taken = self._ask(connection, self._server.take)
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
            return self._ask(connection, self._server.taken)

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
        key = self._server.key(connection, self._name)
        return bool(connection.execute(text(question), {"key": key}).scalar())
