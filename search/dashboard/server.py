"""Where the dashboard listens, and a server that nobody can hold up."""

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
"""At most so many at a time; a browser has up to six."""
SECONDS_OF_A_HEAD = 30.0
SECONDS_OF_SILENCE = 60.0
SECONDS_OF_A_FAREWELL = 2.0
PIECE = 2**16
FULL = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Place:
    """Where to listen.

    Attributes:
        host: The address or name that was asked for.
        family: IPv4 or IPv6.
        address: What to bind to, in the socket module's words.
    """

    host: str
    family: socket.AddressFamily
    address: tuple[Any, ...]

    @property
    def loopback(self) -> bool:
        """It can be reached from this machine only."""
        return ip_address(self.address[0]).is_loopback

    @property
    def everybody(self) -> bool:
        """It is every address of this machine."""
        return ip_address(self.address[0]).is_unspecified

    def url(self, port: int) -> str:
        """What a browser on this machine opens."""
        host = LOOPBACK if self.everybody else self.address[0]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def place_of(host: str, port: int) -> Place:
    """Where `host` and `port` are.

    Args:
        host: An address of this machine, or a name of it; ``0.0.0.0`` and ``::`` are all addresses.
        port: The port; 0 for a free one.

    Raises:
        UsageError: There is no such host.
    """
    name = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(name or "?", port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a name"
        raise UsageError(
            f"--host must be an address or a name of this machine, but got {host!r}: {reason}."
        ) from error
    # Where a name has both kinds of addresses, every browser finds the older one.
    family, _, _, _, address = min(found, key=lambda one: one[0] is not socket.AF_INET)
    return Place(name, family, address)


@contextmanager
def listening(app: App, place: Place) -> Iterator[str]:
    """Serve `app` at `place` while the context lasts.

    Yields:
        The address to open in a browser.

    Raises:
        UsageError: One cannot listen there, for instance because the port is taken.
    """
    try:
        server = _Server(place, app)
    except OSError as error:
        where = place.url(place.address[1]).removeprefix("http://").removesuffix("/")
        way_out = "Choose another port with --port, or --port 0 for a free one."
        if error.errno == errno.EADDRNOTAVAIL:
            way_out = "--host must be an address of this machine; 0.0.0.0 is all of them."
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
    """Serves each connection in a thread of its own, so many at a time, and none that says nothing."""

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, place: Place, app: App) -> None:
        self._place = place
        self._deadlines: dict[socket.socket, float] = {}
        self.address_family = place.family
        super().__init__(cast("Any", place.address), _RequestHandler)
        self.set_app(app)

    def server_bind(self) -> None:
        """Bind, without asking for this machine's name: without a name server that takes long."""
        if self._place.everybody and self._place.family is socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for another connection."""
        if len(self._deadlines) >= CONNECTIONS:
            with suppress(OSError):
                request.settimeout(0.0)
                request.send(FULL)
            return False
        self._deadlines[request] = time.monotonic() + SECONDS_OF_A_HEAD
        return True

    def heard(self, request: socket.socket) -> None:
        """A request has come in whole, but for its content: it may take its time."""
        self._deadlines[request] = float("inf")

    def service_actions(self) -> None:
        """Twice a second: cut off what has not said by now what it wants, however busily."""
        now = time.monotonic()
        for request, deadline in list(self._deadlines.items()):
            if now > deadline:
                _cut_off(request)

    def close_request(self, request: Any) -> None:
        """The end of a connection."""
        self._deadlines.pop(request, None)
        super().close_request(request)

    def server_close(self) -> None:
        """Listen no more, and end the connections that are there: a file may be on its way for long."""
        super().server_close()
        for request in list(self._deadlines):
            _cut_off(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke: the terminal belongs to the search."""


class _RequestHandler(WSGIRequestHandler):
    """Answers one request."""

    server: _Server
    default_request_version = "HTTP/1.0"  # what is malformed gets a status as well
    timeout = SECONDS_OF_SILENCE
    wbufsize = PIECE  # without a buffer the timeout is for sending a whole answer at once

    def get_environ(self) -> Environ:
        """As WSGI wants it."""
        self.server.heard(self.connection)
        return super().get_environ()

    def get_stderr(self) -> Any:
        """Where an app writes tracebacks, which are nothing for the search's terminal."""
        return io.StringIO()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal belongs to the search."""

    def finish(self) -> None:
        """Send what is left, and read for a moment what nobody wanted, such as a file that is too large.

        A connection that is closed with something unread is reset, and then the answer may be lost.
        """
        try:
            super().finish()
        finally:
            # Where nobody is left to send to, it raises before this; the connection would stay open.
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
