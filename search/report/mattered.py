"""The sections on what mattered: each parameter's share, and its effect one by one."""

import math
from collections.abc import Sequence
from dataclasses import replace

from search.formatting import number, one_line, percent
from search.report.chart import NARROW, Frame, figure
from search.report.markup import Markup, element, joined
from search.report.parts import legend, missing, section, some_of, value_words
from search.report.record import ReportRecord
from search.report.scale import Scale, linear_scale, log_scale, name_scale
from search.results.shares import Importance, ParameterImportance, Unknown, in_words
from search.study.rows import TrialRow
from spaces.parameter import Parameter, Value

__all__ = ["effects", "mattered"]

ROW = 24.0
MOST_EFFECTS, LEAST_EFFECTS = 6, 3
MOST_DOTS = 200
"""Most trials drawn in the plot of one parameter."""


def mattered(record: ReportRecord) -> Markup:
    """Return the section on the shares of all parameters."""
    found = record.importance
    if isinstance(found, Unknown):
        return section("mattered", "What mattered", missing(f"This cannot be said: {found.reason}"))
    return section(
        "mattered",
        "What mattered",
        element("p", in_words(found)),
        _shares(found),
        element("h3", "How to read this"),
        element(
            "p",
            f"A model of training curves was fitted to all {found.trials} trials with a score, of which "
            f"{found.stopped} did not reach their last epoch and count up to where they stand. It predicts "
            "the final accuracy of every configuration of the space, as a rank among those seen. The share "
            "of a parameter is the part of the variance of that prediction over the whole space that it "
            "causes by itself. Functions that agree with the trials are drawn from the model, and the "
            "interval has 90 % of their shares: where trials say little, it is wide. On "
            "made-up functions, 83 % of such intervals had the true share (bench.importance).",
        ),
        element(
            "p",
            "The dashboard's hyperparameter importance differs, for three reasons. It uses complete trials "
            f"only, here {found.trials - found.stopped}; it asks what the best of these have in common, "
            "not what changes the result over the whole space; and it says nothing of its own uncertainty.",
        ),
    )


def _shares(found: Importance) -> Markup:
    names = [one_line(one.name) for one in found.parameters]
    listed = ", ".join(f"{one.name} {100 * one.share.middle:.0f} %" for one in found.parameters)

    def draw(width: float) -> Markup:
        most = max(100 * max(one.share.high, one.total.middle) for one in found.parameters)
        frame = Frame(
            width,
            ROW * len(names) + 52.0,
            linear_scale([0.0, most], 4 if width == NARROW else 8, most=100.0),
            name_scale(names),
            across_name="share of the variance, %",
            left=6.8 * max(map(len, names)) + 14.0,
            names=True,
        )
        for index, one in enumerate(found.parameters):
            look = "grey" if one.verdict == "no" else "c1" if one.verdict == "yes" else "c5"
            frame.bar(0.0, 100 * one.total.middle, index, 13.0, f"bar {look} faint")
            frame.bar(0.0, 100 * one.share.middle, index, 13.0, f"bar {look}")
            frame.whisker(100 * one.share.low, 100 * one.share.high, index, "whisker ink")
        return frame.drawn(f"Share of the variance of the predicted final accuracy: {listed}.")

    entries = (
        ("bar c1", "clearly matters: at least 5 % by itself"),
        ("bar c5", "unclear"),
        ("bar grey", "clearly less than 5 %, interactions included"),
        ("bar faint ink", "with interactions"),
    )
    caption = "Each parameter's own share of the variance, with its 90 % interval."
    return figure(draw, caption, legend=legend(*entries))


# --------------------------------------------------------------------------------------- effects


def effects(record: ReportRecord) -> Markup | None:
    """Return the section with a plot for each parameter that mattered; None where nothing is known."""
    found = record.importance
    if isinstance(found, Unknown):
        return None
    chosen = [one for one in found.parameters if one.verdict != "no"][:MOST_EFFECTS]
    if len(chosen) < LEAST_EFFECTS:
        chosen = list(found.parameters[:LEAST_EFFECTS])
    plots = [_plot(record, found, one) for one in chosen]
    entries = (
        ("line c1", "predicted, averaged over all other parameters"),
        ("area c1", "its 90 % interval"),
        ("dot c2", "a complete trial"),
        ("ring", "the end predicted for another trial"),
    )
    return section(
        "effects",
        "One parameter at a time",
        element(
            "p",
            "Final accuracy against each of the parameters that matter most. A trial differs from its "
            "neighbour in all other parameters too, so the dots scatter around the line.",
        ),
        legend(*entries),
        element("div", joined(*plots), class_="small-multiples"),
    )


def _plot(record: ReportRecord, found: Importance, one: ParameterImportance) -> Markup:
    parameter = record.space.parameters[one.name]
    trials = [(row, end) for row in record.rows if (end := _end(row, found)) is not None]
    here = [(row, end) for row, end in trials if one.name in row.values]
    finished = [pair for pair in here if pair[0].state == "complete"]
    others = [pair for pair in here if pair[0].state != "complete"]
    dots = [*_thinned(finished), *_thinned(others)]
    words = f"{one_line(one.name)}: " + ", ".join(
        f"{value_words(level.value)} {percent(level.accuracy.middle)}"
        for level in (one.levels if parameter.options else (one.levels[0], one.levels[-1]))
    )
    seen = [100 * end for _, end in here] + [
        100 * part for level in one.levels for part in (level.accuracy.low, level.accuracy.high)
    ]

    def draw(width: float) -> Markup:
        places = [value for level in one.levels if (value := level.value) is not None]
        across = _scale(parameter, [*map(parameter.stored, places), *parameter.extremes()])
        frame = Frame(
            min(width, NARROW),
            230.0,
            across,
            linear_scale(seen, 4, least=0.0, most=100.0),
            up_name="final accuracy, %",
        )
        for index, (row, end) in enumerate(dots):
            complete = row.state == "complete"
            said = f"trial {row.number}: {percent(end)}"
            place = _place(parameter, row.values[one.name]) + _aside(parameter, index)
            frame.dot(place, 100 * end, "dot c2 soft" if complete else "ring", said, r=3.2)
        line = [
            (
                _place(parameter, level.value),
                100 * level.accuracy.low,
                100 * level.accuracy.middle,
                100 * level.accuracy.high,
            )
            for level in one.levels
        ]
        if parameter.options is None:
            frame.band([(x, low, high) for x, low, _, high in line], "area c1")
            frame.line([(x, middle) for x, _, middle, _ in line], "line c1")
        else:
            for x, low, middle, high in line:
                frame.line([(x, low), (x, high)], "whisker c1 thick")
                frame.dot(x, middle, "dot c1", r=4.5)
        return frame.drawn(f"Predicted final accuracy by {words}.")

    share = (
        f"{100 * one.share.middle:.0f} % ({100 * one.share.low:.0f} to {100 * one.share.high:.0f})"
    )
    where = (
        "" if one.applies == 1.0 else f", which applies in {100 * one.applies:.0f} % of the space"
    )
    caption = (element("b", one_line(one.name)), f": share {share}{where}.")
    return element("figure", draw(NARROW), element("figcaption", *caption), class_="one-size")


def _end(row: TrialRow, found: Importance) -> float | None:
    """A complete trial's accuracy, or the end that is predicted for another."""
    if row.state == "complete":
        return row.validation_accuracy
    return found.ends[row.number].middle if row.number in found.ends else None


def _thinned(pairs: Sequence[tuple[TrialRow, float]]) -> list[tuple[TrialRow, float]]:
    by_number = {row.number: end for row, end in pairs}
    return [(row, by_number[row.number]) for row in some_of([row for row, _ in pairs], MOST_DOTS)]


def _scale(parameter: Parameter, values: Sequence[Value]) -> Scale:
    if parameter.options is not None:
        return name_scale([value_words(one) for one in _ordered(parameter)])
    numbers = [float(one) for one in values if not isinstance(one, str)]
    if parameter.log:
        scale = log_scale(numbers, 5)
        return scale if parameter.zero is None else _with_zero(parameter, scale)
    return linear_scale(numbers, 5, least=min(numbers), most=max(numbers))


def _with_zero(parameter: Parameter, scale: Scale) -> Scale:
    """Return a logarithmic scale whose first tick is 0, which a share of all trials has."""
    zero, least = float(parameter.stored(0.0)), float(parameter.extremes()[0])
    marks = [(at, words) for at, words in scale.ticks if at > least * 1.5]
    return replace(scale, low=zero, ticks=((zero, "0"), (least, number(least)), *marks))


def _ordered(parameter: Parameter) -> list[Value]:
    """The choices in the order in which they are drawn: numbers by size, others as in the file."""
    options = list(parameter.options or [])
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in options):
        return sorted(options)
    return options


def _place(parameter: Parameter, value: Value) -> float:
    if parameter.options is None:
        return float(value)  # 0 is at the beginning of a logarithmic scale
    options = _ordered(parameter)
    return float(options.index(value)) if value in options else math.nan


def _aside(parameter: Parameter, index: int) -> float:
    """Dots of one choice stand beside each other, in an order that means nothing."""
    return 0.0 if parameter.options is None else 0.5 * ((index * 0.618034) % 1.0) - 0.25
