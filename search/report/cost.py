"""The sections on what the search cost, and on what failed."""

from collections import Counter

from search.formatting import duration, how_it_ended, percent, short, why
from search.report.chart import NARROW, Frame, figure
from search.report.markup import Markup, element
from search.report.parts import called, legend, section, table
from search.report.record import ReportRecord
from search.report.scale import linear_scale, name_scale
from search.study.rows import TrialRow

__all__ = ["cost", "failures"]

MOST_FAILURES = 50


def cost(record: ReportRecord) -> Markup:
    """Return the section on epochs and time."""
    summary, rows = record.summary, record.rows
    epochs: Counter[str] = Counter()
    for row in rows:
        epochs[_kind(row)] += row.epochs
    full = round(summary.full_cost / max(summary.trials.total, 1) * len(rows))
    saved = max(0, full - sum(epochs.values()))
    parts = [
        ("complete trials", epochs["complete"], "c1"),
        ("trials stopped early", epochs["pruned"], "c5"),
        ("unfinished and failed trials", epochs["other"], "c2"),
        ("not trained", saved, "hollow"),
    ]
    shown = [one for one in parts if one[1]]
    seconds = sum(row.seconds for row in rows)
    trained = summary.trained_epochs
    each = f", {seconds / trained:.1f} seconds each" if seconds and trained else ""
    words = (
        f"{trained:,} epochs of trials were trained{each}; the study ran for "
        f"{duration(summary.seconds)}."
    )
    if saved and summary.cells is None:
        words += (
            f" Without early stopping, the same {len(rows)} trials would have been {full:,}: "
            f"{100 * saved / full:.0f} % were saved."
        )
    if round(summary.sweep_epochs):
        words += f" The LR-range test took {summary.sweep_epochs:.0f} epochs more."
    if record.confirmation is not None:
        words += f" The confirmation took {record.confirmation.epochs:,} epochs more."

    def draw(width: float) -> Markup:
        frame = Frame(
            width,
            84.0,
            linear_scale(
                [0.0, float(max(full, trained, 1))], 4 if width == NARROW else 8, whole=True
            ),
            name_scale([""]),
            across_name="epochs",
            left=4.0,
            right=16.0,
            names=True,
        )
        at = 0
        for _, count, look in shown:
            frame.bar(at, at + count, 0, 26.0, f"bar {look}")
            at += count
        listed = ", ".join(f"{name} {count}" for name, count, _ in shown)
        return frame.drawn(f"Epochs: {listed}.")

    entries = [(f"bar {look}", f"{name}: {count:,}") for name, count, look in shown]
    caption = "Epochs by the trials that they were trained in."
    return section(
        "cost", "Cost", element("p", words), figure(draw, caption, legend=legend(*entries))
    )


def _kind(row: TrialRow) -> str:
    return row.state if row.state in {"complete", "pruned"} else "other"


def failures(record: ReportRecord) -> Markup:
    """Return the section on trials that ended for another reason than early stopping."""
    found = [(row, reason) for row in record.rows if (reason := why(row)) is not None]
    if not found:
        return section("failures", "Failures", element("p", "No trial failed or diverged."))
    cells = [
        (
            called(row),
            how_it_ended(row),
            str(row.epochs),
            percent(row.validation_accuracy),
            reason,
            short(row.values, 60),
        )
        for row, reason in found[:MOST_FAILURES]
    ]
    headings = ("trial", "state", "epochs", "accuracy", "reason", "configuration")
    some = f", the first {MOST_FAILURES}" if len(found) > MOST_FAILURES else ""
    trials = "1 trial" if len(found) == 1 else f"{len(found)} trials"
    caption = (
        f"{trials} that failed, diverged or {'was' if len(found) == 1 else 'were'} ended{some}"
    )
    return section("failures", "Failures", table(headings, cells, figures=(2, 3), caption=caption))
