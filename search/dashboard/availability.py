"""Answers of the dashboard while its database cannot be used."""

import sqlite3
import threading
from http import HTTPStatus
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from search.dashboard.wsgi import Answer, Environ, Handler, message, path_of
from search.errors import ServiceError
from search.storage.outages import Outage
from search.storage.retrying import RetryingStorage
from search.storage.urls import sqlite_file

__all__ = ["available"]


def available(handle: Handler, storage: RetryingStorage) -> Handler:
    """Wrap `handle` so that it says so while the database of `storage` is locked, broken or away.

    optuna-dashboard answers every failure with "internal server error". The database's reason is read
    from its connections instead.

    Args:
        handle: Handler that reads and writes `storage`.
        storage: Storage used by the dashboard alone. From now on it waits for locks no longer than SQLite
            itself does: a browser asks again anyway.
    """
    heard = threading.local()
    file = sqlite_file(storage.url)
    first = _identity(file)
    storage.on_outage = _give_up

    @event.listens_for(storage.engine, "handle_error")
    def note(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError | DataError):
            heard.reason = _in_words(context.original_exception)

    def answer(environ: Environ) -> Answer:
        now = _identity(file)
        if now is None and file is not None:
            # SQLite would make an empty one.
            return _unavailable(environ, "its file no longer exists")
        if now != first:
            reason = "another file is in its place; restart the dashboard to read that one"
            return _unavailable(environ, reason)
        heard.reason = None
        found = handle(environ)
        if found.code < 500:
            return found
        if heard.reason is not None:
            found.close()
            return _unavailable(environ, heard.reason)
        if path_of(environ).startswith("/artifacts/"):
            found.close()
            return message(
                environ, HTTPStatus.NOT_FOUND, "The file of this artifact cannot be read."
            )
        return found

    return answer


def _unavailable(environ: Environ, reason: str) -> Answer:
    sentence = f"The database of the studies cannot be used at the moment: {reason}."
    return message(environ, HTTPStatus.SERVICE_UNAVAILABLE, sentence).having(("Retry-After", "5"))


def _give_up(outage: Outage) -> None:
    raise ServiceError(outage.reason)


def _in_words(error: BaseException) -> str:
    # The message of a database server may name the server and its users.
    known = isinstance(error, sqlite3.Error) and str(error)
    return str(error) if known else "its server reports an error"


def _identity(file: Path | None) -> tuple[int, int] | None:
    try:
        found = None if file is None else file.stat()
    except OSError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)
