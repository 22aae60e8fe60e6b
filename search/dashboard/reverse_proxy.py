"""Paths and links of a dashboard behind a reverse proxy."""

import gzip
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import optuna_dashboard

from search.dashboard.compression import accepts_gzip
from search.dashboard.wsgi import Answer, Environ, Handler, path_of
from search.errors import ServiceError

__all__ = ["linked", "unprefixed"]

SCRIPT = "/static/bundle.js"
LINKS = (
    ('url_prefix:"/dashboard"', 'url_prefix:"{prefix}/dashboard"', 1),
    ('(null!=e?e:"")}}handleResponse', '(null!=e?e:"{prefix}")}}handleResponse', 1),
    ('?void 0:e.base_url)?t:""', '?void 0:e.base_url)?t:"{prefix}"', 1),
    ("`/artifacts/${{", "`{prefix}/artifacts/${{", 2),
    ("`/csv/${{", "`{prefix}/csv/${{", 2),
)
"""Absolute paths in optuna-dashboard's script, the same with a prefix, and how often they occur (0.21)."""
PAGE_LINK = b'src="/static/'


def unprefixed(handle: Handler, prefix: str) -> Handler:
    """Wrap `handle` so that it sees paths without the prefix, whether or not the proxy has removed it.

    Several slashes at the start of a path become one, as optuna-dashboard reads them.
    """

    def strip(environ: Environ) -> Answer:
        path = "/" + path_of(environ).lstrip("/")
        if prefix and f"{path}/".startswith(f"{prefix}/"):
            path = "/" + path.removeprefix(prefix).lstrip("/")
        return handle({**environ, "PATH_INFO": path})

    return strip


def linked(handle: Handler, prefix: str) -> Handler:
    """Wrap `handle` so that its page, script and redirects lead to paths under the prefix.

    Redirects name no host, so that they stay right behind a proxy that speaks TLS.

    Raises:
        ServiceError: The installed optuna-dashboard cannot be served under a prefix.
    """
    script = script_under(prefix) if prefix else b""
    compressed = gzip.compress(script, mtime=0)
    tag = f'"{hashlib.sha256(script).hexdigest()[:32]}"'

    def link(environ: Environ) -> Answer:
        path = path_of(environ)
        if prefix and path == SCRIPT and environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            return _script_answer(environ, script, compressed, tag)
        if not prefix or not f"{path}/".startswith("/dashboard/"):
            return _relocated(handle(environ), prefix)
        # A page that the browser has kept may have been made for another prefix.
        kept = {"HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE"}
        found = handle({key: value for key, value in environ.items() if key not in kept})
        if found.code != 200 or environ["REQUEST_METHOD"] == "HEAD":
            return _relocated(found, prefix)
        page = found.read().replace(PAGE_LINK, f'src="{prefix}/static/'.encode())
        headers = [one for one in found.headers if one[0].lower() not in {"etag", "last-modified"}]
        return Answer(found.status, headers, [page]).having(("Content-Length", str(len(page))))

    return link


def script_under(prefix: str) -> bytes:
    """Return optuna-dashboard's script with the prefix in its absolute paths.

    Raises:
        ServiceError: It has other paths than the known versions.
    """
    file = Path(optuna_dashboard.__file__).parent / "public" / "bundle.js"
    script = file.read_text(encoding="utf-8")
    for before, after, times in LINKS:
        before, after = before.format(), after.format(prefix=prefix)
        if script.count(before) != times:
            raise ServiceError(
                "The installed version of optuna-dashboard cannot be served under a path: its script has "
                f"{script.count(before)} times {before!r}, and not {times}. Give the dashboard a host name "
                "of its own in the proxy, and leave the path out of --url."
            )
        script = script.replace(before, after)
    return script.encode()


def _script_answer(environ: Environ, script: bytes, compressed: bytes, tag: str) -> Answer:
    headers = [("Content-Type", "text/javascript; charset=UTF-8"), ("ETag", tag)]
    headers += [("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding")]
    if environ.get("HTTP_IF_NONE_MATCH") == tag:
        return Answer("304 Not Modified", headers, [])
    content = script
    if accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        content, headers = compressed, [*headers, ("Content-Encoding", "gzip")]
    headers = [*headers, ("Content-Length", str(len(content)))]
    return Answer("200 OK", headers, [] if environ["REQUEST_METHOD"] == "HEAD" else [content])


def _relocated(answer: Answer, prefix: str) -> Answer:
    location = answer.header("Location")
    if not location:
        return answer
    parts = urlsplit(location)
    query = f"?{parts.query}" if parts.query else ""
    return answer.having(("Location", f"{prefix}{parts.path}{query}"))
