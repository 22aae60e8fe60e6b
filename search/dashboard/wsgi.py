"""WSGI (PEP 3333) in records: requests, answers, and functions that turn one into the other."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

__all__ = [
    "Answer",
    "App",
    "Environ",
    "Handler",
    "Headers",
    "app_of",
    "handler_of",
    "message",
    "path_of",
]

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True)
class Answer:
    """Answer to one request.

    Attributes:
        status: Code and phrase, such as ``404 Not Found``.
        headers: Names and values, in latin-1 as WSGI requires.
        body: Content in pieces. Code that does not pass it on must close it.
    """

    status: str
    headers: Headers
    body: Iterable[bytes]

    @property
    def code(self) -> int:
        """Status as a number."""
        return int(self.status[:3])

    def header(self, name: str) -> str:
        """Return the value of a header, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def having(self, *headers: tuple[str, str]) -> "Answer":
        """Return the same answer with these headers in place of its own of the same names."""
        given = {name.lower() for name, _ in headers}
        others = [(name, value) for name, value in self.headers if name.lower() not in given]
        return Answer(self.status, [*others, *headers], self.body)

    def read(self) -> bytes:
        """Return the whole content, and close the body."""
        try:
            return b"".join(self.body)
        finally:
            self.close()

    def close(self) -> None:
        """Close the files that the body holds open."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()


Handler = Callable[[Environ], Answer]
"""Function that answers a request. Each layer of the dashboard wraps another."""


def handler_of(app: App) -> Handler:
    """Return a handler for `app`, which must call `start_response` before it returns, as Bottle does."""

    def handle(environ: Environ) -> Answer:
        started: list[tuple[str, Headers]] = []

        def start_response(status: str, headers: Headers, _error: object = None) -> None:
            started.append((status, headers))

        body = app(environ, start_response)
        status, headers = started[-1]
        return Answer(status, headers, body)

    return handle


def app_of(handle: Handler) -> App:
    """Return an application that a WSGI server can serve."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = handle(environ)
        start_response(answer.status, answer.headers)
        return answer.body

    return app


def path_of(environ: Environ) -> str:
    """Return the path of a request."""
    return str(environ.get("PATH_INFO", ""))


def message(environ: Environ, status: HTTPStatus, sentence: str) -> Answer:
    """Return an answer of one sentence, in the form that the dashboard's own pages show to the user."""
    if path_of(environ).startswith("/api/"):
        kind, text = "application/json", json.dumps({"reason": sentence})
    else:
        kind, text = "text/plain; charset=utf-8", f"{sentence}\n"
    content = text.encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(content)))]
    body = [] if environ.get("REQUEST_METHOD") == "HEAD" else [content]
    return Answer(f"{status.value} {status.phrase}", headers, body)
