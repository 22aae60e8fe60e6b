"""A running study can be neither deleted nor renamed in the dashboard; a stopped one can."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.dashboard.access import Access
from search.dashboard.app import dashboard_of
from search.dashboard.wsgi import Answer, Handler
from search.storage.study_lock import StudyLock
from tests.search.asking import Shown, asked, shown_copy

RENAMING = b'{"study_name": "My trial / v2"}'


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    made = shown_copy(tmp_path)
    yield made
    made.storage.engine.dispose()


@pytest.fixture
def handle(shown: Shown) -> Handler:
    return dashboard_of(shown.storage, shown.home, Access())


def assert_refused(found: Answer, verb: str) -> None:
    assert found.code == 409
    reason = json.loads(found.read())["reason"]
    assert reason.startswith(f"Study small cannot be {verb} while a search runs it (process ")
    assert "cifar-search stop small --home " in reason


@pytest.mark.parametrize("path", ["/api/studies/1", "/api/studies/01", "//api/studies/1/"])
def test_a_running_study_is_not_deleted_or_renamed(
    path: str, shown: Shown, handle: Handler
) -> None:
    with StudyLock(shown.home, shown.storage, "small"):
        assert_refused(handle(asked(path, "DELETE")), "deleted")
        assert_refused(handle(asked(path, "delete")), "deleted")
        assert_refused(handle(asked(f"{path.rstrip('/')}/rename", "POST", RENAMING)), "renamed")
    assert [one.study_name for one in shown.storage.get_all_studies()] == ["small"]


def test_whatever_else_people_do_to_a_running_study_is_done(shown: Shown, handle: Handler) -> None:
    running = shown.storage.get_all_trials(1)[-1]
    with StudyLock(shown.home, shown.storage, "small"):
        note = asked("/api/studies/1/note", "PUT", b'{"body": "a note", "version": 1}')
        assert handle(note).code == 204
        failing = asked(f"/api/trials/{running._trial_id}/tell", "POST", b'{"state": "Fail"}')
        assert handle(failing).code == 204
    assert shown.storage.get_all_trials(1)[-1].state.name == "FAIL"


def test_a_stopped_study_is_renamed_and_deleted(shown: Shown, handle: Handler) -> None:
    found = handle(asked("/api/studies/1/rename", "POST", RENAMING))
    assert found.code == 201, found.read()
    (study,) = shown.storage.get_all_studies()
    assert study.study_name == "My trial / v2"
    assert handle(asked(f"/api/studies/{study._study_id}", "DELETE")).code == 204
    assert shown.storage.get_all_studies() == []


def test_a_study_that_is_not_there_is_not_found(handle: Handler) -> None:
    assert handle(asked("/api/studies/99", "DELETE")).code in {404, 500}
