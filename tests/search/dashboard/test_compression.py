"""Compression of answers with gzip."""

import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.dashboard.compression import accepts_gzip, compressed
from search.dashboard.wsgi import Answer, Environ
from tests.search.asking import asked

TEXT = b'{"trials": [' + b"1.25, " * 5000 + b"0]}"


class Files:
    """Body that must be closed."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.closed = False

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield from (self.content[:100], self.content[100:])

    def close(self) -> None:
        self.closed = True


def answer(
    accept: str | None,
    kind: str = "application/json",
    content: bytes = TEXT,
    status: str = "200 OK",
    method: str = "GET",
    path: str = "/api/studies/1",
    **headers: str,
) -> tuple[Answer, Environ, Files]:
    """Return the answer, the request as the inner handler saw it, and the body that it returned."""
    heard: list[Environ] = []
    body = Files(content)

    def inside(environ: Environ) -> Answer:
        heard.append(environ)
        given = {"Content-Type": kind, "Content-Length": str(len(content))}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return Answer(status, [one for one in given.items() if one[1]], body)

    accepting = {} if accept is None else {"HTTP_ACCEPT_ENCODING": accept}
    return compressed(inside)(asked(path, method, **accepting)), heard[0], body


@pytest.mark.parametrize(
    "kind",
    [
        *("application/json", "text/html; charset=UTF-8", "text/csv; chatset=cp932", "text/css"),
        *("text/javascript; charset=UTF-8", "application/javascript", "TEXT/HTML"),
    ],
)
def test_a_large_text_is_compressed_for_clients_that_accept_it(kind: str) -> None:
    found, _, body = answer("gzip, deflate, br", kind, ETag='"1"')
    content = found.read()
    assert gzip.decompress(content) == TEXT
    assert found.header("Content-Encoding") == "gzip"
    assert found.header("Content-Length") == str(len(content))
    assert len([name for name, _ in found.headers if name.lower() == "content-length"]) == 1
    assert found.header("Vary") == "Accept-Encoding"
    assert found.header("Content-Type") == kind
    assert found.header("ETag") == ""
    assert body.closed


@pytest.mark.parametrize("accept", [None, "", "identity", "gzip;q=0", "br"])
def test_other_clients_get_it_unchanged_and_caches_know_that_it_varies(accept: str | None) -> None:
    found, _, _ = answer(accept, ETag='"1"')
    assert found.read() == TEXT
    assert found.header("Content-Encoding") == ""
    assert found.header("Content-Length") == str(len(TEXT))
    assert found.header("Vary") == "Accept-Encoding"
    assert found.header("ETag") == '"1"'


@pytest.mark.parametrize(
    "kind",
    ["image/png", "image/svg+xml", "application/pdf", "application/octet-stream", "video/mp4", ""],
)
def test_anything_but_text_is_left_unchanged(kind: str) -> None:
    found, _, _ = answer("gzip", kind)
    assert found.read() == TEXT
    assert found.header("Vary") == found.header("Content-Encoding") == ""


def test_a_stream_of_unknown_length_is_left_unchanged() -> None:
    found, _, body = answer("gzip", "text/csv", Content_Length="")
    assert found.body is body
    assert found.header("Content-Encoding") == ""


def test_small_failed_or_compressed_answers_are_left_unchanged() -> None:
    for changes in (
        {"content": b"{}" * 400},
        {"status": "206 Partial Content"},
        {"status": "404 Not Found"},
        {"Content_Encoding": "gzip"},
        {"method": "HEAD"},
    ):
        found, _, body = answer("gzip", **changes)  # type: ignore[arg-type]
        assert found.body is body, changes
        assert found.header("Content-Length") == str(len(body.content))


def test_optuna_dashboard_is_asked_only_for_its_precompressed_scripts() -> None:
    for accept, path, expected in (
        ("gzip", "/static/bundle.js", "gzip"),
        ("gzip;q=0", "/static/bundle.js", ""),
        (None, "/static/bundle.js", ""),
        ("gzip", "/favicon.ico", ""),
        ("gzip", "/api/studies", ""),
    ):
        _, heard, _ = answer(accept, path=path)
        assert heard["HTTP_ACCEPT_ENCODING"] == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        *(("gzip", True), ("GZip", True), ("x-gzip", True), ("br,gzip", True), (" gzip ", True)),
        *(("gzip;q=1", True), ("gzip; q=0.001", True), ("gzip ;Q=0.5 , br", True), ("*", True)),
        *(("gzip;q=0", False), ("gzip;q=0.000", False), ("gzip;q=0, *", False), ("*;q=0", False)),
        *(("", False), ("identity", False), ("br;q=1.0", False), ("notgzip", False)),
        *(("gzip2", False), ("gzip;q=x", False), ("gzip;q=2", False), ("gzip;q=-1", False)),
        *(("gzip;q=0;q=1", False), ("gzip;level=9", False), ("gzip;q=\xb2", False), (";", False)),
    ],
)
def test_the_header_is_read_as_its_standard_says(header: str, expected: bool) -> None:
    assert accepts_gzip(header) is expected


@given(st.text(st.characters(max_codepoint=0xFF), max_size=60))
def test_no_header_is_an_error(header: str) -> None:
    if accepts_gzip(header):
        assert re.search(r"gzip|\*", header.lower())
