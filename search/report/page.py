"""The page: all sections of a report as one HTML file that loads nothing."""

from importlib.resources import files

from search.formatting import one_line
from search.report.cost import cost, failures
from search.report.course import curves, history
from search.report.finalists import finalists
from search.report.images import augmentation, classes
from search.report.lr_ranges import lr_ranges
from search.report.markup import Markup, element, joined
from search.report.mattered import effects, mattered
from search.report.record import ReportRecord
from search.report.reproduction import reproduction
from search.report.searched import searched
from search.report.verdict import heading

__all__ = ["page_of"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The page forbids itself to load or run anything."""


def page_of(record: ReportRecord) -> str:
    """Return the report as an HTML document."""
    sections = [
        searched(record),
        finalists(record),
        history(record),
        curves(record),
        mattered(record),
        effects(record),
        lr_ranges(record),
        cost(record),
        failures(record),
        classes(record),
        augmentation(record),
        reproduction(record),
    ]
    name = one_line(record.summary.study)
    look = Markup(files("search.report").joinpath("page.css").read_text(encoding="utf-8"))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{name}: search report"),
        element("style", look),
    )
    shown = [one for one in sections if one is not None]
    body = element("body", element("main", heading(record), joined(*shown)), _foot(record))
    page = element("html", head, body, lang="en")
    return f"<!doctype html>\n{page}\n"


def _foot(record: ReportRecord) -> Markup:
    version = record.versions.get("cifar-search", "")
    return element(
        "footer",
        f"cifar-search {version}. All figures are validation accuracy; a search never opens the test "
        f"split. {record.summary.settings.data.described()}; seed {record.summary.settings.seed}.",
    )
