"""Access control of the dashboard: hosts, origins, the password, read-only, sizes of requests."""

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

from search.dashboard.public_url import PublicUrl
from search.dashboard.server import Place
from search.dashboard.wsgi import Answer, Environ, Handler, message, path_of
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
"""Bytes of a request. An uploaded artifact is sent as base64, so it may have three quarters of that."""
SECONDS_OF_A_WRONG_PASSWORD = 1.0
LOOKING = {"GET", "HEAD", "OPTIONS"}
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?")


@dataclass(frozen=True)
class Access:
    """Conditions that a request must meet before it is answered.

    Attributes:
        loopback: The dashboard can be reached from this machine only.
        password: Required with every request; None for no password.
        read_only: Nothing may be changed.
        names: Names of this machine that are accepted without a password, in lower case.
        public: Address of the proxy in front of the dashboard; None without a proxy.
    """

    loopback: bool = True
    password: str | None = None
    read_only: bool = False
    names: frozenset[str] = frozenset()
    public: PublicUrl | None = None


def chosen_password(environment: Mapping[str, str] | None = None) -> str | None:
    """Return the user's own password, or None.

    It comes from the environment because every user of a machine can read every command line.

    Raises:
        UsageError: It cannot be typed into a browser's dialog.
    """
    password = (os.environ if environment is None else environment).get(PASSWORD_VARIABLE)
    if password is not None and not (password and password.isprintable()):
        raise UsageError(
            f"{PASSWORD_VARIABLE} must be a password that can be typed: at least one character, no line "
            "breaks. Unset it to have a password generated where one is needed."
        )
    return password


def access_to(
    place: Place, password: str | None, *, read_only: bool, public: PublicUrl | None = None
) -> tuple[Access, bool]:
    """Return the conditions for requests at an address, and whether the password was generated.

    A proxy makes the dashboard available to other machines, so it needs a password, too.

    Args:
        place: Address to listen on.
        password: The user's own password, required whenever there is one.
        read_only: Nothing may be changed, so that no password needs to be generated.
        public: Address of the proxy in front of the dashboard, if there is one.
    """
    exposed = public is not None or not place.loopback
    generated = password is None and exposed and not read_only
    if generated:
        password = secrets.token_urlsafe(16)  # 128 bits
    names: set[str] = set()
    if password is None and not place.loopback:
        names = {place.host, socket.gethostname(), socket.getfqdn()}
    own = frozenset(name.lower() for name in names)
    return Access(place.loopback, password, read_only, own, public), generated


def guarded(
    handle: Handler, access: Access, sleep: Callable[[float], None] = time.sleep
) -> Handler:
    """Wrap `handle` so that it sees only requests that are allowed; others get a status and a sentence.

    Args:
        handle: Handler of allowed requests.
        access: Conditions that a request must meet.
        sleep: Function that waits for some seconds.
    """
    one_at_a_time = threading.Lock()

    def guard(environ: Environ) -> Answer:
        refusal = _malformed(environ) or _foreign(environ, access)
        if refusal is None and access.password is not None:
            given = _password_of(environ)
            if given is None or not hmac.compare_digest(given, access.password.encode()):
                if given is not None:
                    # All clients together can try one password per second.
                    with one_at_a_time:
                        sleep(SECONDS_OF_A_WRONG_PASSWORD)
                return message(
                    environ, HTTPStatus.UNAUTHORIZED, "This dashboard needs its password."
                ).having(("WWW-Authenticate", 'Basic realm="cifar-search", charset="UTF-8"'))
        if refusal is None and access.read_only and environ["REQUEST_METHOD"] not in LOOKING:
            refusal = (
                HTTPStatus.FORBIDDEN,
                "This dashboard is read-only: it shows studies and changes nothing.",
            )
        refusal = refusal or _too_large(environ)
        return handle(environ) if refusal is None else message(environ, *refusal)

    return guard


def host_of(header: str) -> str | None:
    """Return the name or address in a Host header, in lower case; None if it is malformed.

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
        # Bottle drops what is not UTF-8, and would then serve another path than the one checked here.
        path_of(environ).encode("latin-1").decode()
    except UnicodeError:
        return HTTPStatus.BAD_REQUEST, "The path of this request is not UTF-8."
    if host_of(environ.get("HTTP_HOST", "")) is None:
        return HTTPStatus.BAD_REQUEST, "This request has no valid Host header."
    return None


def _foreign(environ: Environ, access: Access) -> Refusal | None:
    """Return why a request that another website may have caused is refused, or None."""
    header = environ["HTTP_HOST"]
    if not _is_ours(host_of(header) or "", access):
        # A website whose name was made to point here (DNS rebinding) has its own name as the host.
        return HTTPStatus.FORBIDDEN, (
            "This dashboard does not answer to the name in the address. Use localhost on its own machine, "
            "or else the machine's IP address; --url states the name that a proxy gives it."
        )
    origin = environ.get("HTTP_ORIGIN")
    if origin is None or origin.lower() in _own_origins(environ, access):
        if environ.get("HTTP_SEC_FETCH_SITE") not in {"cross-site", "same-site"}:
            return None
        # Another website may link here; it may use nothing else.
        if (environ["REQUEST_METHOD"], environ.get("HTTP_SEC_FETCH_MODE")) == ("GET", "navigate"):
            return None
    return HTTPStatus.FORBIDDEN, "This dashboard answers requests of its own pages only."


def _own_origins(environ: Environ, access: Access) -> set[str]:
    """Return the origins of the dashboard's own pages, as far as the request's host says."""
    header = environ["HTTP_HOST"]
    host = host_of(header) or ""
    direct = f"{environ['wsgi.url_scheme']}://{header}".lower()
    if access.public is None:
        return {direct}
    # Only the proxy knows the scheme of requests to its own name.
    behind_proxy = host == access.public.host and not _is_loopback(host)
    return {access.public.origin} if behind_proxy else {access.public.origin, direct}


def _is_ours(host: str, access: Access) -> bool:
    address = _address(host)
    if access.public is not None and host == access.public.host:
        return True
    if access.loopback:
        return _is_loopback(host)
    # Browsers keep passwords by the site's name. A rebinding site has another name, for which the browser
    # has no password, so any name may be accepted here.
    if access.password is not None:
        return True
    # No website can claim a bare address, and nobody else can redirect these names.
    return address is not None or host == "localhost" or host in access.names


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _password_of(environ: Environ) -> bytes | None:
    """Return the password of a request (HTTP Basic, RFC 7617), whatever the user name; None without one."""
    scheme, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except ValueError:
        return None
    _, colon, password = decoded.partition(b":")
    return password if scheme.lower() == "basic" and colon else None


def _too_large(environ: Environ) -> Refusal | None:
    if environ.get("HTTP_TRANSFER_ENCODING"):
        # Browsers don't send it, and it leaves the size unknown.
        return HTTPStatus.LENGTH_REQUIRED, "This dashboard requires a Content-Length."
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdecimal()):
        return HTTPStatus.BAD_REQUEST, "The Content-Length of this request is not a number."
    if len(length) > 18 or int(length) > LARGEST_BODY:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, (
            f"A request may have at most {LARGEST_BODY // 2**20} MiB, which is enough for a file of "
            f"{LARGEST_BODY * 3 // 4 // 2**20} MiB."
        )
    return None
