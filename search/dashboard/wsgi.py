"""The few words of WSGI (PEP 3333) that the parts of the dashboard's server share."""

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
    "path_of",
    "told",
]

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True)
class Answer:
    """What is answered to one request.

    Attributes:
        status: Code and phrase, such as ``404 Not Found``.
        headers: Names and values, in latin-1 as WSGI wants them.
        body: The content in pieces. Whoever does not hand it on must close it.
    """

    status: str
    headers: Headers
    body: Iterable[bytes]

    @property
    def code(self) -> int:
        """The status as a number."""
        return int(self.status[:3])

    def header(self, name: str) -> str:
        """The value of a header; empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def having(self, *headers: tuple[str, str]) -> "Answer":
        """The same answer with these headers instead of its own of the same names."""
        given = {name.lower() for name, _ in headers}
        others = [(name, value) for name, value in self.headers if name.lower() not in given]
        return Answer(self.status, [*others, *headers], self.body)

    def read(self) -> bytes:
        """The whole content, after which the body is closed."""
        try:
            return b"".join(self.body)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the files that the body holds open."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()


Handler = Callable[[Environ], Answer]
"""Answers a request. Each part of the server makes one out of another."""


def handler_of(app: App) -> Handler:
    """`app`, which must have called `start_response` when it returns, as Bottle's do."""

    def handle(environ: Environ) -> Answer:
        started: list[tuple[str, Headers]] = []

        def start_response(status: str, headers: Headers, _error: object = None) -> None:
            started.append((status, headers))

        body = app(environ, start_response)
        status, headers = started[-1]
        return Answer(status, headers, body)

    return handle


def app_of(handle: Handler) -> App:
    """What a WSGI server can serve."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = handle(environ)
        start_response(answer.status, answer.headers)
        return answer.body

    return app


def path_of(environ: Environ) -> str:
    """The path that is asked for."""
    return str(environ.get("PATH_INFO", ""))


def told(environ: Environ, status: HTTPStatus, sentence: str) -> Answer:
    """An answer of one sentence, in the form in which the dashboard's own pages show it to the user."""
    if path_of(environ).startswith("/api/"):
        kind, text = "application/json", json.dumps({"reason": sentence})
    else:
        kind, text = "text/plain; charset=utf-8", f"{sentence}\n"
    content = text.encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(content)))]
    nothing = environ.get("REQUEST_METHOD") == "HEAD"
    return Answer(f"{status.value} {status.phrase}", headers, [] if nothing else [content])
