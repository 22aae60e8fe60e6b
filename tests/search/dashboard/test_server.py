"""The HTTP server: addresses, limits, malformed requests."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.dashboard import server as listening
from search.dashboard.server import LOOPBACK, place_of
from search.dashboard.wsgi import Environ
from search.errors import UsageError

TALK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def plain(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """Answer with the Host header; fail on demand; never read the body."""
    if environ["PATH_INFO"] == "/broken":
        raise RuntimeError("broken")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("HTTP_HOST", "nobody").encode("latin-1")]


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """Return a server's port on the loopback address; afterwards none of its threads is left."""
    before = set(threading.enumerate())
    with listening.listening(plain, place_of(LOOPBACK, 0)) as address:
        yield urlsplit(address).port or 0
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.01)


@pytest.fixture
def port(server: int, capfd: pytest.CaptureFixture[str]) -> Iterator[int]:
    """Return the server's port, and check that it prints nothing during the test."""
    yield server
    assert capfd.readouterr() == ("", "")


def connection(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=10)


def said(port: int, words: bytes) -> bytes:
    """Return everything that is answered to these bytes."""
    with connection(port) as talk:
        talk.sendall(words)
        with suppress(OSError):  # the other end may have closed the connection meanwhile
            talk.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: talk.recv(65536), b""))


def assert_serving(port: int) -> None:
    with closing(http.client.HTTPConnection(LOOPBACK, port, timeout=10)) as asking:
        asking.request("GET", "/")
        assert asking.getresponse().read() == f"{LOOPBACK}:{port}".encode()


# ------------------------------------------------------------------------------------------- where


def test_a_place_knows_who_can_reach_it_and_its_url() -> None:
    for host in ("127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"):
        place = place_of(host, 0)
        assert place.loopback, host
        assert not place.everybody
    for host in ("::", "0.0.0.0"):  # noqa: S104 - the address under test
        place = place_of(host, 0)
        assert place.everybody
        assert not place.loopback
        assert place.url(80) == "http://127.0.0.1:80/"
    for host in ("192.0.2.1", "2001:db8::1", "::ffff:127.0.0.1"):
        assert not place_of(host, 0).loopback, host
    assert place_of("::1", 0).url(8080) == "http://[::1]:8080/"
    assert place_of("localhost", 0).url(8080) == "http://127.0.0.1:8080/"


@pytest.mark.parametrize("host", ["", "?", "no such host", "a..b", "l" * 300, "1.2.3.4:80"])
def test_an_unknown_host_is_wrong_usage(host: str) -> None:
    with pytest.raises(UsageError, match="--host must be an address or a name of this machine"):
        place_of(host, 0)


def test_another_machines_address_is_wrong_usage() -> None:
    place = place_of("192.0.2.1", 0)  # reserved for documentation (RFC 5737)
    if "192.0.2." in _own_address():
        place = place_of("198.51.100.1", 0)
    with (
        pytest.raises(UsageError, match="--host must be an address of this machine"),
        listening.listening(plain, place),
    ):
        pass


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
        try:
            talk.connect(("192.0.2.77", 9))  # sends nothing
        except OSError:
            return ""
        return str(talk.getsockname()[0])


@pytest.mark.parametrize("host", ["::1", "::"])
def test_it_listens_on_ipv6(host: str) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listening.listening(plain, place_of(host, 0)) as address:
        port = urlsplit(address).port or 0
        # `::` stands for the addresses of both kinds.
        for own in ("::1", LOOPBACK) if host == "::" else ("::1",):
            with closing(http.client.HTTPConnection(own, port, timeout=10)) as asking:
                asking.request("GET", "/")
                assert asking.getresponse().status == 200


def test_the_name_of_this_machine_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name server the lookup takes many seconds."""

    def ask(*_: object) -> str:
        pytest.fail("a name server was asked")

    monkeypatch.setattr(socket, "getfqdn", ask)
    with listening.listening(plain, place_of("0.0.0.0", 0)) as address:  # noqa: S104
        assert_serving(urlsplit(address).port or 0)


# --------------------------------------------------------------------------------- being held up


@pytest.mark.parametrize("words", [b"", b"GET", TALK[:-2], b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 9])
def test_a_request_whose_head_is_overdue_is_cut_off(
    words: bytes, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "SECONDS_OF_A_HEAD", 0.2)
    with connection(port) as slow:
        slow.sendall(words)
        assert_serving(port)
        began = time.monotonic()
        assert slow.recv(100) == b""
        assert time.monotonic() - began < 5


def test_a_head_that_arrives_byte_by_byte_is_cut_off_too(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "SECONDS_OF_A_HEAD", 0.2)
    began = time.monotonic()
    with connection(port) as slow, suppress(OSError):
        while time.monotonic() - began < 5:
            slow.sendall(b"A")
            time.sleep(0.02)
    assert time.monotonic() - began < 5


def test_a_silent_connection_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening._RequestHandler, "timeout", 0.2)
    with connection(port) as slow:
        slow.sendall(b"GET /")
        assert slow.recv(100) == b""


def test_the_number_of_connections_is_limited(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "CONNECTIONS", 3)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connection(port))
        for _ in range(5):
            with connection(port) as another:
                assert another.recv(100).startswith(b"HTTP/1.0 503 ")
    found, deadline = b"", time.monotonic() + 5
    while not found.startswith(b"HTTP/1.0 200 "):
        assert time.monotonic() < deadline
        with suppress(ConnectionError):  # a refused connection may be reset while it still sends
            found = said(port, TALK)


def test_an_answer_that_is_not_fetched_holds_up_neither_others_nor_the_end() -> None:
    def large(_: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [bytes(2**25)]

    before = set(threading.enumerate())
    with ExitStack() as stack:
        with listening.listening(large, place_of(LOOPBACK, 0)) as address:
            port = urlsplit(address).port or 0
            slow = stack.enter_context(connection(port))
            slow.sendall(TALK)
            assert slow.recv(100).startswith(b"HTTP/1.0 200 ")
            assert len(said(port, TALK)) > 2**25
            began = time.monotonic()
        while set(threading.enumerate()) - before:
            assert time.monotonic() - began < 5, threading.enumerate()
            time.sleep(0.01)


def test_an_answer_is_not_lost_because_the_body_was_not_read(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n"
    for _ in range(3):
        with connection(port) as talk:
            talk.sendall(head + bytes(4_000_000))
            assert b"".join(iter(lambda: talk.recv(65536), b"")).endswith(b"\r\n\r\nlocalhost")


# -------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n", b"200"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"GET / HTTP/x\r\n\r\n", b"400"),
        (b"\xff\xfe\x00\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\n", b"500"),
    ],
)
def test_a_malformed_request_gets_a_status_and_no_traceback(
    words: bytes, status: bytes, port: int
) -> None:
    found = said(port, words)
    assert found.split(b" ")[1] == status, found
    assert b"Traceback" not in found
    assert b"RuntimeError" not in found
    assert_serving(port)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=60), st.booleans())
def test_no_bytes_stop_it(port: int, words: bytes, headers: bool) -> None:
    said(port, b"GET / HTTP/1.1\r\n" + words + b"\r\n\r\n" if headers else words)
    assert_serving(port)


def test_a_client_that_disconnects_at_once_is_not_mentioned(port: int) -> None:
    for words in (b"", TALK, b"GET"):
        for _ in range(5):
            with connection(port) as talk:
                # Closing it resets it.
                talk.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                talk.sendall(words)
    assert_serving(port)


def test_the_connection_of_a_client_that_left_before_the_answer_is_closed() -> None:
    asked, gone = threading.Event(), threading.Event()
    held: list[Environ] = []

    def patient(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        held.append(environ)  # as a framework's globals may, beyond the end of the connection
        asked.set()
        assert gone.wait(10)
        return plain(environ, start_response)

    with listening.listening(patient, place_of(LOOPBACK, 0)) as address:
        with connection(urlsplit(address).port or 0) as talk:
            talk.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            talk.sendall(TALK)
            assert asked.wait(10)
        gone.set()
        deadline = time.monotonic() + 5
        while not held[0]["wsgi.input"].closed:
            assert time.monotonic() < deadline
            time.sleep(0.01)
