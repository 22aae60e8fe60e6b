"""optuna-dashboard as the service serves it: to this machine's browsers, and to no foreign page."""

import http.client
import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from optuna_dashboard import wsgi

from tests.search.conftest import Undisturbed
from tests.search.running import FAST, Database, Running, begin, ended, needs_proc, run, space_file
from tests.search.test_optuna_sees_it import the_study

pytestmark = needs_proc

PNG = b"\x89PNG\r\n\x1a\n"
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Site:
    """The address that a command has printed."""

    def __init__(self, running: Running) -> None:
        found = running.until(
            lambda: re.search(r"dashboard is at http://([\d.]+):(\d+)/", running.out),
            "it has printed its address",
        )
        self.host, self.port = found[1], int(found[2])

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        """Status and content; the headers are as a browser would send them, or as given."""
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=30)) as connection:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()

    def fetch(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content."""
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=30)) as connection:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return response.status, found, response.read()

    def artifact(self, undisturbed: Undisturbed) -> str:
        """Where the picture of the study's LR-range test is."""
        (study,) = self.studies()
        (artifact,) = undisturbed.database.artifacts()
        return f"/artifacts/{study['study_id']}/{artifact.artifact_id}"

    def studies(self) -> list[dict[str, Any]]:
        """The studies that it lists."""
        status, content = self.ask("/api/studies")
        assert status == 200, content
        found: list[dict[str, Any]] = json.loads(content)["study_summaries"]
        return found


@pytest.fixture(scope="module")
def site(undisturbed: Undisturbed) -> Iterator[Site]:
    """The dashboard of a finished study."""
    arguments = ("dashboard", "--port", 0, "--home", undisturbed.home)
    with begin(*arguments, folder=undisturbed.folder) as running:
        yield Site(running)


def test_it_serves_the_pages_and_the_studies(site: Site) -> None:
    (study,) = site.studies()
    assert study["study_name"] == "tiny"
    status, content = site.ask(f"/dashboard/studies/{study['study_id']}")
    assert status == 200
    assert b"<html" in content.lower()
    status, content = site.ask(f"/api/studies/{study['study_id']}")
    assert status == 200
    assert len(json.loads(content)["trials"]) == 11


def test_it_serves_the_picture_of_the_lr_range_test(site: Site, undisturbed: Undisturbed) -> None:
    status, headers, content = site.fetch(site.artifact(undisturbed))
    assert status == 200
    assert content.startswith(PNG)
    assert headers["content-type"] == "image/png"
    (study,) = site.studies()
    _, detail = site.ask(f"/api/studies/{study['study_id']}")
    assert [one["filename"] for one in json.loads(detail)["artifacts"]] == ["lr-range-sgd_lr.png"]


def test_what_an_artifact_holds_cannot_run_as_a_page_of_the_site(
    site: Site, undisturbed: Undisturbed
) -> None:
    place = site.artifact(undisturbed)
    for path in (place, f"{place}0", "/artifacts/nonsense"):  # of those that are not there too
        _, headers, _ = site.fetch(path)
        assert headers["content-security-policy"] == "sandbox", path
        assert headers["x-content-type-options"] == "nosniff", path
    (study,) = site.studies()
    for path in ("/dashboard", f"/api/studies/{study['study_id']}"):
        # The site's own pages have scripts that must run.
        assert "sandbox" not in site.fetch(path)[1].get("content-security-policy", "")


def test_an_artifact_is_refused_to_a_foreign_page(site: Site, undisturbed: Undisturbed) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        status, _, content = site.fetch(site.artifact(undisturbed), **headers)
        assert status == 403
        assert not content.startswith(PNG)


@pytest.mark.parametrize("name", ["../studies.db", "..%2Fstudies.db", "%2e%2e/studies.db", ""])
def test_no_other_file_of_the_home_is_an_artifact(
    name: str, site: Site, undisturbed: Undisturbed
) -> None:
    folder = site.artifact(undisturbed).rpartition("/")[0]
    status, _, content = site.fetch(f"{folder}/{name}")
    assert status >= 400
    assert b"SQLite" not in content


def test_it_listens_on_the_loopback_address_only(site: Site) -> None:
    assert site.host == "127.0.0.1"
    line = next(
        line
        for line in Path("/proc/net/tcp").read_text().splitlines()
        if f":{site.port:04X} 00000000:0000 0A" in line  # listening
    )
    assert line.split()[1].startswith("0100007F:"), line
    with socket.socket(socket.AF_INET6) as other:
        assert other.connect_ex(("::1", site.port)) != 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1.evil.example:{port}"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_it_refuses_what_a_foreign_page_would_send(
    method: str, headers: dict[str, str], site: Site
) -> None:
    given = {key: value.format(port=site.port) for key, value in headers.items()}
    status, content = site.ask("/api/studies", method, **given)
    assert status == 403, content
    assert b"tiny" not in content


def test_it_answers_its_own_page(site: Site) -> None:
    for host in ("127.0.0.1", "localhost"):
        own = {"Host": f"{host}:{site.port}", "Origin": f"http://{host}:{site.port}"}
        assert site.ask("/api/studies", **own)[0] == 200


def test_ctrl_c_ends_it_and_its_port_is_free_again(undisturbed: Undisturbed) -> None:
    arguments = ("dashboard", "--port", 0, "--home", undisturbed.home)
    with begin(*arguments, folder=undisturbed.folder) as running:
        site = Site(running)
        # A browser that keeps a connection open must not hold it up.
        with socket.create_connection((site.host, site.port)):
            time.sleep(0.3)  # CPython may lose a signal that meets the start of a thread
            began = time.monotonic()
            running.signal(signal.SIGINT)
            result = ended(running, 130, seconds=20.0)
            assert time.monotonic() - began < 5.0, running.story
    assert "Traceback" not in result.err
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((site.host, site.port), timeout=5).close()


def test_a_taken_port_is_named_with_a_way_out(undisturbed: Undisturbed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ("dashboard", "--port", port, "--home", undisturbed.home)
        result = run(*arguments, folder=undisturbed.folder)
    assert result.code == 2, result
    assert f"127.0.0.1:{port}: Address already in use" in result.err
    assert "--port 0" in result.err
    assert "Traceback" not in result.err


def test_without_studies_it_says_how_to_start_one(tmp_path: Path) -> None:
    result = run("dashboard", "--port", 0, "--home", tmp_path / "home", folder=tmp_path)
    assert result.code == 2, result
    assert "cifar-search start" in result.err
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_a_search_serves_it_while_it_runs_and_is_not_disturbed(
    plain_pictures: Path, tmp_path: Path
) -> None:
    database = Database(tmp_path)
    command = ("start", "--space", space_file(tmp_path), *FAST, "--home", tmp_path, "--dashboard")
    wishes = ("--trials", 1, "--epochs", 8, "--lr-bounds", "off")
    with begin(*command, *wishes, folder=tmp_path, data=plain_pictures) as running:
        site = Site(running)
        running.until(lambda: database.epochs(0), "trial 0 has an epoch")
        (study,) = site.studies()
        assert study["study_name"] == "tiny"
        status, content = site.ask(f"/api/studies/{study['study_id']}")
        assert status == 200, content
        trial = json.loads(content)["trials"][0]
        assert trial["state"] == "Running"
        # A user's own optuna-dashboard, in another process.
        with database.opened() as opened:
            assert the_study(wsgi(opened._storage))["trials"][0]["state"] == "Running"
        result = ended(running, 0)
    assert result.err == ""
    assert database.finished() == {0: "COMPLETE"}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((site.host, site.port), timeout=5).close()


@pytest.mark.slow
def test_a_browser_shows_the_study_its_picture_and_its_trials(site: Site, tmp_path: Path) -> None:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    (study,) = site.studies()
    page_address = f"http://{site.host}:{site.port}/dashboard/studies/{study['study_id']}"
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(page_address)
            page.get_by_text("tiny").first.wait_for(timeout=30_000)
            picture = page.locator("img[src*='/artifacts/']").first
            picture.wait_for(timeout=30_000)
            picture.scroll_into_view_if_needed()
            shown = "image => image.decode().then(() => image.naturalWidth)"
            assert picture.evaluate(shown) > 800
            page.get_by_text("lr-range-sgd_lr.png").first.wait_for(timeout=30_000)
            page.screenshot(path=tmp_path / "study.png")
            page.goto(f"{page_address}/trials")
            page.get_by_text(re.compile("Trial 10")).first.wait_for(timeout=30_000)
            page.get_by_text("by hand").first.wait_for(timeout=30_000, state="attached")
            page.screenshot(path=tmp_path / "trials.png")
        finally:
            browser.close()
    assert errors == []
