"""Paths and links of a dashboard behind a reverse proxy."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.dashboard import reverse_proxy
from search.dashboard.access import Access
from search.dashboard.app import dashboard_of
from search.dashboard.public_url import PublicUrl
from search.dashboard.reverse_proxy import script_under, unprefixed
from search.dashboard.wsgi import Answer, Environ, Handler, path_of
from search.errors import ServiceError
from tests.search.asking import Shown, asked, shown_copy

SCRIPT = "/static/bundle.js"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    made = shown_copy(tmp_path_factory.mktemp("home"))
    yield made
    made.storage.engine.dispose()


@pytest.fixture(scope="module")
def handle(shown: Shown) -> Handler:
    access = Access(public=PublicUrl.parse("https://tuning.example/cifar/"))
    return dashboard_of(shown.storage, shown.home, access)


def ask(
    handle: Handler, path: str, method: str = "GET", body: bytes = b"", **headers: str
) -> Answer:
    """Return the answer to a request that the proxy has passed on."""
    proxied = {"HTTP_HOST": "tuning.example", "HTTP_ORIGIN": "https://tuning.example"}
    return handle(asked(path, method, body, **{**proxied, **headers}))


@pytest.mark.parametrize("prefix", ["", "/cifar"])
def test_pages_work_whether_or_not_the_proxy_removes_the_path(prefix: str, handle: Handler) -> None:
    page = ask(handle, f"{prefix}/dashboard/studies/1").read()
    assert b'src="/cifar/static/bundle.js"' in page
    assert b'"/static/' not in page
    assert b'"trials":' in ask(handle, f"{prefix}/api/studies/1").read()
    note = ask(handle, f"{prefix}/api/studies/1/note", "PUT", b'{"body": "", "version": -1}')
    assert note.code == 409  # answered by optuna-dashboard, and not refused


@pytest.mark.parametrize("path", ["/", "/cifar", "/cifar/"])
def test_redirects_stay_under_the_path_and_name_no_host(path: str, handle: Handler) -> None:
    found = ask(handle, path)
    assert (found.code, found.header("Location")) == (302, "/cifar/dashboard")


def test_without_a_proxy_redirects_name_no_host_either(shown: Shown) -> None:
    found = dashboard_of(shown.storage, shown.home, Access())(asked("/"))
    assert found.header("Location") == "/dashboard"


def test_the_script_asks_for_paths_under_the_path(handle: Handler) -> None:
    found = ask(handle, f"/cifar{SCRIPT}", HTTP_ACCEPT_ENCODING="gzip")
    assert found.header("Content-Encoding") == "gzip"
    script = gzip.decompress(found.read())
    plain = ask(handle, SCRIPT)
    assert plain.read() == script
    for link in (
        b'url_prefix:"/cifar/dashboard"',
        b"`/cifar/artifacts/${",
        b"`/cifar/csv/${",
        b'e.base_url)?t:"/cifar"',
    ):
        assert link in script
    for link in (b'url_prefix:"/dashboard"', b"`/artifacts/${", b"`/csv/${"):
        assert link not in script
    again = ask(handle, SCRIPT, HTTP_IF_NONE_MATCH=plain.header("ETag"))
    assert (again.code, again.read()) == (304, b"")


def test_access_is_controlled_under_the_path_too(shown: Shown) -> None:
    access = Access(password="open sesame", public=PublicUrl.parse("https://tuning.example/cifar"))  # noqa: S106
    handle = dashboard_of(shown.storage, shown.home, access)
    artifact = shown.paths["study: page.html"]
    for path in (SCRIPT, f"/cifar{SCRIPT}", "/cifar/dashboard", f"/cifar{artifact}"):
        assert ask(handle, path).code == 401
    confined = dashboard_of(shown.storage, shown.home, Access())(asked(f"//{artifact}"))
    confined.close()
    assert confined.header("Content-Disposition") == "attachment"


def test_an_unknown_version_of_optuna_dashboard_is_an_error_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "bundle.js").write_text("const nothing = 1;")
    monkeypatch.setattr(reverse_proxy.optuna_dashboard, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ServiceError, match="host name of its own"):
        script_under("/cifar")


def test_only_the_whole_prefix_is_removed() -> None:
    seen: list[str] = []

    def note(environ: Environ) -> Answer:
        seen.append(path_of(environ))
        return Answer("200 OK", [], [])

    for path in ("/cifar/x", "/cifar", "/cifarx", "/x/cifar", "//cifar//x", ""):
        unprefixed(note, "/cifar")(asked(path))
    assert seen == ["/x", "/", "/cifarx", "/x/cifar", "/x", "/"]
