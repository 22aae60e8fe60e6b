"""SQLite databases on a read-only file system, or in a folder that this user cannot write to."""

import os
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL

from search.errors import ServiceError

__all__ = ["is_read_only", "read_only_url"]


def is_read_only(path: Path) -> bool:
    """Return whether a database cannot be written to; SQLite needs its folder, too."""
    return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def read_only_url(path: Path) -> URL:
    """Return a URL with which an SQLite file is read and nothing is written beside it.

    In write-ahead mode even a reader creates files beside the database, unless it is told that nobody
    writes; while somebody does, they exist already (https://www.sqlite.org/wal.html#read_only_databases).

    Raises:
        ServiceError: The last changes are still in the log of a process that was killed.
    """
    query = {"mode": "ro", "uri": "true"}
    log, index = (path.with_name(f"{path.name}-{part}") for part in ("wal", "shm"))
    try:
        logged = log.stat().st_size
    except OSError:
        logged = 0
    if not index.exists() and logged:
        raise ServiceError(
            f"The database {path} cannot be read where it is: its last changes are in {log.name}, and "
            "SQLite can only merge them in a folder that can be written to. Copy both files to one."
        )
    if not (index.exists() and log.exists()):
        query["immutable"] = "1"
    return URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query=query)
