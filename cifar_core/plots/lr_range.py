"""Loss against the learning rate: what an LR-range test measured, and what was read off it."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from cifar_core.plots.lr_curve import Curve, known, known_rate, loss_range, rate_range
from cifar_core.plots.style import GREY, TRAIN, VALIDATION, add_caption, styled, wrapped

__all__ = ["COLOURS", "Curve", "lr_range_figure"]

COLOURS = (TRAIN, VALIDATION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
"""Okabe & Ito's palette, grey in place of its yellow, of which a thin line on white is not seen."""
DASHES = ("-", "--", "-.", ":")
"""For as many curves as there are colours, and so on."""
Look = dict[str, Any]
"""Settings of a matplotlib line."""
SHADE = "#DCEBF5"
STRIP = 0.018
"""Part of the panel's height for each curve's own bounds."""
RAW: Look = {"linewidth": 0.7, "zorder": 2.0}
SMOOTHED: Look = {"linewidth": 1.8, "zorder": 2.2}
START: Look = {"linewidth": 1.0, "linestyle": ":", "zorder": 1.9}
SUGGESTED: Look = {"linewidth": 1.3, "linestyle": (0, (5, 3)), "zorder": 2.1}
SIZE = (10.0, 7.2)
LABEL_LETTERS = 28
Floats = npt.NDArray[np.float64]
Coloured = tuple[Sequence[float], str]
"""One or two rates, and the colour that they are drawn in."""


@dataclass(frozen=True)
class Mark:
    """One kind of point on a curve.

    Attributes:
        name: Its name in the legend.
        shape: matplotlib's name of the marker.
        size: In points.
        places: Rate and loss of each such point of a curve, None for a loss that is not known.
        filled: With the curve's colour, or else with white.
    """

    name: str
    shape: str
    size: float
    places: Callable[[Curve], Sequence[tuple[float, float | None]]]
    filled: bool = True

    def of(self, curve: Curve) -> list[tuple[float, float]]:
        """The points of a curve that can be drawn: among the rates tried, with a loss."""
        low, high = rate_range([curve]) or (1.0, 0.0)
        found = [(rate, known(loss)) for rate, loss in self.places(curve)]
        return [(rate, loss) for rate, loss in found if low <= rate <= high and loss is not None]

    def look(self, colour: str) -> Look:
        """Options for matplotlib; the edge sets the mark off from its line."""
        face, edge = (colour, "white") if self.filled else ("white", colour)
        return {
            "linestyle": "",
            "marker": self.shape,
            "markersize": self.size,
            "markerfacecolor": face,
            "markeredgecolor": edge,
            "markeredgewidth": 0.8 if self.filled else 1.4,
        }


def _on(curve: Curve, rate: float | None) -> Sequence[tuple[float, float | None]]:
    return () if rate is None else ((rate, curve.height(rate)),)


MARKS = (
    Mark("steepest descent", "v", 9.0, lambda curve: _on(curve, curve.steepest)),
    Mark("local minimum", "o", 9.0, lambda curve: curve.other_minima, filled=False),
    Mark("minimum", "o", 9.0, lambda curve: _on(curve, curve.minimum)),
    Mark("divergence", "X", 9.0, lambda curve: _on(curve, curve.divergence)),
)
"""Layers of the plot; later ones lie above earlier ones."""


def lr_range_figure(
    curves: Sequence[Curve],
    title: str,
    caption: str,
    bounds: tuple[float, float] | None = None,
    suggested: float | None = None,
) -> Figure:
    """Draw loss against the learning rate, and below it both against the iteration.

    The losses' axis ends a little above the loss that the curves start at. Where curves are several,
    each has its colour, and in it its own bounds and suggestion unless those of all are given.

    Args:
        curves: One for each recipe that was measured.
        title: What was measured.
        caption: The line under the figure.
        bounds: Lower and upper bound from all curves together, in place of each curve's own.
        suggested: The rate to start with from all curves together, likewise.
    """
    bands = _bands(curves, bounds)
    suggestions = _suggestions(curves, suggested)
    with styled():
        figure = Figure(figsize=SIZE, layout="constrained")
        panels = figure.subplot_mosaic(
            [["losses", "losses"], ["rates", "steps"]], height_ratios=[2.3, 1.0]
        )
        _draw_large(panels["losses"], curves, bands, suggestions)
        panels["losses"].set_title(_heading(title, curves), loc="left")
        _draw_rates(panels["rates"], curves)
        _draw_steps(panels["steps"], curves)
        if entries := _legend(curves, bands, suggestions):
            figure.legend(
                handles=entries, loc="outside right upper", alignment="left", labelspacing=0.8
            )
        add_caption(figure, caption)
    return figure


def _heading(title: str, curves: Sequence[Curve]) -> str:
    nothing = bool(curves) and not any(curve.conclusive for curve in curves)
    return wrapped(f"{title} (inconclusive)" if nothing else title, 0.72 * SIZE[0], 10.0)


def _draw_large(
    axes: Axes, curves: Sequence[Curve], bands: list[Coloured], suggestions: list[Coloured]
) -> None:
    """Losses against rates, with all that was read off them."""
    for index, ((low, high), colour) in enumerate(bands):
        alone = len(bands) == 1
        # Overlapping shades could not be distinguished.
        bottom, top = (0.0, 1.0) if alone else (STRIP * (index + 0.2), STRIP * (index + 0.8))
        axes.axvspan(low, high, bottom, top, color=colour, linewidth=0, zorder=0 if alone else 2)
    for (rate,), colour in suggestions:
        axes.axvline(rate, color=colour, **SUGGESTED)
    _draw_losses(axes, [_rates(curve) for curve in curves], curves)
    bottom, top = axes.get_ylim()
    for index, curve in enumerate(curves):
        for layer, mark in enumerate(MARKS):
            for rate, loss in mark.of(curve):
                look = mark.look(_colour(index))
                # What lies above the panel is shown at its edge.
                seen = min(max(loss, bottom), top)
                axes.plot([rate], [seen], **look, clip_on=False, zorder=3 + layer / 10)
    axes.set_xscale("log")
    axes.set_xlim(*(rate_range(curves) or (0.1, 1.0)))
    _show_rates(axes.xaxis, 16)
    axes.set_xlabel("Learning rate")


def _draw_losses(axes: Axes, places: Sequence[Floats], curves: Sequence[Curve]) -> None:
    """Raw, smoothed and starting losses.

    Args:
        axes: The panel.
        places: Where the steps of each curve lie on the horizontal axis, NaN for nowhere.
        curves: The curves.
    """
    axes.set_ylabel("Loss")
    shown = loss_range(curves, raw=True)
    if shown is None:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no loss to draw", transform=axes.transAxes, ha="center", color=GREY)
        return
    low, high = shown
    span = high - low
    axes.set_ylim(low - 0.04 * span, high + 0.04 * span)
    faint = 0.45 if len(curves) == 1 else 0.25
    for index, (across, curve) in enumerate(zip(places, curves, strict=True)):
        # Out of sight, but not so far that drawing would have to count in too large numbers.
        raw, smoothed = (
            np.minimum(_filled(losses, len(across)), high + span)
            for losses in (curve.loss, curve.smoothed)
        )
        axes.plot(across, raw, color=_colour(index), alpha=faint, **RAW)
        axes.plot(across, smoothed, **_line(index))
        if (start := known(curve.start)) is not None:
            axes.axhline(start, color=_colour(index), **START)


def _draw_rates(axes: Axes, curves: Sequence[Curve]) -> None:
    """The rate of each step; a ramp that all curves have in common is one grey line."""
    common = len(curves) > 1 and len({tuple(curve.lr) for curve in curves}) == 1
    for index, curve in enumerate(curves[:1] if common else curves):
        look = {**_line(index), "color": GREY} if common else _line(index)
        axes.plot(_rates(curve), **look)
    axes.set_yscale("log")
    axes.set_ylim(*(rate_range(curves) or (0.1, 1.0)))
    _show_rates(axes.yaxis, 7)
    axes.set_ylabel("Learning rate")
    axes.set_title("Learning rate against iteration", loc="left")
    _show_steps(axes)


def _draw_steps(axes: Axes, curves: Sequence[Curve]) -> None:
    """The losses once more, as the training met them."""
    steps = [np.arange(len(curve.lr), dtype=np.float64) for curve in curves]
    _draw_losses(axes, steps, curves)
    axes.set_title("Loss against iteration", loc="left")
    _show_steps(axes)


def _show_rates(axis: Any, ticks: int) -> None:
    """Plain numbers at powers of ten, or closer where there are few of those."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(
        LogLocator(subs=(1.0,) if high > 1000 * low else (1.0, 2.0, 5.0), numticks=ticks)
    )
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda rate, _: _number(rate)))


def _show_steps(axes: Axes) -> None:
    axes.set_xlabel("Iteration")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _legend(
    curves: Sequence[Curve], bands: list[Coloured], suggestions: list[Coloured]
) -> list[Line2D | Patch]:
    """An entry for each curve and one for each kind of mark, with its rates where the curve is one."""
    alone = len(curves) == 1
    colour = _colour(0) if alone else GREY
    entries: list[Line2D | Patch] = [
        Line2D([], [], **_line(index), label=_label(curve)) for index, curve in enumerate(curves)
    ]
    if any(curve.measured for curve in curves):
        entries.append(Line2D([], [], color=colour, alpha=0.6, label="before smoothing", **RAW))
    starts = [start for curve in curves if (start := known(curve.start)) is not None]
    if starts:
        name = f"loss at the start {starts[0]:.2f}" if alone else "loss at the start"
        entries.append(Line2D([], [], color=colour, label=name, **START))
    for mark in MARKS:
        if rates := [rate for curve in curves for rate, _ in mark.of(curve)]:
            name = _named(mark.name, rates if alone else ())
            entries.append(Line2D([], [], label=name, **mark.look(colour)))
    if suggestions:
        name = _named("suggested", suggestions[0][0] if len(suggestions) == 1 else ())
        entries.append(Line2D([], [], color=GREY, label=name, **SUGGESTED))
    if bands:
        one = len(bands) == 1
        name = f"bounds {' to '.join(map(_number, bands[0][0]))}" if one else "bounds (strips)"
        entries.append(Patch(color=SHADE if one else GREY, linewidth=0, label=name))
    return entries


def _label(curve: Curve) -> str:
    text = curve.label if curve.conclusive else f"{curve.label} (inconclusive)"
    return textwrap.fill(" ".join(text.split()), LABEL_LETTERS)


def _named(name: str, rates: Sequence[float]) -> str:
    return textwrap.fill(f"{name} {', '.join(map(_number, rates))}", LABEL_LETTERS)


def _bands(curves: Sequence[Curve], bounds: tuple[float, float] | None) -> list[Coloured]:
    """Lower and upper bounds to be shaded: those of all, or else each curve's own."""
    return _of_all_or_each(bounds, [curve.bounds for curve in curves], SHADE)


def _suggestions(curves: Sequence[Curve], suggested: float | None) -> list[Coloured]:
    """Suggested rates, likewise."""
    own = [None if curve.suggested is None else (curve.suggested,) for curve in curves]
    return _of_all_or_each(None if suggested is None else (suggested,), own, GREY)


def _of_all_or_each(
    common: Sequence[float] | None, own: Sequence[Sequence[float] | None], colour: str
) -> list[Coloured]:
    """Draw the marks at their rates on the axis; `colour` is for a single curve."""
    each = [common] if common is not None else own
    found = [
        (rates, _colour(index))
        for index, rates in enumerate(each)
        if rates is not None and all(map(known_rate, rates))
    ]
    return found if len(found) > 1 else [(rates, colour) for rates, _ in found]


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _line(index: int) -> Look:
    dashes = DASHES[index // len(COLOURS) % len(DASHES)]
    return {**SMOOTHED, "color": _colour(index), "linestyle": dashes}


def _rates(curve: Curve) -> Floats:
    return _filled([known_rate(rate) for rate in curve.lr], len(curve.lr))


def _filled(values: Sequence[float | None], length: int) -> Floats:
    """`length` numbers, (length,): the values, and NaN where there are none."""
    numbers = [known(value) for value in values][:length]
    gaps = [np.nan] * (length - len(numbers))
    return np.array([*numbers, *gaps], dtype=np.float64)


def _number(rate: float) -> str:
    """A rate with two significant digits."""
    return f"{rate:.2g}".replace("e-0", "e-").replace("e+0", "e+")
