"""The figure of an LR-range test: asked before it is saved, and as a file."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from cifar_core.plots.lr_range import COLOURS, Curve, lr_range_figure
from cifar_core.plots.style import write_png

NAN = math.nan
START, BOTTOM = 2.303, 1.5
STEPS = 111
BELOW = "CIFAR-10, 45,000 training / 5,000 validation, split 0123; training; seeds 0-2"


def a_curve(label: str = "batch 64", decades: float = 0.0) -> Curve:
    """Flat until 1e-4, lowest at 0.02, back at the start at 0.25, 2.9 at 0.5, then far above."""
    lr = np.geomspace(1e-10, 10.0, STEPS)
    knots = np.array([1e-10, 1e-4, 0.02, 0.25, 0.5, 10.0]) * 10**decades
    smoothed = np.interp(np.log(lr), np.log(knots), [START, START, BOTTOM, START, 2.9, 500.0])
    raw = smoothed + np.random.default_rng(0).normal(0.0, 0.1, STEPS)
    by = 10**decades
    return Curve(
        label,
        lr.tolist(),
        raw.tolist(),
        smoothed.tolist(),
        start=START,
        steepest=0.004 * by,
        minima=[(0.001 * by, 2.0), (0.02 * by, BOTTOM)],
        minimum=0.02 * by,
        divergence=0.25 * by,
        low=0.002 * by,
        high=0.06 * by,
        suggested=0.0067 * by,
    )


def inconclusive(label: str = "batch 512") -> Curve:
    lr = np.geomspace(1e-10, 10.0, STEPS).tolist()
    return Curve(label, lr, [START] * STEPS, [START] * STEPS, start=START)


def corners(count: int = 4) -> list[Curve]:
    return [a_curve(f"batch {32 * 2**at}, channels 6/16", 0.1 * at) for at in range(count)]


def drawn(curves: Sequence[Curve], **common: object) -> Figure:
    return lr_range_figure(curves, "LR-range test: Net4", BELOW, **common)  # type: ignore[arg-type]


def panels(figure: Figure) -> tuple[Axes, Axes, Axes]:
    large, rates, steps = figure.axes
    return large, rates, steps


def legend(figure: Figure) -> list[str]:
    return [
        text.get_text().replace("\n", " ") for one in figure.legends for text in one.get_texts()
    ]


def markers(axes: Axes, shape: str) -> list[tuple[float, float, str]]:
    """Rate, loss and face of all marks of one shape."""
    return [
        (*line.get_xydata()[0], to_hex(line.get_markerfacecolor()))
        for line in axes.get_lines()
        if line.get_marker() == shape
    ]


def long_lines(axes: Axes) -> list[Line2D]:
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 2]


def verticals(axes: Axes) -> list[tuple[float, str]]:
    return [
        (line.get_xdata()[0], to_hex(line.get_color()))
        for line in axes.get_lines()
        if list(line.get_ydata()) == [0, 1]
    ]


def shades(axes: Axes) -> list[tuple[float, float, float, str]]:
    """Lower and upper bound, part of the panel's height, and colour."""
    found = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return [
        (one.get_x(), one.get_x() + one.get_width(), one.get_height(), to_hex(one.get_facecolor()))
        for one in found
    ]


def pixels(figure: Figure, folder: Path) -> np.ndarray:
    write_png(figure, folder / "it.png")
    return np.rint(imread(folder / "it.png")[:, :, :3] * 255).astype(int)


FIGURES = {
    "one": ([a_curve()], {}),
    "corners": (corners(8), {"bounds": (1e-3, 0.5), "suggested": 0.02}),
    "each its own": (corners(8), {}),
    "inconclusive": ([inconclusive()], {}),
    "no loss": ([Curve("it", [0.1, 1.0], [NAN] * 2, [NAN, None])], {}),
    "long labels": ([a_curve("a long name, and more, " * 9), inconclusive("x" * 300)], {}),
    "nothing": ([], {}),
}


# All of them


@cache
def laid_out(name: str) -> Figure:
    """One of the figures with everything in its place."""
    curves, common = FIGURES[name]
    figure = drawn(curves, **common)
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("name", FIGURES)
def test_it_says_what_it_is_of_and_no_letter_lies_outside_or_on_another(name: str) -> None:
    figure = laid_out(name)
    assert figure.get_supxlabel() == BELOW
    assert figure.axes[0].get_title(loc="left").startswith("LR-range test: Net4")
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height
    extents = [axes.get_tightbbox() for axes in figure.axes]
    extents += [one.get_window_extent() for one in figure.legends]
    for index, one in enumerate(extents):
        assert not any(one.overlaps(other) for other in extents[index + 1 :])


@pytest.mark.parametrize("name", FIGURES)
def test_labels_of_rates_do_not_touch(name: str) -> None:
    large, rates, _ = panels(laid_out(name))
    for axis in (large.xaxis, rates.yaxis):
        boxes = [label.get_window_extent() for label in axis.get_ticklabels()]
        assert len(boxes) >= 2
        for index, one in enumerate(boxes):
            assert not any(one.overlaps(other) for other in boxes[index + 1 :])


def test_the_users_own_settings_do_not_count(tmp_path: Path) -> None:
    plain = pixels(drawn([a_curve()]), tmp_path)
    with mpl.rc_context({"font.size": 30.0, "lines.marker": "x", "axes.titlesize": 40.0}):
        assert (pixels(drawn([a_curve()]), tmp_path) == plain).all()


ODD = {
    "one point": Curve("it", [0.1], [2.0], [2.0]),
    "constant": Curve("it", [0.1, 1.0], [2.3] * 2, [2.3] * 2, start=2.3),
    "zero": Curve("it", [0.1, 1.0], [0.0] * 2, [0.0] * 2, start=0.0),
    "huge": Curve("it", [0.1, 1.0], [1e300, -1e300], [1e300, 2.0], start=2.3),
    "huge start": Curve("it", [0.1, 1.0], [2.0, 1.0], [2.0, 1.0], start=1e300),
    "infinite": Curve("it", [0.1, 1.0], [math.inf, 2.0], [math.inf, -math.inf], start=math.inf),
    "no steps": Curve("it", [], [], []),
    "rates of nothing": Curve("it", [0.0, -1.0, NAN], [1.0] * 3, [1.0] * 3),
    "far rates": Curve("it", [1e-29, 1e29], [1.0] * 2, [2.0] * 2, low=1e-29, high=1e29),
    "losses missing": replace(a_curve(), loss=[2.0], smoothed=[None, 2.0]),
    "marks outside": Curve(
        "it", [0.1, 1.0], [2.0, 1.0], [2.0, 1.0], None, 9.0, [(0.01, 3.0)], 0.0, -1.0, 5.0, 9.0, 7.0
    ),
    "marks that are no numbers": replace(
        a_curve(), steepest=NAN, minima=[(NAN, NAN)], divergence=math.inf, low=NAN, suggested=0.0
    ),
    "no name": Curve("", [0.1, 1.0], [2.0, 1.0], [2.0, 1.0]),
    "strange name": Curve("_a$b$\t[x]\n{y}", [0.1, 1.0], [2.0, 1.0], [2.0, 1.0]),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_curves_are_drawn_without_a_warning(name: str, tmp_path: Path) -> None:
    pixels(drawn([ODD[name]]), tmp_path)


def test_odd_curves_are_drawn_beside_others_without_a_warning(tmp_path: Path) -> None:
    curves = [a_curve(), *ODD.values()]
    pixels(drawn(curves, bounds=(1e-40, 1e40), suggested=math.nan), tmp_path)


# Curves


def test_the_lines_are_the_losses_against_rates_and_against_steps() -> None:
    curve = a_curve()
    large, _, steps = panels(drawn([curve]))
    for axes, places in ((large, curve.lr), (steps, range(STEPS))):
        raw, smoothed = long_lines(axes)
        for line, losses in ((raw, curve.loss), (smoothed, curve.smoothed)):
            assert list(line.get_xdata()) == pytest.approx(list(places))
            seen = np.array(losses) < 1.3 * START
            assert line.get_ydata()[seen] == pytest.approx(np.array(losses)[seen])
        assert raw.get_linewidth() < smoothed.get_linewidth()
        assert raw.get_color() == smoothed.get_color() == COLOURS[0]
    assert (large.get_xscale(), steps.get_xscale()) == ("log", "linear")
    assert large.get_xlim() == pytest.approx((1e-10, 10.0))


def test_an_exploding_loss_leaves_the_rest_its_room() -> None:
    large, _, steps = panels(drawn([a_curve()]))
    for axes in (large, steps):
        low, high = axes.get_ylim()
        assert 1.2 < low < BOTTOM
        assert 1.3 * START < high < 1.4 * START
        assert all(np.max(line.get_ydata()) > high for line in long_lines(axes))


@pytest.mark.parametrize("bad", [None, NAN, math.inf])
def test_a_loss_that_is_no_number_is_a_gap(bad: float | None) -> None:
    curve = a_curve()
    broken = [bad if index == 50 else loss for index, loss in enumerate(curve.loss)]
    large, _, _ = panels(drawn([replace(curve, loss=broken)]))
    raw, smoothed = long_lines(large)
    assert np.flatnonzero(~np.isfinite(raw.get_ydata())).tolist() == [50]
    assert np.isfinite(smoothed.get_ydata()).all()


def test_the_start_is_a_dotted_line() -> None:
    for axes in panels(drawn([a_curve()]))[::2]:
        (line,) = (line for line in axes.get_lines() if line.get_linestyle() == ":")
        assert set(line.get_ydata()) == {START}


def test_each_of_eight_curves_has_its_colour_and_a_ninth_other_dashes() -> None:
    figure = drawn(corners(9), bounds=(0.001, 0.1), suggested=0.01)
    for axes in panels(figure)[::2]:
        smoothed = long_lines(axes)[1::2]
        looks = {(to_hex(line.get_color()), line.get_linestyle()) for line in smoothed}
        assert len(looks) == 9
        assert len({colour for colour, _ in looks}) == 8
    names = [curve.label for curve in corners(9)]
    assert legend(figure)[:9] == names


def test_the_rates_of_a_geometric_ramp_are_a_straight_line() -> None:
    curve = a_curve()
    _, axes, _ = panels(drawn([curve]))
    (line,) = axes.get_lines()
    assert axes.get_yscale() == "log"
    assert axes.get_ylim() == pytest.approx((1e-10, 10.0))
    assert list(line.get_ydata()) == pytest.approx(list(curve.lr))
    assert list(line.get_xdata()) == list(range(STEPS))


def test_the_rates_of_a_linear_ramp_are_those_that_were_tried() -> None:
    lr = np.linspace(0.001, 0.1, STEPS).tolist()
    (line,) = panels(drawn([replace(a_curve(), lr=lr)]))[1].get_lines()
    assert list(line.get_ydata()) == pytest.approx(lr)


def test_a_ramp_that_all_have_in_common_is_one_line() -> None:
    assert len(panels(drawn(corners(4)))[1].get_lines()) == 1
    other = replace(a_curve(), lr=np.geomspace(1e-5, 1.0, STEPS).tolist())
    assert len(panels(drawn([*corners(4), other]))[1].get_lines()) == 5


# What was read off them


def test_the_marks_lie_on_the_smoothed_curve_at_their_rates() -> None:
    curve = a_curve()
    large, _, _ = panels(drawn([curve]))
    assert markers(large, "v") == [(0.004, pytest.approx(curve.height(0.004)), "#0072b2")]
    assert markers(large, "X") == [(0.25, pytest.approx(curve.height(0.25)), "#0072b2")]
    others = (0.001, 2.0, "#ffffff")
    chosen = (0.02, pytest.approx(curve.height(0.02)), "#0072b2")
    assert markers(large, "o") == [others, chosen]


def test_a_mark_above_the_panel_is_at_its_edge() -> None:
    large, _, _ = panels(drawn([replace(a_curve(), divergence=5.0)]))
    ((_, loss, _),) = markers(large, "X")
    assert loss == large.get_ylim()[1]


def test_one_curve_has_its_bounds_and_suggestion_and_their_values_in_the_legend() -> None:
    figure = drawn([a_curve()])
    large, _, _ = panels(figure)
    ((low, high, height, _),) = shades(large)
    assert (low, high, height) == pytest.approx((0.002, 0.06, 1.0))
    assert [rate for rate, _ in verticals(large)] == [0.0067]
    assert legend(figure) == [
        "batch 64",
        "before smoothing",
        "loss at the start 2.30",
        "steepest descent 0.004",
        "local minimum 0.001",
        "minimum 0.02",
        "divergence 0.25",
        "suggested 0.0067",
        "bounds 0.002 to 0.06",
    ]


def test_common_bounds_stand_in_place_of_each_curves_own() -> None:
    figure = drawn(corners(), bounds=(0.001, 0.3), suggested=0.012)
    large, _, _ = panels(figure)
    ((low, high, height, _),) = shades(large)
    assert (low, high, height) == pytest.approx((0.001, 0.3, 1.0))
    assert [rate for rate, _ in verticals(large)] == [0.012]
    assert legend(figure)[-2:] == ["suggested 0.012", "bounds 0.001 to 0.3"]


def test_without_common_bounds_each_curve_has_a_strip_in_its_colour() -> None:
    curves = [*corners(3), inconclusive()]
    large, _, _ = panels(drawn(curves))
    found = shades(large)
    assert [rates[:2] for rates in found] == [
        pytest.approx((curve.low, curve.high)) for curve in curves[:3]
    ]
    assert [colour for *_, colour in found] == [colour.lower() for colour in COLOURS[:3]]
    assert sum(height for *_, height, _ in found) < 0.1
    assert verticals(large) == [
        (curve.suggested, colour.lower())
        for curve, colour in zip(curves[:3], COLOURS, strict=False)
    ]


def test_the_legend_of_several_names_every_mark_once_and_no_values() -> None:
    assert legend(drawn(corners(3)))[3:] == [
        "before smoothing",
        "loss at the start",
        "steepest descent",
        "local minimum",
        "minimum",
        "divergence",
        "suggested",
        "bounds (strips)",
    ]


def test_several_have_marks_in_their_colours() -> None:
    large, _, _ = panels(drawn(corners(3), bounds=(0.001, 0.3)))
    assert [colour for *_, colour in markers(large, "v")] == [
        colour.lower() for colour in COLOURS[:3]
    ]


def test_a_curve_without_a_conclusion_says_so() -> None:
    figure = drawn([inconclusive()])
    assert figure.axes[0].get_title(loc="left") == "LR-range test: Net4 (inconclusive)"
    assert legend(figure)[0] == "batch 512 (inconclusive)"
    assert not shades(figure.axes[0])
    mixed = drawn([a_curve(), inconclusive()])
    assert mixed.axes[0].get_title(loc="left") == "LR-range test: Net4"
    assert legend(mixed)[:2] == ["batch 64", "batch 512 (inconclusive)"]


def test_a_figure_without_losses_says_so() -> None:
    for axes in panels(drawn([Curve("it", [0.1, 1.0], [NAN] * 2, [NAN] * 2)]))[::2]:
        assert [text.get_text() for text in axes.texts] == ["no loss to draw"]


def test_a_strange_name_is_in_the_legend_as_it_is() -> None:
    assert legend(drawn([ODD["strange name"]]))[0] == "_a$b$ [x] {y} (inconclusive)"
