"""The sections on the course of the search: its best accuracy, and the learning curves."""

import math

from search.formatting import how_it_ended, percent
from search.report.chart import NARROW, Frame, figure
from search.report.markup import Markup
from search.report.parts import called, legend, missing, section, some_of
from search.report.record import ReportRecord
from search.report.scale import Scale, linear_scale
from search.study.rows import TrialRow, best_rows

__all__ = ["curves", "history"]

MOST_DOTS, MOST_LINES = 500, 250
"""Most trials drawn beside the finalists: thousands would make a page of megabytes, and hide each other."""


def history(record: ReportRecord) -> Markup:
    """Return the section on the best accuracy, trial by trial."""
    rows = [row for row in record.rows if math.isfinite(row.score)]
    if not rows:
        return section("history", "Progress of the search", missing("No trial has a score yet."))
    steps = _best_so_far(record.rows)
    reference = next(iter(best_rows([row for row in rows if row.known])), None)
    last = max(row.number for row in record.rows)
    shown = some_of(rows, MOST_DOTS)

    def draw(width: float) -> Markup:
        frame = Frame(
            width,
            300.0 if width != NARROW else 250.0,
            linear_scale([0.0, float(max(last, 1))], 8, whole=True, most=float(max(last, 1))),
            _accuracies(rows),
            across_name="trial, in the order of their start",
            up_name="validation accuracy, %",
        )
        for row in shown:
            look = "dot c1" if row.state == "complete" else "ring"
            said = f"trial {row.number}: {percent(row.validation_accuracy)}, {how_it_ended(row)}"
            frame.dot(row.number, 100 * row.score, look, said, r=3.2)
        if reference is not None:
            frame.across(100 * reference.score, "reference c2")
        frame.line([(number, 100 * best) for number, best in steps], "line c1", steps=True)
        best = f"ends at {percent(steps[-1][1])}" if steps else "has not begun"
        return frame.drawn(
            f"Accuracy of {len(rows)} trials in the order of their start. The best complete one {best}."
        )

    entries = [
        ("dot c1", "complete"),
        ("ring", "stopped early or unfinished, after its last epoch"),
    ]
    if steps:
        entries.append(("line c1", "best complete so far"))
    if reference is not None:
        entries.append(("line c2 dashed", f"{reference.label}, the best reference"))
    cut = "" if len(shown) == len(rows) else f" {len(shown)} of {len(rows)} trials are drawn."
    caption = f"Each trial after its last epoch, one run each.{cut}"
    return section(
        "history", "Progress of the search", figure(draw, caption, legend=legend(*entries))
    )


def curves(record: ReportRecord) -> Markup:
    """Return the section on the learning curves."""
    rows = [row for row in record.rows if row.scores]
    if not rows:
        return section("curves", "Learning curves", missing("No trial has trained an epoch yet."))
    first = [row for row in record.finalists if row.scores]
    others = [row for row in rows if row not in first]
    shown = some_of(others, MOST_LINES)
    epochs = max(max(row.scores) for row in rows)

    def draw(width: float) -> Markup:
        frame = Frame(
            width,
            340.0 if width != NARROW else 280.0,
            linear_scale([1.0, float(max(epochs, 2))], 12, whole=True, least=1.0),
            _accuracies(rows),
            across_name="epoch",
            up_name="validation accuracy, %",
        )
        for row in shown:
            frame.line(_points(row), "line grey thin")
        for row in shown:
            if row.state != "complete":
                epoch, accuracy = _points(row)[-1]
                frame.dot(epoch, accuracy, "ring", f"{called(row)}: {how_it_ended(row)}", r=2.6)
        for index, row in reversed(list(enumerate(first, start=1))):
            frame.line(_points(row), f"line c{index}")
            for epoch, accuracy in _points(row):
                said = f"{called(row)}, epoch {epoch:.0f}: {accuracy:.1f} %"
                frame.dot(epoch, accuracy, f"dot c{index}", said, r=2.8)
        listed = ", ".join(f"{called(row)} {percent(row.validation_accuracy)}" for row in first)
        return frame.drawn(
            f"Validation accuracy against the epoch of {len(rows)} trials. In colour: {listed or 'none'}."
        )

    entries = [
        (f"line c{index}", f"{called(row)}, {percent(row.validation_accuracy)}")
        for index, row in enumerate(first, start=1)
    ]
    entries += [("line grey", "other trials"), ("ring", "stopped or paused here")]
    cut = "" if len(shown) == len(others) else f" {len(shown)} of {len(others)} others are drawn."
    caption = f"The best in colour, the others in grey up to where they stand.{cut}"
    return section("curves", "Learning curves", figure(draw, caption, legend=legend(*entries)))


def _points(row: TrialRow) -> list[tuple[float, float]]:
    return [(float(epoch), 100 * row.scores[epoch]) for epoch in sorted(row.scores)]


def _accuracies(rows: list[TrialRow]) -> Scale:
    found = [100 * one for row in rows for one in row.scores.values() if math.isfinite(one)]
    return linear_scale(found, 6, least=0.0, most=100.0)


def _best_so_far(rows: list[TrialRow]) -> list[tuple[int, float]]:
    """The best complete trial so far, at each complete trial and at the last one."""
    found: list[tuple[int, float]] = []
    for row in sorted(rows, key=lambda row: row.number):
        before = found[-1][1] if found else -math.inf
        if row.state == "complete":
            found.append((row.number, max(before, row.score)))
    if found:
        found.append((max(row.number for row in rows), found[-1][1]))
    return found
