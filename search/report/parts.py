"""Parts that several sections are made of: sections, tables, legends, and a selection of trials."""

from collections.abc import Container, Sequence

from search.formatting import number, one_line
from search.report.markup import Markup, element, joined
from search.study.rows import TrialRow
from spaces.parameter import Value

__all__ = ["called", "legend", "missing", "section", "some_of", "table", "value_words"]

LONG = 40
"""Letters from which a cell is worth a wide column."""


def section(key: str, heading: str, *content: str) -> Markup:
    """Return a section with a heading that can be linked to."""
    return element("section", element("h2", heading), *content, id=key)


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    figures: Container[int] = (),
    strong: int | None = None,
    caption: str = "",
) -> Markup:
    """Return a table in a box of its own, which scrolls where it is too wide.

    Args:
        headings: Of the columns.
        rows: The cells.
        figures: Columns of figures, counted from 0; the others have words.
        strong: Index of a row that stands out.
        caption: What the table shows.
    """

    def sides(column: int) -> str | None:
        return "figure" if column in figures else None

    def look(column: int, cell: str) -> str | None:
        return "long" if len(cell) > LONG else sides(column)

    head = element(
        "tr",
        *(element("th", one, scope="col", class_=sides(i)) for i, one in enumerate(headings)),
    )
    body = [
        element(
            "tr",
            *(
                element("th", cell, scope="row")
                if column == 0
                else element("td", cell, class_=look(column, cell))
                for column, cell in enumerate(cells)
            ),
            class_="strong" if index == strong else None,
        )
        for index, cells in enumerate(rows)
    ]
    said = [element("caption", caption)] if caption else []
    inside = element("table", *said, element("thead", head), element("tbody", *body))
    return element("div", inside, class_="scroll", tabindex="0", role="group", aria_label=caption)


def legend(*entries: tuple[str, str]) -> Markup:
    """Return what marks mean.

    Args:
        entries: Class of the mark's sample, and its meaning.
    """
    items = (
        element("li", element("span", class_=f"sample {look}", aria_hidden="true"), words)
        for look, words in entries
    )
    return element("ul", joined(*items), class_="legend")


def missing(reason: str) -> Markup:
    """Return a note in the place of something that cannot be shown."""
    return element("p", reason, class_="missing")


def called(row: TrialRow) -> str:
    """Return how a trial is called."""
    name = f" ({one_line(row.label)})" if row.label else ""
    return f"trial {row.number}{name}"


def some_of(rows: Sequence[TrialRow], most: int) -> list[TrialRow]:
    """Return at most `most` trials, evenly spread over their order."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(index * (len(rows) - 1) / (most - 1))] for index in range(most)]


def value_words(value: Value | None) -> str:
    """Return a parameter's value as a space file writes it; a dash where there is none."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return number(value) if isinstance(value, float) else one_line(str(value))
