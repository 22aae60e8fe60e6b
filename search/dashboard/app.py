"""optuna-dashboard, served from this process.

A request goes through `guard.py` (may it be answered?), `compressing.py` and `outage.py` (can the
database be used?) to optuna-dashboard; `confinement.py` says what a browser may do with the answer.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import BaseStorage, get_storage
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
        storage: The studies, in a storage of the dashboard's own.
        place: Where to listen.
        artifacts: The folder of the studies' artifacts; it need not be there.
        access: Who may ask for what.

    Yields:
        The address to open in a browser.

    Raises:
        UsageError: One cannot listen there, for instance because the port is taken.
    """
    with listening(app_of(dashboard_of(storage, artifacts, access)), place) as address:
        yield address


def dashboard_of(storage: RetryingStorage, artifacts: Path, access: Access) -> Handler:
    """The dashboard as it answers requests; the arguments are those of `serving`."""
    # What it logs are tracebacks of requests; the terminal belongs to the search.
    logging.getLogger("optuna_dashboard").setLevel(logging.CRITICAL + 1)
    cached: BaseStorage = get_storage(storage)  # reads finished trials once, not at every poll
    app = wsgi(cached, FileSystemArtifactStore(artifacts))
    return confined(guarded(compressed(available(handler_of(app), storage)), access))
