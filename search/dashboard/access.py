"""Who may ask the dashboard for what."""

import base64
import hmac
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address

from search.dashboard.server import Place
from search.dashboard.wsgi import Answer, Environ, Handler, path_of, told
from search.errors import UsageError

__all__ = [
    "LARGEST_BODY",
    "PASSWORD_VARIABLE",
    "Access",
    "access_to",
    "chosen_password",
    "guarded",
    "host_of",
]

PASSWORD_VARIABLE = "CIFAR_SEARCH_PASSWORD"  # noqa: S105 - the name of the variable
LARGEST_BODY = 64 * 2**20
"""Bytes of a request; an uploaded artifact is sent as base64 and may have three quarters of it."""
SECONDS_OF_A_WRONG_PASSWORD = 1.0
LOOKING = {"GET", "HEAD", "OPTIONS"}
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?")


@dataclass(frozen=True)
class Access:
    """What is asked of a request before it is answered.

    Attributes:
        loopback: The dashboard can be reached from this machine only.
        password: Must come with every request; None for no password.
        read_only: Nothing may be changed.
        names: Names by which this machine may be asked for where there is no password, in small letters.
    """

    loopback: bool = True
    password: str | None = None
    read_only: bool = False
    names: frozenset[str] = frozenset()


def chosen_password(environment: Mapping[str, str] | None = None) -> str | None:
    """The user's own password; None if there is none.

    It is an environment variable because every user of a machine can read every command line.

    Raises:
        UsageError: It cannot be typed into a browser's window.
    """
    password = (os.environ if environment is None else environment).get(PASSWORD_VARIABLE)
    if password is not None and not (password and password.isprintable()):
        raise UsageError(
            f"{PASSWORD_VARIABLE} must be a password that can be typed, of one character or more, without "
            "line breaks. Without the variable a password is generated where one is needed."
        )
    return password


def access_to(place: Place, password: str | None, *, read_only: bool) -> tuple[Access, bool]:
    """What is asked of those who reach the dashboard at `place`, and whether its password is a new one.

    Args:
        place: Where it listens.
        password: The user's own password, if there is one: then it is always asked for.
        read_only: Nothing may be changed; then a password is not needed.
    """
    generated = password is None and not place.loopback and not read_only
    if generated:
        password = secrets.token_urlsafe(16)  # 128 bits: not to be guessed
    names: set[str] = set()
    if password is None and not place.loopback:
        names = {place.host, socket.gethostname(), socket.getfqdn()}
    own = frozenset(name.lower() for name in names)
    return Access(place.loopback, password, read_only, own), generated


def guarded(
    handle: Handler, access: Access, sleep: Callable[[float], None] = time.sleep
) -> Handler:
    """`handle`, for requests that may be answered; the others get a status and a sentence.

    Args:
        handle: Answers what is let through.
        access: What is asked of a request.
        sleep: Waits some seconds.
    """
    one_at_a_time = threading.Lock()

    def guard(environ: Environ) -> Answer:
        refusal = _malformed(environ) or _foreign(environ, access)
        if refusal is None and access.password is not None:
            given = _password_of(environ)
            if given is None or not hmac.compare_digest(given, access.password.encode()):
                if given is not None:
                    # All together can try one password in a second.
                    with one_at_a_time:
                        sleep(SECONDS_OF_A_WRONG_PASSWORD)
                return told(
                    environ, HTTPStatus.UNAUTHORIZED, "This dashboard needs its password."
                ).having(("WWW-Authenticate", 'Basic realm="cifar-search", charset="UTF-8"'))
        if refusal is None and access.read_only and environ["REQUEST_METHOD"] not in LOOKING:
            refusal = (
                HTTPStatus.FORBIDDEN,
                "This dashboard is served with --read-only: it shows studies and changes nothing.",
            )
        refusal = refusal or _too_large(environ)
        return handle(environ) if refusal is None else told(environ, *refusal)

    return guard


def host_of(header: str) -> str | None:
    """The name or address in a Host header, in small letters; None if it is not one.

    >>> host_of("LocalHost:8080"), host_of("[0::1]:80"), host_of("localhost:http")
    ('localhost', '::1', None)
    """
    match = HOST.fullmatch(header)
    if match is None or int(match[3] or 0) > 65535:
        return None
    if match[1] is None:
        return match[2].lower()
    try:
        return str(ip_address(match[1]))
    except ValueError:
        return None


Refusal = tuple[HTTPStatus, str]


def _malformed(environ: Environ) -> Refusal | None:
    try:
        # Bottle drops what is not UTF-8, so that it would look for another path than was looked at here.
        path_of(environ).encode("latin-1").decode()
    except UnicodeError:
        return HTTPStatus.BAD_REQUEST, "The path of this request is not UTF-8."
    if host_of(environ.get("HTTP_HOST", "")) is None:
        return HTTPStatus.BAD_REQUEST, "This request does not say in its Host header whom it asks."
    return None


def _foreign(environ: Environ, access: Access) -> Refusal | None:
    """Refuse what a foreign web page could make a browser send here."""
    header = environ["HTTP_HOST"]
    if not _is_ours(host_of(header) or "", access):
        # A foreign page whose name was made to point here (DNS rebinding) has its own name for a host.
        return HTTPStatus.FORBIDDEN, (
            "This dashboard does not go by the name in the address. Ask for it at localhost, if it is on "
            "this machine, or else by the IP address of its machine."
        )
    own_origin = f"{environ['wsgi.url_scheme']}://{header}".lower()
    if environ.get("HTTP_ORIGIN", own_origin).lower() == own_origin:
        if environ.get("HTTP_SEC_FETCH_SITE") not in {"cross-site", "same-site"}:
            return None
        # A link on another page may lead here; nothing else there may use what is here.
        if (environ["REQUEST_METHOD"], environ.get("HTTP_SEC_FETCH_MODE")) == ("GET", "navigate"):
            return None
    return HTTPStatus.FORBIDDEN, "This dashboard answers only the pages that it served itself."


def _is_ours(host: str, access: Access) -> bool:
    address = _address(host)
    if access.loopback:
        return host == "localhost" or (address is not None and address.is_loopback)
    # Browsers keep a password by the page's address. A rebinding page has another address, for which the
    # browser has none: it is refused without knowing all the names that this machine may have.
    if access.password is not None:
        return True
    # Nobody can make a foreign page of a bare address; and these names are not a foreigner's to point.
    return address is not None or host == "localhost" or host in access.names


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _password_of(environ: Environ) -> bytes | None:
    """The password that a request brings along (HTTP Basic, RFC 7617), whatever the user's name."""
    scheme, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except ValueError:
        return None
    _, colon, password = decoded.partition(b":")
    return password if scheme.lower() == "basic" and colon else None


def _too_large(environ: Environ) -> Refusal | None:
    if environ.get("HTTP_TRANSFER_ENCODING"):
        # Browsers don't send it, and how much will come is not known.
        return HTTPStatus.LENGTH_REQUIRED, "This dashboard needs to know the length of a request."
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdecimal()):
        return HTTPStatus.BAD_REQUEST, "The Content-Length of this request is not a number."
    if len(length) > 18 or int(length) > LARGEST_BODY:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, (
            f"A request may have {LARGEST_BODY // 2**20} MiB, which is a file of "
            f"{LARGEST_BODY * 3 // 4 // 2**20} MiB."
        )
    return None
