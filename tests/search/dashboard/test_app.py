"""optuna-dashboard as the service serves it: to browsers on this machine, and not to other websites."""

import base64
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

from search.cli import run as run_here
from search.commands.dashboard import _explained
from search.commands.running import ServeWish, run_search
from search.dashboard import server as listening
from search.dashboard.access import PASSWORD_VARIABLE, access_to
from search.dashboard.server import place_of
from search.events import Observer, SweepsProgress
from search.home import Home
from tests.search.asking import shown_study
from tests.search.conftest import Undisturbed
from tests.search.running import FAST, Database, Running, begin, ended, needs_proc, space_file
from tests.search.study.test_optuna_sees_it import the_study

pytestmark = needs_proc

PNG = b"\x89PNG\r\n\x1a\n"


class Site:
    """Dashboard at the address that a command has printed."""

    def __init__(self, running: Running) -> None:
        found = running.until(
            lambda: re.search(r"dashboard is at http://\[?([\d.:]+?)\]?:(\d+)/", running.out),
            "it has printed its address",
        )
        self.host, self.port = found[1], int(found[2])

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        """Return status and content."""
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=30)) as connection:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()

    def fetch(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and content."""
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=30)) as connection:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return response.status, found, response.read()

    def artifact(self, undisturbed: Undisturbed) -> str:
        """Return the path of the plot of the study's LR-range test."""
        (study,) = self.studies()
        every = undisturbed.database.artifacts()
        (artifact,) = (one for one in every if one.filename == "lr-range-sgd_lr.png")
        return f"/artifacts/{study['study_id']}/{artifact.artifact_id}"

    def studies(self) -> list[dict[str, Any]]:
        """Return the studies that it lists."""
        status, content = self.ask("/api/studies")
        assert status == 200, content
        found: list[dict[str, Any]] = json.loads(content)["study_summaries"]
        return found


@pytest.fixture(scope="module", autouse=True)
def _no_password_of_the_users() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(PASSWORD_VARIABLE, raising=False)
        yield


@pytest.fixture(scope="module")
def site(undisturbed: Undisturbed) -> Iterator[Site]:
    """Serve the dashboard of a finished study."""
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


def test_it_serves_the_plot_of_the_lr_range_test(site: Site, undisturbed: Undisturbed) -> None:
    status, headers, content = site.fetch(site.artifact(undisturbed))
    assert status == 200
    assert content.startswith(PNG)
    assert headers["content-type"] == "image/png"
    (study,) = site.studies()
    _, detail = site.ask(f"/api/studies/{study['study_id']}")
    document = json.loads(detail)
    names = sorted(one["filename"] for one in document["artifacts"])
    assert names == ["lr-range-sgd_lr.png", "report.html"]
    assert "[report.html](/artifacts/" in document["note"]["body"]


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


def test_it_answers_its_own_page_and_refuses_another_websites(site: Site) -> None:
    for host in ("127.0.0.1", "localhost"):
        own = {"Host": f"{host}:{site.port}", "Origin": f"http://{host}:{site.port}"}
        assert site.ask("/api/studies", **own)[0] == 200
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        for method in ("GET", "DELETE"):
            status, content = site.ask("/api/studies", method, **headers)
            assert status == 403, content
            assert b"tiny" not in content


# ------------------------------------------------------------------------------ other machines


def authorization(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of a small study."""
    home = tmp_path_factory.mktemp("home")
    shown_study(home).storage.engine.dispose()
    return home


@pytest.mark.slow
def test_other_machines_need_the_password_that_is_printed_once(small: Path) -> None:
    arguments = ("dashboard", "--host", "0.0.0.0", "--port", 0, "--home", small)  # noqa: S104
    with begin(*arguments, folder=small) as running:
        site = Site(running)
        out = running.until(
            lambda: running.out if "Safer" in running.out else None, "it has said all"
        )
        assert "NOT encrypted" in out
        assert f"ssh -L {site.port}:localhost:{site.port} " in out
        (password,) = re.findall(r"password, with any user name, is: (\S{20,})\n", out)
        assert out.count(password) == 1
        assert password not in "".join(running.processes().values())
        for path in ("/", "/dashboard", "/api/studies", "/static/bundle.js", "/artifacts/1/ab"):
            status, headers, _ = site.fetch(path)
            assert status == 401, path
            assert headers["www-authenticate"].startswith("Basic ")
        assert site.ask("/api/studies/1", "DELETE")[0] == 401
        assert site.ask("/api/studies", **authorization(password[:-1]))[0] == 401
        status, content = site.ask("/api/studies", **authorization(password))
        assert status == 200
        assert b"small" in content


def test_a_password_of_ones_own_is_not_printed_read_only_changes_nothing_and_ctrl_c_ends_it(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "open sesame")
    arguments = ("dashboard", "--host", "localhost", "--port", 0, "--read-only", "--home", small)
    with begin(*arguments, folder=small) as running:
        site = Site(running)
        assert site.host == "127.0.0.1"
        own = authorization("open sesame")
        assert site.ask("/api/studies")[0] == 401
        assert site.ask("/api/studies", **own)[0] == 200
        status, content = site.ask("/api/studies/1", "DELETE", **own)
        assert status == 403
        assert b"This dashboard is read-only" in content
        assert site.ask("/api/studies/1", **own)[0] == 200
        assert "open sesame" not in running.out + running.err
        assert f"It asks for the password in {PASSWORD_VARIABLE}" in running.out
        # A browser that keeps a connection open must not delay the end.
        with socket.create_connection((site.host, site.port)):
            time.sleep(0.3)  # CPython may lose a signal that meets the start of a thread
            running.signal(signal.SIGINT)
            result = ended(running, 130, seconds=30.0)
    assert "Traceback" not in result.err
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((site.host, site.port), timeout=5).close()


def explained(host: str, password: str | None = None, *, read_only: bool = False) -> str:
    place = place_of(host, 8080)
    access, generated = access_to(place, password, read_only=read_only)
    return "\n".join(_explained(place, access, 8080, generated))


def test_the_output_says_who_can_look_and_what_to_beware_of() -> None:
    assert explained("127.0.0.1") == ""
    assert explained("::1", read_only=True) == "It is read-only: nothing can be changed."
    assert explained("localhost", "mine") == (
        "It asks for the password in CIFAR_SEARCH_PASSWORD, with any user name."
    )
    for host in ("192.0.2.1", "::"):
        for text in (explained(host), explained(host, "mine"), explained(host, read_only=True)):
            assert "NOT encrypted" in text
            assert "ssh -L 8080:localhost:8080 " in text
            assert "mine" not in text
            assert ("From other machines, it is at http://" in text) is (host == "::")
    assert "anyone who can reach it can see every study" in explained("::", read_only=True)
    assert "no password" not in explained("::", "mine", read_only=True)


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run_here([str(one) for one in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return str(err)


def test_an_address_that_cannot_be_used_is_wrong_usage_with_a_way_out(
    capsys: pytest.CaptureFixture[str], small: Path
) -> None:
    err = said(capsys, "dashboard", "--home", small, "--host", "no such host")
    assert "--host must be an address or a name of this machine, but got 'no such host'" in err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        err = said(capsys, "dashboard", "--home", small, "--port", port)
    assert f"127.0.0.1:{port}: Address already in use" in err
    assert "--port 0" in err


def test_without_studies_it_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    err = said(capsys, "dashboard", "--port", 0, "--home", tmp_path / "home")
    assert "cifar-search start" in err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", ["dashboard", "start --space batch_size --dashboard"])
def test_a_password_that_cannot_be_typed_is_wrong_usage_before_anything_starts(
    command: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "")
    err = said(capsys, *command.split(), "--home", tmp_path / "home")
    assert f"{PASSWORD_VARIABLE} must be a password that can be typed" in err
    assert not (tmp_path / "home").exists()


def test_a_search_continues_without_a_dashboard_that_cannot_be_served(
    capsys: pytest.CaptureFixture[str], small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(24, "Too many open files")

    def search(observe: Observer, _: Path) -> Any:
        observe(SweepsProgress(1, 2))
        observe(SweepsProgress(2, 2))
        raise KeyboardInterrupt

    monkeypatch.setattr(listening, "_Server", full)
    url = f"sqlite:///{small}/studies.db"
    code = run_search(Home(small), url, None, search, serve=ServeWish(), as_json=True)
    assert code == 130
    _, err = capsys.readouterr()
    assert err.count("There is no dashboard: ") == 1
    assert "Too many open files" in " ".join(err.split())


@pytest.mark.slow
def test_a_running_search_serves_it_and_is_not_disturbed(
    plain_images: Path, tmp_path: Path
) -> None:
    database = Database(tmp_path)
    command = ("start", "--space", space_file(tmp_path), *FAST, "--home", tmp_path, "--dashboard")
    wishes = ("--trials", 1, "--epochs", 5, "--lr-bounds", "off")
    with begin(*command, *wishes, folder=tmp_path, data=plain_images) as running:
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
