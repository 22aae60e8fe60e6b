"""optuna-dashboard, served from this process to this machine."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna_dashboard import wsgi

from search.errors import UsageError

__all__ = ["LOOPBACK", "guarded", "serving"]

LOOPBACK = "127.0.0.1"
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal belongs to the search."""


@contextmanager
def serving(storage: RDBStorage, port: int, artifacts: Path) -> Iterator[str]:
    """Serve the dashboard on the loopback address while the context lasts.

    Args:
        storage: The studies.
        port: The port; 0 takes a free one.
        artifacts: The folder of the studies' artifacts; it need not be there.

    Yields:
        The address to open in a browser.

    Raises:
        UsageError: The port is taken.
    """
    cached: BaseStorage = get_storage(storage)  # reads finished trials once, not at every poll
    try:
        app = guarded(wsgi(cached, FileSystemArtifactStore(artifacts)))
        server = make_server(LOOPBACK, port, app, _Server, _QuietHandler)
    except OSError as error:
        raise UsageError(
            f"The dashboard cannot listen on {LOOPBACK}:{port}: {error.strerror}. "
            "Choose another port with --port, or --port 0 for a free one."
        ) from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def guarded(app: App) -> App:
    """`app`, for requests that come from a page of its own only.

    The dashboard has no passwords: whoever reaches it can delete studies. It listens on the loopback
    address, and this refuses what a foreign web page could make a browser send there: a Host that is
    not this machine's (DNS rebinding), or an Origin that is another site's.
    """

    def guard(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", ""))
        origin = environ.get("HTTP_ORIGIN")
        foreign_host = host.rpartition(":")[0] not in {LOOPBACK, "localhost"}
        if foreign_host or origin not in {None, f"http://{host}"}:
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"This dashboard answers only pages that it served itself on this machine.\n"]
        if not str(environ.get("PATH_INFO", "")).startswith("/artifacts/"):
            return app(environ, start_response)

        def start_sandboxed(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            # An artifact is a file to look at: what it might hold must not run as a page of this site.
            sandbox = [
                ("Content-Security-Policy", "sandbox"),
                ("X-Content-Type-Options", "nosniff"),
            ]
            return start_response(status, [*headers, *sandbox], *rest)

        return app(environ, start_sandboxed)

    return guard
