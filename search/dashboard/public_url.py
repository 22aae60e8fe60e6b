"""Public address of a dashboard behind a reverse proxy."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from search.errors import UsageError

__all__ = ["PublicUrl"]

DEFAULT_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
"""A name or an address, as browsers send it."""
SEGMENT = r"[A-Za-z0-9_~][A-Za-z0-9._~-]*"
PREFIX = re.compile(rf"(?:/{SEGMENT})*")
"""Characters that mean the same in a URL, in HTML and in a script."""
OWN_PATHS = ("api", "artifacts", "csv", "dashboard", "static")
"""First segments of the dashboard's own paths: with such a prefix, a proxy that removes it could not be
told from one that keeps it."""


@dataclass(frozen=True)
class PublicUrl:
    """Address at which browsers reach the dashboard through a proxy.

    Attributes:
        origin: Scheme, host and port as browsers send them in ``Origin``.
        host: Host alone, in lower case.
        prefix: Path without a slash at its end; empty for the root.
    """

    origin: str
    host: str
    prefix: str

    @classmethod
    def parse(cls, text: str, option: str = "--url") -> "PublicUrl":
        """Read an address such as ``https://host/prefix/``.

        >>> PublicUrl.parse("https://Tuning.example:443/cifar/")
        PublicUrl(origin='https://tuning.example', host='tuning.example', prefix='/cifar')

        Args:
            text: The address.
            option: Option that errors name.

        Raises:
            UsageError: It is not an address that browsers can open, or its path cannot be used.
        """
        try:
            parts = urlsplit(text.strip())
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        if parts.scheme not in DEFAULT_PORTS or not HOST.fullmatch(host) or "@" in parts.netloc:
            raise UsageError(
                f"{option} must be the address that browsers open, such as https://host/prefix/, but got "
                f"{text!r}."
            )
        prefix = parts.path.rstrip("/")
        if not PREFIX.fullmatch(prefix) or parts.query or parts.fragment:
            raise UsageError(
                f"The path in {option} may have letters, digits, and . _ ~ - between slashes, but got "
                f"{text!r}."
            )
        if prefix.split("/")[1:2] and prefix.split("/")[1] in OWN_PATHS:
            raise UsageError(
                f"The path in {option} must not start with {', '.join(OWN_PATHS)}, which are paths of the "
                f"dashboard itself, but got {text!r}. Choose another prefix in the proxy."
            )
        shown = f"[{host}]" if ":" in host else host
        if port is not None and port != DEFAULT_PORTS[parts.scheme]:
            shown = f"{shown}:{port}"
        return cls(f"{parts.scheme}://{shown}", host, prefix)

    def __str__(self) -> str:
        return f"{self.origin}{self.prefix}/"
