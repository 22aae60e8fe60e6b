"""optuna-dashboard, served from this process.

A request passes access control, compression and the check of the database on its way to optuna-dashboard;
the answer gets headers that restrict what a browser may do with it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi

from search.dashboard.access import Access, guarded
from search.dashboard.availability import available
from search.dashboard.compression import compressed
from search.dashboard.security_headers import confined
from search.dashboard.server import Place, listening
from search.dashboard.wsgi import Handler, app_of, handler_of
from search.storage.retrying import RetryingStorage

__all__ = ["dashboard_of", "serving"]


@contextmanager
def serving(
    storage: RetryingStorage, place: Place, artifacts: Path, access: Access
) -> Iterator[str]:
    """Serve the dashboard while the context lasts.

    Args:
        storage: Storage of the studies, used by the dashboard alone.
        place: Address to listen on.
        artifacts: Folder of the studies' artifacts; it need not exist.
        access: Conditions that requests must meet.

    Yields:
        Address to open in a browser.

    Raises:
        UsageError: The address cannot be used, for instance because the port is taken.
    """
    with listening(app_of(dashboard_of(storage, artifacts, access)), place) as address:
        yield address


def dashboard_of(storage: RetryingStorage, artifacts: Path, access: Access) -> Handler:
    """Return the dashboard as a handler of requests; the arguments are those of `serving`."""
    # It logs tracebacks of requests, but the terminal belongs to the search.
    logging.getLogger("optuna_dashboard").setLevel(logging.CRITICAL + 1)
    app = wsgi(storage, FileSystemArtifactStore(artifacts))
    return confined(guarded(compressed(available(handler_of(app), storage)), access))
