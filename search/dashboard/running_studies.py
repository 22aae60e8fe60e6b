"""Protection of running studies: none can be deleted or renamed in the dashboard."""

import re
import shlex
from http import HTTPStatus

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from search.dashboard.wsgi import Answer, Environ, Handler, message, path_of
from search.errors import ServiceError
from search.home import Home, process_of
from search.storage.retrying import RetryingStorage
from search.storage.study_lock import holder
from search.storage.urls import where_flags

__all__ = ["protected"]

DELETION = re.compile(r"/api/studies/(-?\d+)/*")
RENAMING = re.compile(r"/api/studies/(-?\d+)/rename/*")
"""As optuna-dashboard's routes read a path."""


def protected(handle: Handler, storage: RetryingStorage, home: Home) -> Handler:
    """Wrap `handle` so that it refuses to delete or rename a study while a search runs it.

    Args:
        handle: Handler that deletes and renames studies.
        storage: Storage of the studies.
        home: Home that the command in the refusal names.
    """

    def protect(environ: Environ) -> Answer:
        change = _change(environ)
        if change is None:
            return handle(environ)
        number, verb = change
        try:
            name = storage.get_study_name_from_id(number)
            owner = holder(storage, name)
        except (KeyError, OSError, ServiceError, StorageInternalError, SQLAlchemyError):
            return handle(environ)  # which says that the study or the database is missing
        if owner is None:
            return handle(environ)
        stop = f"cifar-search stop {shlex.quote(name)}{where_flags(home, str(storage.url))}"
        return message(
            environ,
            HTTPStatus.CONFLICT,
            f"Study {name} cannot be {verb} while a search runs it ({process_of(owner)}). "
            f"Stop that search first: {stop}",
        )

    return protect


def _change(environ: Environ) -> tuple[int, str] | None:
    """Return the study that a request deletes or renames, and the verb for it."""
    path = (
        path_of(environ).encode("latin-1").decode()
    )  # access control has refused what is not UTF-8
    routes = {"DELETE": (DELETION, "deleted"), "POST": (RENAMING, "renamed")}
    pattern, verb = routes.get(environ["REQUEST_METHOD"].upper(), (None, ""))
    match = pattern.fullmatch(path) if pattern else None
    return (int(match[1]), verb) if match else None
