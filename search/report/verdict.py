"""The head of the page: what the search came to, in a sentence and a few figures."""

from search.formatting import duration, one_line, percent
from search.report.markup import Markup, element
from search.report.record import ReportRecord
from search.results.verdict import accuracy_interval, verdict
from search.study.confirmation import Confirmed

__all__ = ["heading"]

STATES = {"running": "still running", "stopped": "stopped", "finished": "finished"}


def heading(record: ReportRecord) -> Markup:
    """Return title, verdict and figures."""
    summary = record.summary
    about = (
        f"{summary.settings.space.title}. {STATES[summary.state].capitalize()}, "
        f"{summary.trials.finished} of {summary.trials.total} trials; report of "
        f"{record.made:%Y-%m-%d %H:%M}."
    )
    return element(
        "header",
        element("p", "cifar-search report", class_="kicker"),
        element("h1", one_line(summary.study)),
        element("p", about, class_="about"),
        _verdict(record),
        _tiles(record),
    )


def _verdict(record: ReportRecord) -> Markup:
    summary, confirmation = record.summary, record.confirmation
    if confirmation is not None:
        words = confirmation.verdict
    elif summary.cells is not None:
        words = _grid_verdict(record)
    else:
        words = verdict(summary)
    first, _, rest = words.partition(". ")
    first = f"{first[:1].upper()}{first[1:]}{'.' * bool(rest)}"
    lines = [element("p", first, class_="headline")]
    if rest:
        lines.append(element("p", rest))
    lines.append(element("p", f"Measured on {summary.settings.data.described()}.", class_="small"))
    return element("div", *lines, class_="verdict", role="note", aria_label="Verdict")


def _grid_verdict(record: ReportRecord) -> str:
    cells = [one for one in record.summary.cells or [] if one.mean is not None]
    if not cells:
        return "No training of this grid is complete yet."
    best = max(cells, key=lambda one: one.mean or 0.0)
    named = ", ".join(f"{name} {value}" for name, value in best.values.items())
    spread = "" if best.spread is None else f" +- {percent(best.spread)}"
    return (
        f"The best cell is {named}, with {percent(best.mean)}{spread} over "
        f"{len(best.accuracies)} trainings. It was chosen by these trainings, so it is partly luck."
    )


def _tiles(record: ReportRecord) -> Markup:
    """Figures that stand out, each with what it is."""
    summary = record.summary
    tiles: list[tuple[str, str]] = []
    if confirmed := _winner_confirmed(record):
        half = percent(confirmed.half_width)
        many = "seed" if confirmed.seeds == 1 else "seeds"
        tiles.append(
            (
                percent(confirmed.mean),
                f"+- {half}, {confirmed.contender.name}, {confirmed.seeds} {many}",
            )
        )
    elif (best := summary.best) is not None:
        interval = accuracy_interval(best.score, summary.settings.data.validation)
        tiles.append(
            (
                percent(best.validation_accuracy),
                f"trial {best.number}, one run ({100 * interval.low:.1f} to {100 * interval.high:.1f})",
            )
        )
    trials = summary.trials
    counts = (
        (trials.complete, "complete"),
        (trials.pruned, "stopped early"),
        (trials.failed, "failed"),
        (trials.running + trials.paused, "unfinished"),
    )
    tiles.append(
        (
            str(trials.finished + trials.paused),
            f"trials: {', '.join(f'{count} {words}' for count, words in counts if count)}",
        )
    )
    tiles.append((f"{summary.trained_epochs:,}", _saving(record)))
    tiles.append((duration(summary.seconds), "of searching, over all sessions"))
    inside = (
        element("div", element("dd", figure), element("dt", words)) for figure, words in tiles
    )
    return element("dl", *inside, class_="tiles")


def _winner_confirmed(record: ReportRecord) -> Confirmed | None:
    if record.confirmation is None:
        return None
    return record.confirmation.of(record.confirmation.winner)


def _saving(record: ReportRecord) -> str:
    """Return what stopping trials early saved, in words."""
    started = len(record.rows)
    full = record.summary.full_cost / max(record.summary.trials.total, 1) * started
    share = 1.0 - record.summary.trained_epochs / full if full else 0.0
    if record.summary.cells is not None or share <= 0.0:
        return "epochs trained"
    return f"epochs trained, {100 * share:.0f} % fewer than without early stopping"
