"""optuna-dashboard, served from this process.

A request passes access control, compression, links under a prefix, the check of the database and the
protection of running studies on its way to optuna-dashboard. On its way back the answer becomes readable,
and gets headers that restrict what a browser may do with it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi

from search.dashboard.access import Access, guarded
from search.dashboard.availability import available
from search.dashboard.compression import compressed
from search.dashboard.readable import readable
from search.dashboard.reverse_proxy import linked, unprefixed
from search.dashboard.running_studies import protected
from search.dashboard.security_headers import confined
from search.dashboard.server import Place, listening
from search.dashboard.wsgi import Handler, app_of, handler_of
from search.home import Home
from search.storage.retrying import RetryingStorage
from search.storage.urls import where_flags

__all__ = ["dashboard_of", "serving"]


@contextmanager
def serving(storage: RetryingStorage, place: Place, home: Home, access: Access) -> Iterator[str]:
    """Serve the dashboard while the context lasts.

    Args:
        storage: Storage of the studies, used by the dashboard alone.
        place: Address to listen on.
        home: Home of the studies' artifacts, which need not exist.
        access: Conditions that requests must meet.

    Yields:
        Address to open in a browser on this machine.

    Raises:
        UsageError: The address cannot be used, for instance because the port is taken.
        ServiceError: The installed optuna-dashboard cannot be served under the public address's path.
    """
    with listening(app_of(dashboard_of(storage, home, access)), place) as address:
        yield address


def dashboard_of(storage: RetryingStorage, home: Home, access: Access) -> Handler:
    """Return the dashboard as a handler of requests; the arguments are those of `serving`."""
    # It logs tracebacks of requests, but the terminal belongs to the search.
    logging.getLogger("optuna_dashboard").setLevel(logging.CRITICAL + 1)
    prefix = "" if access.public is None else access.public.prefix
    where = where_flags(home, storage.url)
    handle = handler_of(wsgi(storage, FileSystemArtifactStore(home.artifacts)))
    handle = readable(protected(handle, storage, home), storage, where, prefix)
    handle = compressed(linked(available(handle, storage), prefix))
    return unprefixed(confined(guarded(handle, access)), prefix)
