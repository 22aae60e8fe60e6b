"""Access control: hosts, origins, the password, read-only, sizes of requests."""

import base64
import json
import socket
from http import HTTPStatus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search.dashboard.access import (
    LARGEST_BODY,
    PASSWORD_VARIABLE,
    Access,
    access_to,
    chosen_password,
    guarded,
    host_of,
)
from search.dashboard.server import place_of
from search.dashboard.wsgi import Answer, Environ, message
from search.errors import UsageError
from tests.search.asking import asked

HERE = Access()
WORDS = "sésame ouvre-toi"
SECRET = Access(password=WORDS)
FAR = Access(loopback=False, password=WORDS)
OPEN = Access(loopback=False, read_only=True, names=frozenset({"gpu3", "gpu3.lab.example"}))
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "delete", "get", "NONSENSE")


def answer(access: Access, environ: Environ, waited: list[float] | None = None) -> Answer:
    """Return the answer of a guarded dashboard."""
    slept = [] if waited is None else waited
    handle = guarded(lambda asked: message(asked, HTTPStatus.OK, "inside"), access, slept.append)
    return handle(environ)


def code(access: Access, environ: Environ) -> int:
    return answer(access, environ).code


def basic(password: str, user: str = "me") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# ------------------------------------------------------------------------------------------- hosts


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:1", "[::1]:8080", "localhost", "127.0.0.2:80"],
)
@pytest.mark.parametrize("access", [HERE, Access(read_only=True)])
def test_on_this_machine_it_answers_to_the_names_of_loopback(host: str, access: Access) -> None:
    assert code(access, asked(HTTP_HOST=host)) == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "127.0.0.1.evil.example:8080", "localhost.:8080"),
        *("10.0.0.1:8080", "0.0.0.0:8080", "[::]:8080", "[2001:db8::1]:8080", "x.localhost:8080"),
        socket.gethostname() + "x:8080",
    ],
)
def test_on_this_machine_no_other_name_is_answered(host: str) -> None:
    for method in METHODS:
        assert code(HERE, asked(method=method, HTTP_HOST=host)) == 403
    # A password makes no difference: nobody on this machine needs another name.
    assert code(SECRET, asked(HTTP_HOST=host, HTTP_AUTHORIZATION=basic(WORDS))) == 403


def test_without_a_password_others_may_use_addresses_and_the_machines_own_names_only() -> None:
    for host in ("10.1.2.3:8080", "[2001:db8::1]:8080", "localhost:9000", "GPU3:8080", "gpu3"):
        assert code(OPEN, asked(HTTP_HOST=host)) == 200, host
    for host in ("evil.example:8080", "gpu3.evil.example", "10.1.2.3.evil.example", "gpu33"):
        assert code(OPEN, asked(HTTP_HOST=host)) == 403, host


def test_with_a_password_others_may_use_any_name() -> None:
    own = {"HTTP_AUTHORIZATION": basic(WORDS)}
    assert code(FAR, asked(HTTP_HOST="an.alias.example", **own)) == 200
    assert code(FAR, asked(HTTP_HOST="an.alias.example")) == 401


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", ":", ":8080", "localhost:", "localhost:http", "localhost:-1", "localhost:65536"),
        *("localhost:8080:8080", "[::1", "::1", "[::1]x", "[::g]:80", "[1.2.3]:80", "[]:80"),
        *(
            "loc\xe4lhost:8080",
            "localhost:\u0661",
            "local host",
            "localhost,localhost",
            "a/b",
            "a@b",
        ),
        *("localhost\n:80", "127.0.0.1:8080\n", "l" * 5000 + "\x00", "[127.0.0.1%25eth0]:80"),
    ],
)
def test_a_malformed_host_is_a_bad_request(host: str) -> None:
    for access in (HERE, FAR, OPEN):
        assert code(access, asked(HTTP_HOST=host)) == 400, host


def test_a_missing_host_is_a_bad_request() -> None:
    environ = asked()
    del environ["HTTP_HOST"]
    for access in (HERE, FAR, OPEN):
        assert code(access, environ) == 400


@given(st.text(st.characters(max_codepoint=0xFF), max_size=40))
@example("localhost:8080")
@example("[::1]:8080")
def test_no_other_header_passes_for_this_machine(header: str) -> None:
    found = code(HERE, asked(HTTP_HOST=header))
    assert found in {200, 400, 403}
    if found == 200:
        host, _, port = (
            header.lower().rpartition(":") if ":" in header else (header.lower(), "", "")
        )
        if header.endswith("]"):
            host = header.lower()
        assert host in {"localhost", "[::1]"} or host.startswith("127.")
        assert not port or port.isdecimal() or header.endswith("]")


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_is_read_from_a_header(address: object, port: int) -> None:
    text = str(address)
    header = f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
    assert host_of(header) == text


# --------------------------------------------------------------------------------- other websites


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:8080"),
        *("http://localhost:8080", "http://127.0.0.1:8080/", "http://127.0.0.1:8080.evil.example"),
        *("", "127.0.0.1:8080", "http://127.0.0.1:8080,http://127.0.0.1:8080", "\xff"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_another_sites_page_is_refused(method: str, origin: str) -> None:
    assert code(HERE, asked(method=method, HTTP_ORIGIN=origin)) == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:9", "[::1]:8080", "localhost"])
def test_its_own_page_is_answered(host: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        own = {"HTTP_HOST": host, "HTTP_ORIGIN": f"http://{host}"}
        assert code(HERE, asked(method=method, HTTP_SEC_FETCH_SITE="same-origin", **own)) == 200


def test_other_websites_may_link_to_it_and_nothing_else() -> None:
    for site in ("cross-site", "same-site"):  # another port of this machine is the same site
        link = {"HTTP_SEC_FETCH_SITE": site, "HTTP_SEC_FETCH_MODE": "navigate"}
        assert code(HERE, asked(**link)) == 200
        assert code(HERE, asked(method="POST", **link)) == 403
        for mode in ("no-cors", "cors", "websocket", ""):
            assert code(HERE, asked(**{**link, "HTTP_SEC_FETCH_MODE": mode})) == 403
        assert code(HERE, asked(HTTP_SEC_FETCH_SITE=site)) == 403
    for site in ("none", "same-origin"):
        assert code(HERE, asked(method="POST", HTTP_SEC_FETCH_SITE=site)) == 200


@pytest.mark.parametrize("path", ["/\xffartifacts/1/ab", "/artifacts/1/ab\xc3", "/\u20ac"])
def test_a_path_that_two_readers_would_read_differently_is_a_bad_request(path: str) -> None:
    assert code(HERE, asked(path)) == 400


# --------------------------------------------------------------------------------------- passwords


@pytest.mark.parametrize("access", [SECRET, FAR])
def test_the_password_opens_it_with_any_user_name(access: Access) -> None:
    for user in ("", "me", "\u017bofia"):
        header = basic(WORDS, user)
        for given_header in (header, header.replace("Basic", "bAsIc"), header.replace(" ", "  ")):
            assert code(access, asked(HTTP_AUTHORIZATION=given_header)) == 200


@pytest.mark.parametrize("access", [SECRET, FAR])
@pytest.mark.parametrize(
    "header",
    [
        *("", "Basic", "Basic ", "Basic !", "Basic \xff\xfe", "Basic YQ", "Basic YQ==", "Bearer x"),
        base64.b64encode("me:sésame ouvre-toi".encode()).decode(),
        basic(WORDS).replace("Basic", "Digest"),
        "Basic " + base64.b64encode("me:sésame ouvre-toi".encode("latin-1")).decode(),
        basic(""),
        basic("sésame ouvre-toi "),
        basic("sésame ouvre-to"),
        basic("SÉSAME ouvre-toi"),
        basic("x:sésame ouvre-toi"),
        f"{basic(WORDS)},{basic(WORDS)}",
    ],
)
def test_nothing_else_opens_it(header: str, access: Access) -> None:
    for path in ("/", "/dashboard", "/api/studies", "/artifacts/1/ab", "/static/bundle.js", "/x"):
        for method in METHODS:
            found = answer(access, asked(path, method, HTTP_AUTHORIZATION=header))
            assert found.code == 401
            assert found.header("WWW-Authenticate").startswith("Basic realm=")
            assert b"inside" not in found.read()


def test_wrong_passwords_take_time_and_a_first_visit_does_not() -> None:
    waited: list[float] = []
    answer(FAR, asked(), waited)
    answer(FAR, asked(HTTP_AUTHORIZATION=basic(WORDS)), waited)
    assert waited == []
    answer(FAR, asked(HTTP_AUTHORIZATION=basic("1234")), waited)
    assert waited == [1.0]


def test_a_password_comes_from_the_environment() -> None:
    assert chosen_password({}) is None
    assert chosen_password({PASSWORD_VARIABLE: "open sesame"}) == "open sesame"


@pytest.mark.parametrize("password", ["", "a\n", "\x00", "\udcff"])
def test_a_password_that_cannot_be_typed_is_wrong_usage_and_is_not_repeated(password: str) -> None:
    with pytest.raises(UsageError, match=PASSWORD_VARIABLE) as refused:
        chosen_password({PASSWORD_VARIABLE: password})
    assert password == "" or password not in str(refused.value)


def test_a_dashboard_for_other_machines_has_a_password_or_is_read_only() -> None:
    here, far = place_of("127.0.0.1", 0), place_of("::", 0)
    assert access_to(here, None, read_only=False) == (Access(), False)
    access, generated = access_to(far, None, read_only=False)
    assert generated
    assert access.password is not None
    assert len(access.password) >= 20
    again, _ = access_to(far, None, read_only=False)
    assert again.password != access.password
    for place in (here, far):
        for read_only in (False, True):
            access, generated = access_to(place, "mine", read_only=read_only)
            assert (access.password, generated) == ("mine", False)
            assert (access.loopback, access.read_only) == (place is here, read_only)
    access, generated = access_to(far, None, read_only=True)
    assert (access.password, access.read_only, generated) == (None, True, False)
    assert socket.gethostname().lower() in access.names
    assert "evil.example" not in access.names


# ------------------------------------------------------------------------------ read-only, sizes


@pytest.mark.parametrize("access", [Access(read_only=True), OPEN])
def test_read_only_lets_nothing_through_that_could_change_something(access: Access) -> None:
    for method in METHODS:
        found = answer(access, asked("/api/studies/1", method))
        if method in {"GET", "HEAD", "OPTIONS"}:
            assert found.code == 200
        else:
            assert found.code == 403
            assert "This dashboard is read-only" in json.loads(found.read())["reason"]


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        *(("", 200), ("0", 200), ("007", 200), (str(LARGEST_BODY), 200)),
        *((str(LARGEST_BODY + 1), 413), ("9" * 18, 413), ("9" * 5000, 413)),
        *(("-1", 400), ("+1", 400), ("1_0", 400), ("1.0", 400), ("x", 400), ("\xb2", 400)),
        *((" 1", 400), ("1,1", 400)),
    ],
)
def test_a_request_says_how_large_it_is_and_is_not_too_large(length: str, expected: int) -> None:
    assert code(HERE, asked(method="POST", CONTENT_LENGTH=length)) == expected


def test_a_request_of_unknown_length_is_refused() -> None:
    for coding in ("chunked", "gzip, Chunked", "x"):
        assert code(HERE, asked(method="POST", HTTP_TRANSFER_ENCODING=coding)) == 411


def test_without_the_password_the_limit_on_sizes_is_not_told() -> None:
    assert code(FAR, asked(method="POST", CONTENT_LENGTH="9" * 18)) == 401


def test_the_dashboards_own_pages_get_the_sentence_as_json() -> None:
    far = answer(HERE, asked("/api/studies", HTTP_HOST="evil.example"))
    assert far.header("Content-Type") == "application/json"
    assert "localhost" in json.loads(far.read())["reason"]
    page = answer(HERE, asked("/dashboard", HTTP_HOST="evil.example"))
    assert page.header("Content-Type").startswith("text/plain")
    head = answer(HERE, asked("/dashboard", "HEAD", HTTP_HOST="evil.example"))
    assert (head.header("Content-Length"), head.read()) == (str(len(page.read())), b"")
