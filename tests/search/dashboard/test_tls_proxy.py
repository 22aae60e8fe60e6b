"""The dashboard behind a real proxy that speaks TLS: login, pages, links, and a note that is saved."""

import base64
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from search.dashboard.access import Access
from search.dashboard.app import serving
from search.dashboard.public_url import PublicUrl
from search.dashboard.server import LOOPBACK, place_of
from tests.search.asking import shown_copy

NAME, PASSWORD = "tuning.example", "open sesame"
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


class Proxy:
    """A proxy that ends TLS and passes on one request with each connection, as nginx does.

    Args:
        folder: Where its certificate is made.
    """

    def __init__(self, folder: Path) -> None:
        self.certificate, key = folder / "cert.pem", folder / "key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
        names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
        files = ["-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run([*command, *names, *files], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._listening = context.wrap_socket(socket.create_server((LOOPBACK, 0)), server_side=True)
        self.port: int = self._listening.getsockname()[1]
        self.behind = 0

    def serve(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                try:
                    client, _ = self._listening.accept()
                except ssl.SSLError:
                    continue  # a client that does not trust the certificate
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection((LOOPBACK, self.behind)) as server:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            # One request for each connection.
            server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            asked = re.search(rb"content-length: (\d+)", head.lower())
            left = int(asked[1] if asked else 0) - len(head.partition(b"\r\n\r\n")[2])
            while left > 0:
                piece = client.recv(65536)
                left -= len(piece)
                server.sendall(piece)
            while piece := server.recv(65536):
                client.sendall(piece)

    def close(self) -> None:
        self._listening.close()


class Browser:
    """What a browser sends to the public address."""

    def __init__(self, proxy: Proxy, origin: str) -> None:
        self._proxy, self._origin = proxy, origin
        self._trusts = ssl.create_default_context(cafile=proxy.certificate)

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: str | None = None,
        password: str | None = PASSWORD,
    ) -> tuple[int, dict[str, str], str]:
        headers = {"Origin": self._origin, "Sec-Fetch-Site": "same-origin"}
        if password is not None:
            word = base64.b64encode(f"me:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {word}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        asking = http.client.HTTPSConnection(NAME, self._proxy.port)
        with closing(asking):
            connected = socket.create_connection((LOOPBACK, self._proxy.port), timeout=10)
            asking.sock = self._trusts.wrap_socket(connected, server_hostname=NAME)
            asking.request(method, path, body, headers)
            answer = asking.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("proxy")
    shown, proxy = shown_copy(folder), Proxy(folder)
    public = PublicUrl.parse(f"https://{NAME}:{proxy.port}/cifar/")
    access = Access(password=PASSWORD, public=public)
    with serving(shown.storage, place_of(LOOPBACK, 0), shown.home, access) as address:
        proxy.behind = int(address.rstrip("/").rpartition(":")[2])
        threading.Thread(target=proxy.serve, daemon=True).start()
        yield Browser(proxy, public.origin)
        proxy.close()
    shown.storage.engine.dispose()


def test_it_asks_for_the_password(browser: Browser) -> None:
    code, headers, _ = browser.ask("/cifar/dashboard", password=None)
    assert (code, "Basic" in headers["WWW-Authenticate"]) == (401, True)
    assert browser.ask("/cifar/dashboard")[0] == 200


def test_every_link_stays_at_the_public_address(browser: Browser) -> None:
    code, headers, _ = browser.ask("/cifar/")
    assert (code, headers["Location"]) == (302, "/cifar/dashboard")
    _, _, page = browser.ask("/cifar/dashboard/studies/1")
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert "/cifar/static/bundle.js" in links
    for link in links:
        assert link.startswith("/cifar/"), link
        assert browser.ask(link)[0] == 200, link


def test_a_note_is_saved_and_another_websites_is_refused(browser: Browser) -> None:
    note = json.dumps({"body": "seen through TLS", "version": 1})
    assert browser.ask("/cifar/api/studies/1/note", "PUT", note)[0] == 204
    _, _, study = browser.ask("/cifar/api/studies/1")
    assert json.loads(study)["note"]["body"] == "seen through TLS"
    browser._origin, own = "https://elsewhere.example", browser._origin
    try:
        assert browser.ask("/cifar/api/studies/1/note", "PUT", note)[0] == 403
    finally:
        browser._origin = own
