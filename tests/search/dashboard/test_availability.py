"""Answers of the dashboard while its database is locked, broken or away, and afterwards."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from search.dashboard.access import Access
from search.dashboard.app import dashboard_of
from search.dashboard.availability import _in_words, available
from search.dashboard.wsgi import Answer, Environ, Handler, message
from tests.search.asking import Shown, asked, shown_copy

NOTE = b'{"body": "a note", "version": 1}'


class Served:
    """Dashboard without a server."""

    def __init__(self, home: Path) -> None:
        self.file = home / "studies.db"
        self.shown: Shown = shown_copy(home)
        # A test need not wait as long as a user does.
        event.listen(self.shown.storage.engine, "connect", _impatient)
        self.shown.storage.engine.dispose()
        self.handle: Handler = dashboard_of(self.shown.storage, self.shown.home, Access())

    def ask(self, path: str = "/api/studies", method: str = "GET", content: bytes = b"") -> Answer:
        found = self.handle(asked(path, method, content))
        return Answer(found.status, found.headers, [found.read()])

    def assert_well(self) -> None:
        for path in ("/api/studies", "/api/studies/1"):
            found = self.ask(path)
            assert found.code == 200, found.read()


def _impatient(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=50")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    made.assert_well()
    yield made
    made.shown.storage.engine.dispose()


def assert_unavailable(found: Answer, words: str) -> None:
    assert found.code == 503
    assert found.header("Retry-After")
    reason = json.loads(found.read())["reason"]
    assert reason.startswith("The database of the studies cannot be used at the moment: ")
    assert words in reason


def test_while_another_process_writes_reading_works_and_writing_is_to_be_repeated(
    served: Served,
) -> None:
    with closing(sqlite3.connect(served.file)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        served.assert_well()
        began = time.monotonic()
        assert_unavailable(served.ask("/api/studies/1/note", "PUT", NOTE), "database is locked")
        assert time.monotonic() - began < 20  # unlike a search, which waits for a minute
        served.assert_well()
    assert served.ask("/api/studies/1/note", "PUT", NOTE).code == 204


def test_a_database_that_is_gone_is_not_made_anew_and_is_used_when_it_is_back(
    served: Served, tmp_path: Path
) -> None:
    away = tmp_path / "away.db"
    served.file.rename(away)
    for path in ("/api/studies", "/api/studies/1"):
        assert_unavailable(served.ask(path), "no longer exists")
    page = served.ask("/dashboard")
    assert page.code == 503
    assert b"no longer exists" in page.read()
    assert not served.file.exists()
    away.rename(served.file)
    served.assert_well()


def test_another_database_in_its_place_is_not_mixed_up_with_it(served: Served) -> None:
    copy = served.file.with_name("copy.db")
    copy.write_bytes(served.file.read_bytes())
    copy.rename(served.file)
    assert_unavailable(served.ask(), "restart the dashboard")


def test_a_database_without_its_tables_is_answered_with_a_sentence(served: Served) -> None:
    with closing(sqlite3.connect(served.file)) as other, other:
        other.execute("ALTER TABLE studies RENAME TO elsewhere")
    assert_unavailable(served.ask("/api/studies"), "no such table: studies")
    with closing(sqlite3.connect(served.file)) as other, other:
        other.execute("ALTER TABLE elsewhere RENAME TO studies")
    served.assert_well()


def test_a_file_of_nonsense_is_answered_with_a_sentence(served: Served) -> None:
    served.shown.storage.engine.dispose()
    served.file.write_bytes(b"nonsense" * 4096)
    assert_unavailable(served.ask("/api/studies"), "file is not a database")
    assert served.ask("/static/bundle.js.LICENSE.txt").code == 200


def test_a_wrong_request_is_not_an_outage(served: Served) -> None:
    huge = 10**30
    for path in (
        *("/api/studies/99", "/api/studies/99/param_importances", "/nonsense"),
        *(f"/api/studies/{huge}", f"/api/studies/{huge}/param_importances", f"/csv/{huge}"),
    ):
        assert served.ask(path).code in {404, 500}, path
    twice = b'{"study_name": "small", "directions": ["maximize"]}'
    assert served.ask("/api/studies", "POST", twice).code == 400
    served.assert_well()


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("INSERT INTO studies (study_id, study_name) VALUES (1, 'small')", 500),
        ("SELECT * FROM nonsense", 503),
    ],
)
def test_a_refused_row_is_not_an_outage(question: str, code: int, served: Served) -> None:
    storage = served.shown.storage

    def fail(environ: Environ) -> Answer:
        with storage.engine.connect() as connection, suppress(DBAPIError):
            connection.execute(text(question))
        return message(environ, HTTPStatus.INTERNAL_SERVER_ERROR, "It failed.")

    assert available(fail, storage)(asked()).code == code


def test_an_artifact_whose_file_is_gone_is_not_found(served: Served) -> None:
    path = served.shown.paths["study: image.png"]
    assert served.ask(path).read().startswith(b"\x89PNG")
    (served.shown.folder / path.rpartition("/")[2]).unlink()
    found = served.ask(path)
    assert (found.code, found.read()) == (404, b"The file of this artifact cannot be read.\n")
    assert served.ask(served.shown.paths["trial: image.png"]).code == 200


def test_nothing_is_printed_or_logged(
    served: Served, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    served.ask("/api/studies", "POST", b"nonsense")
    failed = served.handle(asked("/api/studies/1", QUERY_STRING="after=nonsense"))
    assert (failed.code, failed.read()) == (500, b'{"reason": "internal server error"}')
    served.file.unlink()
    served.ask()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []  # a record without a handler is printed


def test_the_message_of_a_database_server_is_not_shown_to_clients() -> None:
    words = _in_words(RuntimeError('password authentication failed for user "ada" at db.lab'))
    assert words == "its server reports an error"
    assert _in_words(sqlite3.OperationalError("database is locked")) == "database is locked"
