"""The dashboard in a real browser: it works behind its access control, and artifacts cannot run there."""

import http.client
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi

from search.dashboard.access import Access
from search.dashboard.app import serving
from search.dashboard.public_url import PublicUrl
from search.dashboard.server import LOOPBACK, listening, place_of
from search.dashboard.wsgi import Environ
from search.home import Home
from search.storage.opening import open_storage
from tests.search.asking import MARK, Shown, shown_study
from tests.search.conftest import Undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SIGNED_IN = {"username": "me", "password": "open sesame"}
A_PAGE_OF_IT = "/api/meta"  # without two megabytes of scripts
EMBED = """([tag, attribute, path]) => {
  const made = document.createElement(tag);
  made[attribute] = path;
  document.body.append(made);
}"""
SECONDS_TO_RUN = 0.5
"""Time in which a script that is not kept from it has sent the dashboard a request."""


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    made = shown_study(tmp_path)
    yield made
    made.storage.engine.dispose()


def ran(shown: Shown) -> bool:
    """Return whether the script of an artifact has run."""
    return any(study.study_name == "it ran" for study in shown.storage.get_all_studies())


def opened(browser: Any, address: str, seconds: float) -> None:
    """Open an artifact as a page."""
    page = browser.new_page()
    try:
        page.goto(address)
        page.wait_for_timeout(1000 * seconds)
    except Exception as error:
        if "Download is starting" not in str(error):
            raise
    finally:
        page.close()


# ----------------------------------------------------------------------------------------- working


def test_it_shows_the_study_its_plot_and_its_trials(
    browser: Any, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    storage = open_storage(undisturbed.database.url)
    access = Access(password=SIGNED_IN["password"])
    errors: list[str] = []
    with serving(storage, place_of(LOOPBACK, 0), Home(undisturbed.home), access) as address:
        page = browser.new_page(
            viewport={"width": 1400, "height": 1000}, http_credentials=SIGNED_IN
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(f"{address}dashboard/studies/1")
        page.get_by_text("tiny").first.wait_for(timeout=30_000)
        plot = page.locator("img[src*='/artifacts/']").first
        plot.wait_for(timeout=30_000)
        plot.scroll_into_view_if_needed()
        shown = "image => image.decode().then(() => image.naturalWidth)"
        assert plot.evaluate(shown) > 800
        page.get_by_text("lr-range-sgd_lr.png").first.wait_for(timeout=30_000)
        page.screenshot(path=tmp_path / "study.png")
        page.goto(f"{address}dashboard/studies/1/trials")
        page.get_by_text(re.compile("Trial 10")).first.wait_for(timeout=30_000)
        page.get_by_text("by hand").first.wait_for(timeout=30_000, state="attached")
        page.screenshot(path=tmp_path / "trials.png")
        page.close()
    storage.engine.dispose()
    assert errors == []


def test_its_own_page_may_change_things_and_read_only_may_not(browser: Any, shown: Shown) -> None:
    change = f"async () => {{ {MARK.replace('fetch(', 'return (await fetch(', 1)} }}"
    change = change.replace("});", "})).status;")
    for access, expected in ((Access(read_only=True), 403), (Access(), 201)):
        with serving(shown.storage, place_of(LOOPBACK, 0), shown.home, access) as address:
            page = browser.new_page()
            page.goto(address.removesuffix("/") + A_PAGE_OF_IT)
            assert page.evaluate(change) == expected
            assert ran(shown) is (expected == 201)
            page.close()


def test_an_artifact_is_saved_under_its_name(browser: Any, shown: Shown) -> None:
    with serving(shown.storage, place_of(LOOPBACK, 0), shown.home, Access()) as address:
        page = browser.new_page()
        page.goto(f"{address}dashboard/studies/1")
        link = page.locator("a[download='page.html'], button[download='page.html']").first
        link.wait_for(timeout=30_000)
        with page.expect_download(timeout=30_000) as download:
            link.click()
        assert download.value.suggested_filename == "page.html"
        assert b"<script>" in Path(download.value.path()).read_bytes()
        page.close()


def test_under_the_path_of_a_proxy_its_pages_links_and_notes_work(
    browser: Any, shown: Shown
) -> None:
    upstream: list[int] = []

    def proxy(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        """Pass requests under /cifar on, and answer others with 404, as another site's would be."""
        if not environ["PATH_INFO"].startswith("/cifar"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"not the dashboard"]
        names = ("HOST", "ORIGIN", "AUTHORIZATION", "ACCEPT_ENCODING", "SEC_FETCH_SITE")
        headers = {name: environ[f"HTTP_{name}"] for name in names if f"HTTP_{name}" in environ}
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        connection = http.client.HTTPConnection(LOOPBACK, upstream[0], timeout=30)
        kind = {"Content-Type": environ.get("CONTENT_TYPE") or "text/plain"}
        connection.request(
            environ["REQUEST_METHOD"], environ["PATH_INFO"] + query, body, {**headers, **kind}
        )
        answer = connection.getresponse()
        hidden = {"connection", "transfer-encoding", "server", "date"}
        kept = [one for one in answer.getheaders() if one[0].lower() not in hidden]
        start_response(f"{answer.status} {answer.reason}", kept)
        return [answer.read()]

    failed: list[str] = []
    with listening(proxy, place_of(LOOPBACK, 0)) as there:
        base = f"{there}cifar"
        access = Access(password=SIGNED_IN["password"], public=PublicUrl.parse(base))
        with serving(shown.storage, place_of(LOOPBACK, 0), shown.home, access) as address:
            upstream.append(urlsplit(address).port or 0)
            page = browser.new_page(http_credentials=SIGNED_IN)
            page.on(
                "response",
                lambda one: failed.append(one.url) if one.status >= 400 else None,
            )
            page.goto(f"{base}/", timeout=60_000)
            page.get_by_text("small").first.wait_for(timeout=60_000)
            page.get_by_text("small").first.click()
            page.wait_for_url(f"{base}/dashboard/studies/1*", timeout=30_000)
            page.locator("img[src*='/cifar/artifacts/']").first.wait_for(timeout=60_000)
            save = """path => fetch(path, {method: "PUT", headers: {"Content-Type":
            "application/json"}, body: JSON.stringify({body: "saved", version: 1})}).then(r => r.status)"""
            assert page.evaluate(save, "/cifar/api/studies/1/note") == 204
            page.close()
    assert [url for url in failed if "favicon" not in url] == []


# ----------------------------------------------------------------------------------- not running


def test_no_artifacts_script_runs(browser: Any, shown: Shown) -> None:
    paths = [path for name, path in shown.paths.items() if name.endswith(("html", "svg"))]
    assert len(paths) == 6
    with serving(shown.storage, place_of(LOOPBACK, 0), shown.home, Access()) as address:
        base = address.removesuffix("/")
        page = browser.new_page()
        page.goto(f"{base}{A_PAGE_OF_IT}")
        for path in paths:
            for opening in (path, path.replace("/artifacts", "/%ffartifacts")):
                opened(browser, base + opening, 0.0)
            for tag in ("iframe.src", "object.data", "embed.src", "img.src"):
                page.evaluate(EMBED, [*tag.split("."), path])
        page.wait_for_timeout(1000 * SECONDS_TO_RUN)
        page.close()
        assert not ran(shown)


def test_in_an_unguarded_dashboard_it_would_run(browser: Any, shown: Shown) -> None:
    """The tests above rely on this."""
    app = wsgi(shown.storage, FileSystemArtifactStore(shown.folder))
    with listening(app, place_of(LOOPBACK, 0)) as address:
        address = address.removesuffix("/")
        opened(browser, address + shown.paths["study: page.html"], SECONDS_TO_RUN)
        assert ran(shown)


def test_a_page_of_another_site_can_neither_show_nor_frame_nor_change_it(
    browser: Any, shown: Shown
) -> None:
    plot = shown.paths["study: image.png"]
    with serving(shown.storage, place_of(LOOPBACK, 0), shown.home, Access()) as address:
        base = address.removesuffix("/")
        foreign = (
            f"<!doctype html><title>foreign</title><img src='{base}{plot}'>"
            f"<iframe src='{base}/dashboard'></iframe>"
            f"<script>{MARK.replace('/api', base + '/api')}</script>"
        )

        def evil(_: Environ, start_response: Callable[..., Any]) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "text/html")])
            return [foreign.encode()]

        with listening(evil, place_of(LOOPBACK, 0)) as there:
            # As another site, and as another port of the same one.
            for host in ("localhost", LOOPBACK):
                page = browser.new_page()
                page.goto(f"http://{host}:{urlsplit(there).port}/")
                page.wait_for_timeout(1000 * SECONDS_TO_RUN)
                assert page.locator("img").evaluate("image => image.naturalWidth") == 0
                (frame,) = page.frames[1:]
                assert frame.url.startswith("chrome-error:")
                page.close()
        assert not ran(shown)
        # The image is one, and is shown where it belongs.
        page = browser.new_page()
        page.goto(base + plot)
        assert page.locator("img").evaluate("image => image.naturalWidth") == 1
        page.close()
