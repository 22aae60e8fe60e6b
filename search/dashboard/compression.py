"""Compression of answers with gzip."""

import gzip
import re

from search.dashboard.wsgi import Answer, Environ, Handler, path_of

__all__ = ["LEVEL", "accepts_gzip", "compressed"]

LEVEL = 1
"""Compression level. Level 1 sends an eighth of a large study's bytes. Higher levels cost more time than
they save at 100 Mbit/s, and save almost none at 10 Mbit/s (`python -m bench.dashboard`)."""
SMALLEST = 1000
"""Bytes below which compression is not worthwhile: they fit into one packet of a network anyway."""
TEXT = re.compile(r"(?:text/[a-z.+-]+|application/(?:json|javascript)) *(?:;.*)?", re.IGNORECASE)
QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE | re.ASCII)


def compressed(handle: Handler) -> Handler:
    """Wrap `handle` so that texts are compressed with gzip where the client accepts it.

    Images are compressed already. Artifacts come as streams of unknown length and are left as they are.
    """

    def compress(environ: Environ) -> Answer:
        accepted = accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        # optuna-dashboard looks for the letters "gzip" in a header that must be there, has its scripts
        # compressed already, and sends its icon compressed without saying so.
        own = "gzip" if accepted and path_of(environ).startswith("/static/") else ""
        answer = handle({**environ, "HTTP_ACCEPT_ENCODING": own})
        length = answer.header("Content-Length")
        if not length or not TEXT.fullmatch(answer.header("Content-Type")):
            return answer
        answer = answer.having(("Vary", "Accept-Encoding"))
        encoded = answer.header("Content-Encoding") or answer.code != 200
        if encoded or not accepted or int(length) < SMALLEST or environ["REQUEST_METHOD"] == "HEAD":
            return answer
        content = gzip.compress(answer.read(), LEVEL, mtime=0)
        # A strong ETag identifies the bytes before compression.
        headers = [one for one in answer.headers if one[0].lower() != "etag"]
        return Answer(answer.status, headers, [content]).having(
            ("Content-Encoding", "gzip"), ("Content-Length", str(len(content)))
        )

    return compress


def accepts_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding header allows gzip (RFC 9110, section 12.5.3).

    >>> accepts_gzip("br, gzip;q=0.5"), accepts_gzip("gzip;q=0, *"), accepts_gzip("*")
    (True, False, True)
    """
    allowed: dict[str, bool] = {}
    for part in header.split(","):
        coding, *parameters = (word.strip().lower() for word in part.split(";"))
        quality = QUALITY.fullmatch(parameters[0]) if len(parameters) == 1 else None
        if not parameters or quality is not None:
            allowed[coding] = quality is None or float(quality[1]) > 0
        else:
            allowed[coding] = False
    return allowed.get("gzip", allowed.get("x-gzip", allowed.get("*", False)))
