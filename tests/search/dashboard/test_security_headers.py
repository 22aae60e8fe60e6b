"""Restrictions on the dashboard's answers in a browser, and on requests that change studies."""

import gzip
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi

from search.dashboard.access import Access
from search.dashboard.app import dashboard_of
from search.dashboard.wsgi import Handler
from tests.search.asking import PNG, Shown, asked, shown_study

SHOWN = {"image.png"}
PLOTS = ("contour", "slice", "parallel_coordinate", "rank", "edf", "timeline", "pareto_front")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def shown(home: Path) -> Iterator[Shown]:
    made = shown_study(home)
    yield made
    made.storage.engine.dispose()


@pytest.fixture(scope="module")
def handle(shown: Shown) -> Handler:
    return dashboard_of(shown.storage, shown.home, Access())


def routes(shown: Shown) -> list[tuple[str, str]]:
    """Return method and path of all routes of the installed optuna-dashboard, with real identities."""
    app = wsgi(shown.storage, FileSystemArtifactStore(shown.folder))
    found: list[tuple[str, str]] = []
    for route in app.routes:
        of_trial = "<trial_id:int>/<artifact_id" in route.rule
        artifact = shown.paths[f"{'trial' if of_trial else 'study'}: page.html"].split("/")
        for plot in PLOTS if "<plot_type>" in route.rule else ("",):
            values = {
                "study_id": "1",
                "trial_id": artifact[-2] if of_trial else "3",
                "artifact_id": artifact[-1],
                "plot_type": plot,
                "history_id": "nonsense",
                "filename": "bundle.js",
                "": "",
            }
            names = re.compile(r"<([a-z_]*)(?::[^<>]*)?>")
            path = names.sub(lambda match: values[match[1]], route.rule)  # noqa: B023 - used at once
            found.append((route.method, path))
    return found


def contents(home: Path) -> tuple[list[str], dict[str, bytes]]:
    """Return everything that a dashboard could change."""
    with closing(sqlite3.connect(home / "studies.db")) as database:
        rows = list(database.iterdump())
    return rows, {file.name: file.read_bytes() for file in (home / "artifacts").iterdir()}


# ---------------------------------------------------------------------------------------- artifacts


def test_both_kinds_of_artifacts_are_confined_and_nothing_else_serves_files(
    shown: Shown, handle: Handler
) -> None:
    kinds = [path for method, path in routes(shown) if method == "GET" and "/artifacts/" in path]
    assert len(kinds) == 2
    for name, path in shown.paths.items():
        found = handle(asked(path))
        file = name.partition(": ")[2]
        assert found.code == 200
        assert found.header("Content-Security-Policy") == "sandbox", name
        assert found.header("X-Content-Type-Options") == "nosniff", name
        assert found.header("Access-Control-Allow-Origin") == ""
        disposition = found.header("Content-Disposition")
        assert disposition == ("" if file in SHOWN else "attachment"), name
        found.close()


def test_a_path_that_can_be_read_in_two_ways_serves_no_artifact(
    shown: Shown, handle: Handler
) -> None:
    # Bottle drops bytes that are not UTF-8: it would find the artifact, as a page of the site.
    for path in shown.paths.values():
        found = handle(asked(path.replace("/artifacts", "/\xffartifacts")))
        assert found.code == 400
        assert found.header("Content-Security-Policy") == "sandbox"


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "text/html",
            "image/svg+xml",
            "IMAGE/SVG",
            "image/png, text/html",
            "image/",
            "x/image/png",
        ),
        *("image/png\ttext/html", "", "application/pdf", "multipart/mixed", "text/xml"),
    ],
)
def test_only_images_sounds_and_videos_are_opened(
    kind: str, home: Path, shown: Shown, handle: Handler
) -> None:
    identity = "0123-abcd"
    (home / "artifacts" / identity).write_bytes(PNG)
    meta = {"artifact_id": identity, "filename": "x", "mimetype": kind, "encoding": None}
    shown.storage.set_study_system_attr(1, f"artifacts:{identity}", json.dumps(meta))
    found = handle(asked(f"/artifacts/1/{identity}"))
    found.close()
    assert found.header("Content-Disposition") == "attachment"


def test_the_dashboards_own_page_runs_its_scripts_and_cannot_be_framed(handle: Handler) -> None:
    for path in ("/dashboard", "/dashboard/studies/1", "/dashboard/"):
        found = handle(asked(path))
        found.close()
        policy = found.header("Content-Security-Policy")
        assert "script-src 'self'" in policy
        assert "sandbox" not in policy
        assert "frame-ancestors 'none'" in policy


def test_every_answer_has_the_headers_that_isolate_it(shown: Shown, handle: Handler) -> None:
    paths = [path for method, path in routes(shown) if method == "GET"]
    for path in (*paths, "/nonsense", "/artifacts/1/ab", "/\xff"):
        found = handle(asked(path))
        found.close()
        assert found.header("X-Frame-Options") == "DENY", path
        assert found.header("X-Content-Type-Options") == "nosniff", path
        assert found.header("Referrer-Policy") == "same-origin", path
        assert found.header("Cross-Origin-Resource-Policy") == "same-origin", path
        policy = found.header("Content-Security-Policy")
        if path.startswith("/api/"):
            assert found.header("Content-Type") == "application/json", path
        else:
            assert (policy == "sandbox") is not path.startswith("/dashboard"), path
        names = [name.lower() for name, _ in found.headers]
        assert len(set(names)) == len(names), found.headers


# --------------------------------------------------------------------------------------- read-only


def test_no_route_that_reads_changes_anything(home: Path, shown: Shown) -> None:
    """Fails for a version of optuna-dashboard in which a GET writes."""
    handle = dashboard_of(shown.storage, shown.home, Access(read_only=True))
    before = contents(home)
    looks = [path for method, path in routes(shown) if method == "GET"]
    assert len(looks) > 12
    for path in looks:
        for method in ("GET", "HEAD", "OPTIONS"):
            found = handle(asked(path, method))
            found.read()
            assert found.code != 403, path
    assert contents(home) == before


def test_read_only_refuses_every_route_that_writes(home: Path, shown: Shown) -> None:
    handle = dashboard_of(shown.storage, shown.home, Access(read_only=True))
    before = contents(home)
    changing = [(method, path) for method, path in routes(shown) if method != "GET"]
    assert len(changing) > 15
    for method, path in changing:
        for written in (method, method.lower()):
            found = handle(asked(path, written, b"{}"))
            assert found.code == 403, (method, path)
            assert b"This dashboard is read-only" in found.read()
    assert contents(home) == before
    with_rights = dashboard_of(shown.storage, shown.home, Access())
    note = asked("/api/studies/1/note", "PUT", b'{"body": "a note", "version": 1}')
    assert with_rights(note).code == 204
    assert contents(home) != before


# ------------------------------------------------------------------------------------- compression


def test_a_study_is_the_same_compressed_or_not(handle: Handler) -> None:
    def study(**headers: str) -> tuple[Any, bytes]:
        found = handle(asked("/api/studies/1", **headers))
        content = found.read()
        assert found.header("Content-Length") == str(len(content))
        return found, content

    found, small = study(HTTP_ACCEPT_ENCODING="gzip")
    assert found.header("Content-Encoding") == "gzip"
    _, plain = study()
    assert gzip.decompress(small) == plain
    assert len(small) < len(plain) / 2
    assert len(json.loads(plain)["trials"]) == 3


def test_scripts_are_sent_as_optuna_dashboard_has_compressed_them(handle: Handler) -> None:
    found = handle(asked("/static/bundle.js", HTTP_ACCEPT_ENCODING="gzip"))
    small = found.read()
    assert found.header("Content-Encoding") == "gzip"
    assert found.header("Vary") == "Accept-Encoding"
    assert found.header("Content-Length") == str(len(small))
    plain = handle(asked("/static/bundle.js"))
    assert plain.header("Content-Encoding") == ""
    assert gzip.decompress(small) == plain.read()


def test_the_icon_is_an_icon(handle: Handler) -> None:
    for accepted in ({}, {"HTTP_ACCEPT_ENCODING": "gzip"}):
        found = handle(asked("/favicon.ico", **accepted))
        assert found.read().startswith(b"\0\0\1\0")
        assert found.header("Content-Encoding") == ""


def test_images_are_not_compressed_again(shown: Shown, handle: Handler) -> None:
    found = handle(asked(shown.paths["trial: image.png"], HTTP_ACCEPT_ENCODING="gzip"))
    assert found.read() == PNG
    assert found.header("Content-Encoding") == ""
