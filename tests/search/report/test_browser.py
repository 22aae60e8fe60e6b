"""The page in a real browser, on a phone and on a desk, in light and dark."""

from pathlib import Path
from typing import Any

import pytest

from search.report.page import page_of
from tests.search.report.test_page import full

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_it_fits_every_width_loads_nothing_and_follows_the_colour_scheme(
    browser: Any, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page_of(full()), encoding="utf-8")
    papers = set()
    for width, scheme in ((360, "light"), (1280, "light"), (1280, "dark")):
        asked: list[str] = []
        said: list[str] = []
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, said=said: said.append(message.text))
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert [one for one in asked if not one.startswith("data:")] == [file.as_uri()]
        assert said == []  # nothing breaks the page's own policy
        shown = "list => list.filter(one => one.getBoundingClientRect().width > 0).length"
        wide, narrow = (
            page.eval_on_selector_all(f"svg.{one}", shown) for one in ("wide", "narrow")
        )
        assert (wide == 0) if width == 360 else (wide >= 8)
        assert narrow >= 3
        papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert len(papers) == 2
