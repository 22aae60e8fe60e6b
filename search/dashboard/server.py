"""HTTP server of the dashboard, with limits so that no client can hold it up.

The limits are our own: waitress and cheroot do not end a request whose head arrives byte by byte, and
tornado reads whole bodies before anything can ask for a password (CONTRIBUTING.md, "Libraries").
"""

import errno
import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from search.dashboard.wsgi import App, Environ
from search.errors import UsageError

__all__ = ["LOOPBACK", "Place", "listening", "place_of"]

LOOPBACK = "127.0.0.1"
CONNECTIONS = 64
"""Connections at the same time; a browser opens up to six."""
SECONDS_OF_A_HEAD = 30.0
SECONDS_OF_SILENCE = 60.0
SECONDS_OF_A_FAREWELL = 2.0
PIECE = 2**16
FULL = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Place:
    """Address to listen on.

    Attributes:
        host: Address or name that the user gave.
        family: IPv4 or IPv6.
        address: Address to bind to, in the form of the socket module.
    """

    host: str
    family: socket.AddressFamily
    address: tuple[Any, ...]

    @property
    def loopback(self) -> bool:
        """Return whether it can be reached from this machine only."""
        return ip_address(self.address[0]).is_loopback

    @property
    def everybody(self) -> bool:
        """Return whether it stands for all addresses of this machine."""
        return ip_address(self.address[0]).is_unspecified

    def url(self, port: int) -> str:
        """Return the address to open in a browser on this machine."""
        host = LOOPBACK if self.everybody else self.address[0]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def place_of(host: str, port: int) -> Place:
    """Return the address of a host and port.

    Args:
        host: Address or name of this machine; ``0.0.0.0`` and ``::`` stand for all addresses.
        port: Port; 0 for a free one.

    Raises:
        UsageError: The host is unknown.
    """
    name = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(name or "?", port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a name"
        raise UsageError(
            f"--host must be an address or a name of this machine, but got {host!r}: {reason}."
        ) from error
    # A name with both kinds of addresses is found by every browser at its IPv4 address.
    family, _, _, _, address = min(found, key=lambda one: one[0] is not socket.AF_INET)
    return Place(name, family, address)


@contextmanager
def listening(app: App, place: Place) -> Iterator[str]:
    """Serve `app` at `place` while the context lasts.

    Yields:
        Address to open in a browser.

    Raises:
        UsageError: The address cannot be used, for instance because the port is taken.
    """
    try:
        server = _Server(place, app)
    except OSError as error:
        where = place.url(place.address[1]).removeprefix("http://").removesuffix("/")
        way_out = "Choose another port with --port, or --port 0 for a free one."
        if error.errno == errno.EADDRNOTAVAIL:
            way_out = "--host must be an address of this machine; 0.0.0.0 stands for all of them."
        raise UsageError(
            f"The dashboard cannot listen on {where}: {error.strerror}. {way_out}"
        ) from error
    thread = Thread(target=server.serve_forever, name="dashboard", daemon=True)
    thread.start()
    try:
        yield place.url(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    """Server with a thread per connection, and limits on their number and silence."""

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, place: Place, app: App) -> None:
        self._place = place
        self._deadlines: dict[socket.socket, float] = {}
        self.address_family = place.family
        super().__init__(cast("Any", place.address), _RequestHandler)
        self.set_app(app)

    def server_bind(self) -> None:
        """Bind without looking up this machine's name, which takes long without a name server."""
        if self._place.everybody and self._place.family is socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Return whether there is room for another connection."""
        if len(self._deadlines) >= CONNECTIONS:
            with suppress(OSError):
                request.settimeout(0.0)
                request.send(FULL)
            return False
        self._deadlines[request] = time.monotonic() + SECONDS_OF_A_HEAD
        return True

    def heard(self, request: socket.socket) -> None:
        """Note that the head of a request has arrived: from here on only silence is limited."""
        self._deadlines[request] = float("inf")

    def service_actions(self) -> None:
        """Cut off connections whose head is overdue, even if bytes keep arriving; called twice a second."""
        now = time.monotonic()
        for request, deadline in list(self._deadlines.items()):
            if now > deadline:
                _cut_off(request)

    def close_request(self, request: Any) -> None:
        """Close a connection and forget its deadline."""
        self._deadlines.pop(request, None)
        super().close_request(request)

    def server_close(self) -> None:
        """Stop listening and end open connections, on which a large file may still be on its way."""
        super().server_close()
        for request in list(self._deadlines):
            _cut_off(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a connection that broke: the terminal belongs to the search."""


class _RequestHandler(WSGIRequestHandler):
    """Handler of one request."""

    server: _Server
    default_request_version = "HTTP/1.0"  # malformed requests get a status, too
    timeout = SECONDS_OF_SILENCE
    wbufsize = PIECE  # without a buffer the timeout would apply to a whole answer

    def get_environ(self) -> Environ:
        """Return the request in the form of WSGI."""
        self.server.heard(self.connection)
        return super().get_environ()

    def get_stderr(self) -> Any:
        """Return a sink for the app's tracebacks, which must not reach the search's terminal."""
        return io.StringIO()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the terminal belongs to the search."""

    def finish(self) -> None:
        """Send the rest of the answer, and discard for a moment what is still coming in.

        Closing a connection with unread data resets it, and the answer may be lost.
        """
        try:
            super().finish()
        finally:
            # If the client is gone, it raises first, and the connection would stay open.
            self.rfile.close()
        until = time.monotonic() + SECONDS_OF_A_FAREWELL
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(SECONDS_OF_A_FAREWELL)
            while time.monotonic() < until and self.connection.recv(PIECE):
                pass


def _cut_off(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
