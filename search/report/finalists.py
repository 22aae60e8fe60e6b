"""The section on the best configurations: confirmed over several seeds, or as the search left them."""

from collections.abc import Iterator

from search.command_lines import command_line
from search.formatting import one_line, percent, short
from search.report.chart import NARROW, Frame, figure
from search.report.markup import Markup, element
from search.report.parts import called, missing, section, table
from search.report.record import ReportRecord
from search.report.scale import linear_scale, name_scale
from search.results.verdict import accuracy_interval, contenders
from search.study.confirmation import Confirmation, Confirmed
from search.study.rows import TrialRow
from search.views.grid_table import measured_words, published_words
from search.views.next_steps import has_own_code

__all__ = ["finalists"]

MOST_LETTERS = 80
"""Most letters of a configuration in the table; the winner's is in full above."""
ROW = 27.0
"""Height of a line of the chart."""


def finalists(record: ReportRecord) -> Markup:
    """Return the section."""
    if record.summary.cells is not None:
        heading = "Measured" if record.summary.incomparable else "Measured beside published"
        return section("best", heading, *_grid(record))
    if record.confirmation is not None:
        return section("best", "Confirmed", *_confirmed(record.confirmation))
    rows = contenders(record.summary.rows)
    if not rows:
        return section("best", "The best so far", missing("No trial is complete yet."))
    return section("best", "The best, not confirmed", *_unconfirmed(record, rows))


# ------------------------------------------------------------------------------------- confirmed


def _confirmed(found: Confirmation) -> list[Markup]:
    ended = (
        "" if found.ended else " It has not ended yet, so all intervals may still become narrower."
    )
    about = (
        f"{found.trainings} new trainings on fresh seeds, at most {found.most_seeds} for each "
        f"configuration, measured on {found.images.described()}. Intervals of differences hold together "
        f"with {100 * found.level:.0f} % confidence.{ended}"
    )
    lines = [
        (
            _name(one),
            one.mean - one.half_width,
            one.mean,
            one.mean + one.half_width,
            _look(one, found),
        )
        for one in found.ranking
    ]
    cells = [
        (
            _name(one),
            f"{100 * one.contender.search_accuracy:.1f}",
            f"{100 * one.mean:.1f} +- {100 * one.half_width:.1f}",
            str(one.seeds),
            f"{one.shrinkage:+z.1f}",
            f"{one.contender.multiply_adds / 1e6:.1f} M",
            _difference(one),
            _standing(one, found),
        )
        for one in found.ranking
    ]
    headings = (
        *("configuration", "search", "confirmed", "seeds", "lost"),
        *("multiply-adds", "to the reference", "standing"),
    )
    strong = next((i for i, one in enumerate(found.ranking) if _is_winner(one, found)), None)
    parts = [
        element("p", about),
        _forest(
            lines,
            "Mean accuracy of the new trainings with its interval. Configurations of equal standing "
            "cannot be told apart.",
        ),
        table(
            headings,
            cells,
            figures=range(1, 7),
            strong=strong,
            caption=(
                "Confirmed accuracy in percent; lost: points below the score of the search; to the "
                "reference: points"
            ),
        ),
    ]
    if found.failures:
        failed = (element("li", f"{name}: {reason}") for name, reason in found.failures.items())
        parts += [element("p", "Could not be trained:"), element("ul", *failed)]
    return parts


def _name(one: Confirmed) -> str:
    return one_line(one.contender.name)


def _is_winner(one: Confirmed, found: Confirmation) -> bool:
    return one.contender.trial == found.winner


def _look(one: Confirmed, found: Confirmation) -> str:
    if _is_winner(one, found):
        return "c1"
    return "c2" if one.contender.role == "reference" else "grey"


def _difference(one: Confirmed) -> str:
    if one.difference is None:
        return "-"
    clear = "" if one.difference.told_apart else ", not told apart"
    return f"{one.difference.points:+.1f} +- {one.difference.half_width:.1f}{clear}"


def _standing(one: Confirmed, found: Confirmation) -> str:
    if _is_winner(one, found):
        return "winner"
    return "tied with the highest" if one.tied_with_leader else "behind"


# ----------------------------------------------------------------------------------- unconfirmed


def _unconfirmed(record: ReportRecord, rows: list[TrialRow]) -> list[Markup]:
    summary = record.summary
    images = summary.settings.data.validation
    intervals = [accuracy_interval(row.score, images) for row in rows]
    best = rows[0]
    lines = [
        (
            _short_name(row),
            interval.low,
            row.score,
            interval.high,
            "c2" if row.known else "c1" if row is best else "grey",
        )
        for row, interval in zip(rows, intervals, strict=True)
    ]
    cells = [
        (
            called(row),
            percent(row.validation_accuracy),
            f"{100 * interval.low:.1f} to {100 * interval.high:.1f}",
            "-" if row is best else f"{100 * (row.score - best.score):+z.1f}",
            short(row.values, MOST_LETTERS),
        )
        for row, interval in zip(rows, intervals, strict=True)
    ]
    headings = ("trial", "accuracy", "95 % interval", "to the best", "configuration")
    command = command_line(
        "confirm",
        summary.study,
        flags=record.where,
        data=record.data,
        trust=has_own_code(record.summary),
    )
    gains = [element("li", words) for words in summary.comparisons]
    return [
        element(
            "p",
            "Nothing has been confirmed yet: each figure is one run from one seed. The best of many single "
            "runs is partly luck, and its score is expected to fall when it is trained anew.",
        ),
        element("p", "This trains the best and the references anew on fresh seeds:"),
        element("pre", element("code", command)),
        _forest(
            lines,
            f"Accuracy of single runs. The intervals (95 %) are those of the choice of {images:,} "
            "validation images; another seed moves accuracies further.",
        ),
        table(
            headings,
            cells,
            figures=range(1, 4),
            strong=0,
            caption="The best trials and the references, one run each",
        ),
        *([element("h3", "Gain over the references"), element("ul", *gains)] if gains else []),
    ]


def _short_name(row: TrialRow) -> str:
    return one_line(row.label) if row.known and row.label else f"trial {row.number}"


# ----------------------------------------------------------------------------------------- chart


def _forest(lines: list[tuple[str, float, float, float, str]], caption: str) -> Markup:
    """Draw names, dots and intervals; each line has name, low, middle, high and look."""
    ends = [100 * one for _, low, middle, high, _ in lines for one in (low, middle, high)]
    listed = ", ".join(f"{name} {percent(middle)}" for name, _, middle, _, _ in lines)

    def draw(width: float) -> Markup:
        letters = 16 if width == NARROW else 30
        names = [name if len(name) <= letters else f"{name[: letters - 1]}…" for name, *_ in lines]
        left = 6.8 * max(len(name) for name in names) + 16.0
        across = linear_scale(ends, 4 if width == NARROW else 7, least=0.0, most=100.0)
        frame = Frame(
            width,
            ROW * len(lines) + 52.0,
            across,
            name_scale(names),
            across_name="accuracy, %",
            left=left,
            names=True,
        )
        for index, (name, low, middle, high, look) in enumerate(lines):
            frame.whisker(100 * low, 100 * high, index, f"whisker {look}")
            said = f"{name}: {percent(middle)}, {percent(low)} to {percent(high)}"
            frame.dot(100 * middle, index, f"dot {look}", said, r=5.0)
        return frame.drawn(f"Accuracy with intervals: {listed}.")

    return figure(draw, caption)


# ------------------------------------------------------------------------------------------ grid


def _grid(record: ReportRecord) -> Iterator[Markup]:
    cells, incomparable = record.summary.cells or [], record.summary.incomparable
    names = list(record.space.parameters)
    rows = [
        (
            *(one_line(str(cell.values.get(name, "-"))) for name in names),
            *([] if incomparable else [published_words(cell.published)]),
            measured_words(cell),
            str(len(cell.accuracies)),
        )
        for cell in cells
    ]
    published = () if incomparable else ("published",)
    headings = (*(name.replace("_", " ") for name in names), *published, "measured", "n")
    caption = (
        "Accuracy after the last epoch; measured: validation accuracy, mean and spread of n seeds"
    )
    yield table(headings, rows, figures=range(len(names), len(headings)), caption=caption)
    if incomparable:
        yield element("p", incomparable)
