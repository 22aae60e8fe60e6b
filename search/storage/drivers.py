"""Database drivers: the connection options that each one takes, and how soon a dead server is noticed."""

from typing import Any

from sqlalchemy.engine import URL

__all__ = ["KEEPALIVES", "SQLITE", "engine_options"]

KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
"""Seconds of silence after which the other machine is probed, seconds between probes, and the number of
unanswered probes after which it counts as gone. The names are those of libpq's options."""
LIBPQ = {"connect_timeout": 10, "tcp_user_timeout": 30_000, **KEEPALIVES}
SQLITE = {"timeout": 5.0}
"""SQLite's own wait for a lock is short, as Ctrl-C cannot interrupt it: `RetryingStorage` tries again."""
DRIVERS: dict[str, dict[str, Any]] = {"psycopg": LIBPQ, "psycopg2": LIBPQ, "pysqlite": SQLITE}


def engine_options(url: URL) -> dict[str, Any]:
    """Return engine options by which a restarted server is reached again and a dead one is noticed.

    Args:
        url: The database. Options that it sets itself are left as they are.
    """
    wanted = DRIVERS.get(url.get_driver_name(), {})
    arguments = {key: value for key, value in wanted.items() if key not in url.query}
    options: dict[str, Any] = {"connect_args": arguments}
    if url.get_backend_name() != "sqlite":
        options["pool_pre_ping"] = True
    return options
