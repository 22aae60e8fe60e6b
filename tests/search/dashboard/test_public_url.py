"""The public address of a dashboard behind a proxy: how it is read, and whom it lets in."""

import pytest

from search.dashboard.access import Access, access_to
from search.dashboard.public_url import OWN_PATHS, PublicUrl
from search.dashboard.server import place_of
from search.errors import UsageError
from tests.search.asking import asked
from tests.search.dashboard.test_access import WORDS, basic, code

TUNING = PublicUrl.parse("https://tuning.example/cifar/")
PROXIED = Access(password=WORDS, public=TUNING)
SIGNED_IN = {"HTTP_AUTHORIZATION": basic(WORDS)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://host", ("https://host", "host", "")),
        ("http://Host:8000/a/b-c/", ("http://host:8000", "host", "/a/b-c")),
        ("https://host:443//", ("https://host", "host", "")),
        ("http://[2001:DB8::1]:80/x", ("http://[2001:db8::1]", "2001:db8::1", "/x")),
    ],
)
def test_it_is_read_as_browsers_send_it(text: str, expected: tuple[str, str, str]) -> None:
    url = PublicUrl.parse(text)
    assert (url.origin, url.host, url.prefix) == expected
    assert PublicUrl.parse(str(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "host",
            "host/prefix",
            "ftp://host/",
            "https://",
            "https://a b/",
            "https://:80/",
            "https://h:99999/",
        ),
        *("https://me:secret@host/", "https://host/a b", 'https://host/"', "https://host/<x>"),
        *("https://host/?a=b", "https://host/#a", "https://host/../x", "https://host/a//b"),
        *(f"https://host/{first}/x" for first in OWN_PATHS),
    ],
)
def test_what_cannot_be_used_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="--dashboard-url"):
        PublicUrl.parse(text, "--dashboard-url")


def test_a_dashboard_behind_a_proxy_has_a_password_or_is_read_only() -> None:
    place = place_of("127.0.0.1", 0)
    access, generated = access_to(place, None, read_only=False, public=TUNING)
    assert generated
    assert access.password
    access, generated = access_to(place, None, read_only=True, public=TUNING)
    assert (access.password, access.public, generated) == (None, TUNING, False)


@pytest.mark.parametrize("host", ["tuning.example", "TUNING.example:443", "127.0.0.1:8080"])
def test_its_own_pages_may_save_behind_tls_whether_or_not_the_proxy_keeps_the_host(
    host: str,
) -> None:
    page = {"HTTP_HOST": host, "HTTP_ORIGIN": "https://tuning.example", **SIGNED_IN}
    for method in ("GET", "PUT", "DELETE"):
        assert code(PROXIED, asked(method=method, HTTP_SEC_FETCH_SITE="same-origin", **page)) == 200


@pytest.mark.parametrize(
    "origin",
    [
        *("http://tuning.example", "https://tuning.example:444", "https://evil.example", "null"),
        *("https://tuning.example.evil.example", "https://cifar.tuning.example"),
    ],
)
def test_other_websites_are_refused(origin: str) -> None:
    for host in ("tuning.example", "127.0.0.1:8080"):
        page = {"HTTP_HOST": host, "HTTP_ORIGIN": origin, **SIGNED_IN}
        assert code(PROXIED, asked(method="PUT", **page)) == 403


def test_other_names_are_refused_and_this_machine_may_still_ask_it_directly() -> None:
    assert code(PROXIED, asked(HTTP_HOST="evil.example", **SIGNED_IN)) == 403
    direct = {"HTTP_HOST": "localhost:8080", "HTTP_ORIGIN": "http://localhost:8080"}
    assert code(PROXIED, asked(method="PUT", **direct, **SIGNED_IN)) == 200
    assert code(PROXIED, asked(HTTP_HOST="tuning.example")) == 401
