"""The section on the LR-range test: the curves, and the bounds that were read off them."""

import math
from collections.abc import Sequence

from cifar_core.plots.lr_curve import Curve, loss_range
from search.formatting import number, one_line
from search.report.chart import NARROW, Frame, figure
from search.report.markup import Markup, element
from search.report.parts import legend, section
from search.report.record import ReportRecord
from search.report.scale import linear_scale, log_scale
from search.study.bounds import Bounds

__all__ = ["lr_ranges"]

MOST_CURVES, MOST_POINTS = 5, 160


def lr_ranges(record: ReportRecord) -> Markup | None:
    """Return the section; None where nothing was measured."""
    if not record.lr_curves:
        return None
    bounds = {one.parameter: one for one in record.summary.bounds}
    plots = [
        _plot(name, curves[:MOST_CURVES], bounds.get(name))
        for name, curves in record.lr_curves.items()
        if any(curve.measured for curve in curves)
    ]
    if not plots:
        return None
    cost = record.summary.sweep_epochs
    return section(
        "lr-range",
        "Learning-rate ranges",
        element(
            "p",
            "Before the first trial, the learning rate was raised step by step, and the loss on training "
            f"images shows where training works. This cost {cost:.1f} epochs. The shaded range was "
            "searched.",
        ),
        *plots,
    )


def _plot(name: str, curves: Sequence[Curve], bounds: Bounds | None) -> Markup:
    rates = [rate for curve in curves for rate, loss in curve.points() if loss is not None]
    low, high = loss_range(list(curves), raw=False) or (0.0, 1.0)

    def draw(width: float) -> Markup:
        frame = Frame(
            width,
            260.0 if width != NARROW else 220.0,
            log_scale(rates, 7 if width != NARROW else 4),
            linear_scale([low, high], 5),
            across_name=f"learning rate ({one_line(name)})",
            up_name="training loss, smoothed",
        )
        if bounds is not None:
            top = (frame.top, frame.bottom)
            left, right = frame.x(bounds.low), frame.x(bounds.high)
            shape = {"x": left, "y": top[0], "width": right - left, "height": top[1] - top[0]}
            frame.add(element("rect", class_="area c3", **shape))
            if bounds.suggested is not None:
                frame.upright(bounds.suggested, "reference ink")
        for index, curve in enumerate(curves, start=1):
            points = [
                (rate, math.nan if loss is None or loss > high else loss)
                for rate, loss in curve.points()
            ]
            step = max(1, len(points) // MOST_POINTS)
            frame.line(points[::step], f"line c{_colour(index)}")
        range_ = (
            "" if bounds is None else f" Searched: {number(bounds.low)} to {number(bounds.high)}."
        )
        return frame.drawn(f"Training loss against the learning rate {one_line(name)}.{range_}")

    entries = [
        (f"line c{_colour(index)}", one_line(curve.label))
        for index, curve in enumerate(curves, start=1)
    ]
    words = one_line(name)
    if bounds is not None:
        entries.append(("area c3", f"searched: {number(bounds.low)} to {number(bounds.high)}"))
        words = f"{words}: {one_line(bounds.how)}"
        if bounds.suggested is not None:
            entries.append(("line ink dashed", f"suggested: {number(bounds.suggested)}"))
    return figure(draw, f"{words}.", legend=legend(*entries))


def _colour(index: int) -> int:
    """Green is the range's."""
    return (1, 2, 4, 5, 6)[(index - 1) % 5]
