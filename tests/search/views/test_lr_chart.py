"""The chart of an LR-range test in a terminal: everything in its place, and within the width."""

import io
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from cifar_core.plots.lr_curve import Curve
from search.views.lr_chart import chart
from search.views.lr_chart_marks import COLOURS

NAN = math.nan
LR = [10 ** (-10 + index / 30) for index in range(331)]


def valley(rate: float) -> float:
    """Return a loss of 2.3 until 1e-4, 1.5 at 0.01, 2.3 at 0.1, and far above at 10."""
    at = math.log10(rate)
    knots = [(-11.0, 2.3), (-4.0, 2.3), (-2.0, 1.5), (-1.0, 2.3), (-0.5, 2.9), (1.1, 500.0)]
    for (left, before), (right, after) in pairwise(knots):
        if left <= at <= right:
            return before + (after - before) * (at - left) / (right - left)
    raise AssertionError(rate)


CURVE = Curve(
    "batch 64",
    LR,
    [],
    [valley(rate) for rate in LR],
    start=2.3,
    steepest=1e-3,
    minima=[(1e-5, 2.2), (1e-2, 1.5)],
    minimum=1e-2,
    divergence=1e-1,
    low=1e-4,
    high=1.0,
    suggested=1e-3,
)
FLAT = Curve("batch 512", LR, [], [2.3] * len(LR), start=2.3)


def printed(drawing: RenderableType, width: int, colours: bool = False) -> list[str]:
    console = Console(
        width=width,
        file=io.StringIO(),
        color_system="standard" if colours else None,
        force_terminal=colours,
    )
    with console.capture() as capture:
        console.print(drawing)
    return capture.get().splitlines()


def lines_of(
    *curves: Curve,
    width: int = 80,
    height: int = 20,
    bounds: tuple[float, float] | None = None,
    suggested: float | None = None,
    ascii_only: bool = False,
) -> list[str]:
    return printed(chart(curves, width, height, bounds, suggested, ascii_only), width)


def panel(lines: Sequence[str]) -> list[str]:
    """Return what is drawn right of the axis of the losses."""
    return [line.replace("│", "┤").split("┤")[1] for line in lines if "│" in line or "┤" in line]


def axis(lines: Sequence[str]) -> str:
    (found,) = (line for line in lines if "└" in line)
    return found


def column_of(lines: Sequence[str], rate: float) -> int:
    """Return the expected column of a rate, from an axis with 1e-10 at its left end and 10 at its right."""
    line = axis(lines)
    left, right = line.index("└") + 1, len(line) - 1
    return left + int((math.log10(rate) + 10) / 11 * (right - left + 1) - 1e-9)


def with_mark(lines: Sequence[str], mark: str) -> str:
    below = lines[lines.index(axis(lines)) + 2 :]
    return next(line for line in below if mark in line)


def drawn_rows(rows: Sequence[str], column: int) -> list[int]:
    return [index for index, row in enumerate(rows) if row[column] != " "]


# Where things are


@pytest.mark.parametrize("width", [60, 81])
def test_each_mark_is_in_the_column_of_its_rate(width: int) -> None:
    lines = lines_of(CURVE, width=width)
    bounds, marks = (with_mark(lines, letter) for letter in ("[", "M"))
    placed = [(bounds, "[", 1e-4), (bounds, "]", 1.0), (bounds, "^", 1e-3)]
    placed += [(marks, "m", 1e-5), (marks, "s", 1e-3), (marks, "M", 1e-2), (marks, "x", 1e-1)]
    for line, letter, rate in placed:
        assert line.count(letter) == 1
        assert abs(line.index(letter) - column_of(lines, rate)) <= 1, letter
    assert set(marks) == set(" msMx")
    inside = bounds[bounds.index("[") + 1 : bounds.index("]")]
    assert set(inside) == set("-^")


def test_marks_are_below_what_they_mark() -> None:
    lines = lines_of(CURVE)
    rows = panel(lines)
    gutter = axis(lines).index("└") + 1
    lowest = with_mark(lines, "M").index("M") - gutter
    assert drawn_rows(rows, lowest) == [len(rows) - 1]
    assert drawn_rows(rows, lowest - 10)[0] < len(rows) - 3
    assert drawn_rows(rows, lowest + 5)[0] < len(rows) - 3


def test_labels_of_decades_are_at_their_ticks() -> None:
    lines = lines_of(CURVE, width=80)
    line = axis(lines)
    labels = lines[lines.index(line) + 1]
    shown = ["1e-10", *(f"1e-{power}" for power in range(9, 4, -1))]
    assert labels.split() == [*shown, "0.0001", "0.001", "0.01", "0.1", "1", "10"]
    ticks = [index for index, mark in enumerate(line) if mark == "┴"]
    for text, rate, tick in zip(
        labels.split(), [10.0**at for at in range(-10, 2)], ticks, strict=True
    ):
        assert abs(tick - column_of(lines, rate)) <= 1
        start = f" {labels} ".index(f" {text} ")
        assert start <= tick < start + len(text)


def test_fewer_decades_have_a_label_where_there_is_less_room() -> None:
    lines = lines_of(CURVE, width=30)
    labels = lines[lines.index(axis(lines)) + 1].split()
    assert labels == ["1e-10", "1e-7", "0.0001", "0.1"]


def test_less_than_a_decade_is_labelled_at_its_ends() -> None:
    lines = lines_of(Curve("it", [0.02, 0.03, 0.07], [], [2.0, 1.9, 1.8]), width=40)
    assert lines[lines.index(axis(lines)) + 1].split() == ["0.02", "0.07"]


@pytest.mark.parametrize(("height", "ascii_only"), [(8, False), (12, True), (40, False)])
def test_labels_of_losses_say_what_is_at_their_height(height: int, ascii_only: bool) -> None:
    # Two points, far from each other, set the range of the losses.
    ends = Curve("it", [1.0, 3.0, 10.0], [], [3.0, NAN, 1.0], start=3.0)
    side = "+" if ascii_only else "┤"

    def labelled(level: Curve) -> list[tuple[str, str]]:
        lines = lines_of(ends, level, height=height, ascii_only=ascii_only)
        return [(line[:4], line[5:]) for line in lines if line[4:5] == side and line[:4].strip()]

    labels = [text for text, _ in labelled(ends)]
    assert len(labels) in {3, 4}
    for text in labels:
        drawn = dict(labelled(replace(ends, smoothed=[float(text)] * 3)))
        assert [at for at, row in drawn.items() if row[5:30].strip()] == [text]
        assert set(drawn[text][5:30]) <= set("⠒⠤o")  # of Braille's dots those in the middle


def test_what_is_far_above_the_start_is_at_the_upper_edge() -> None:
    rows = panel(lines_of(CURVE))
    assert drawn_rows(rows, -2) == [0]
    assert 3 < drawn_rows(rows, 3)[0] < len(rows) - 3


def test_a_straight_fall_is_a_straight_line_of_dots() -> None:
    rates = [0.01, 10.0]
    rows = panel(lines_of(Curve("it", rates, [], [2.0, 1.0], start=2.0), width=45, height=13))
    assert all(row.strip() for row in rows)
    assert (ord(rows[0][0]) - 0x2800) & 0x01  # the dot in the upper left
    assert (ord(rows[-1][-1]) - 0x2800) & 0x80  # and in the lower right
    firsts = [drawn_rows(rows, column)[0] for column in range(len(rows[0]))]
    assert firsts == sorted(firsts)


def test_the_ends_are_in_the_outermost_dots() -> None:
    fall, rise = ([3.0, NAN, 1.0], [1.0, NAN, 3.0])
    for losses, left, right in ((fall, "⠁", "⢀"), (rise, "⡀", "⠈")):
        rows = panel(lines_of(Curve("it", [1.0, 3.0, 10.0], [], losses, start=3.0)))
        assert {rows[0][0], rows[-1][0]} == {left, " "}
        assert {rows[0][-1], rows[-1][-1]} == {right, " "}


def test_a_gap_stays_a_gap() -> None:
    losses = [
        NAN if 1e-8 < rate < 1e-6 else loss for rate, loss in zip(LR, CURVE.smoothed, strict=True)
    ]
    lines = lines_of(replace(CURVE, smoothed=losses))
    rows, gutter = panel(lines), axis(lines).index("└") + 1
    low, high = (column_of(lines, rate) - gutter for rate in (1e-8, 1e-6))
    empty = [column for column in range(len(rows[0])) if not drawn_rows(rows, column)]
    assert empty == list(range(low + 1, high))


# Bounds


def test_given_bounds_stand_in_place_of_the_curves_own() -> None:
    lines = lines_of(CURVE, bounds=(1e-8, 1e-6), suggested=1e-7)
    bounds = with_mark(lines, "[")
    for letter, rate in (("[", 1e-8), ("^", 1e-7), ("]", 1e-6)):
        assert abs(bounds.index(letter) - column_of(lines, rate)) <= 1


@pytest.mark.parametrize(
    ("bounds", "first", "last"),
    [
        ((1e-12, 1e-3), "<", "]"),
        ((1e-3, 100.0), "[", ">"),
        ((1e-12, 100.0), "<", ">"),
        ((1e-13, 1e-12), "<", "<"),
        ((20.0, 100.0), ">", ">"),
        ((1e-3, 1e-5), "[", "]"),
    ],
)
def test_bounds_out_of_sight_are_arrows(bounds: tuple[float, float], first: str, last: str) -> None:
    lines = lines_of(FLAT, bounds=bounds)
    line = lines[lines.index(axis(lines)) + 2].strip()
    assert (line[0], line[-1]) == (first, last)


@pytest.mark.parametrize("bad", [(NAN, 1.0), (0.0, 1.0), (-1.0, math.inf)])
def test_bounds_that_are_none_are_not_drawn(bad: tuple[float, float]) -> None:
    assert not any("bounds" in line or "[" in line for line in lines_of(FLAT, bounds=bad))


def test_several_curves_have_the_bounds_of_all_and_no_marks() -> None:
    lines = lines_of(CURVE, FLAT, bounds=(1e-4, 0.1), suggested=1e-2)
    assert "[" in with_mark(lines, "^")
    assert lines[-1] == "[-] bounds  ^ suggested"
    assert not any("divergence" in line for line in lines)
    assert not any("[" in line for line in lines_of(CURVE, FLAT))


# The legend


def test_the_marks_of_one_curve_are_named_on_one_line() -> None:
    lines = lines_of(CURVE)
    assert lines[-2:] == [
        "━━ batch 64",
        "[-] bounds  ^ suggested  s steepest  m local minimum  M minimum  x divergence",
    ]


def test_only_what_is_there_is_named() -> None:
    assert lines_of(FLAT)[-1] == "━━ batch 512 (inconclusive)"
    only = replace(CURVE, minima=[(1e-2, 1.5)], divergence=100.0, low=None, suggested=None)
    assert lines_of(only)[-1] == "s steepest  M minimum"


def test_each_curve_is_named_in_its_colour() -> None:
    curves = [replace(CURVE, label=f"corner {index}") for index in range(8)]
    drawing = chart(curves, 80, 24)
    coloured = "\n".join(printed(drawing, 80, colours=True))
    codes = {"cyan": 36, "yellow": 33, "magenta": 35, "green": 32, "blue": 34, "white": 37}
    codes |= {"bright_red": 91, "bright_black": 90}
    assert len(set(COLOURS)) == 8
    for index, colour in enumerate(COLOURS):
        assert f"\x1b[{codes[colour]}m━━ corner {index}\x1b[0m" in coloured


def test_each_curve_is_drawn_in_its_colour() -> None:
    curves = [
        replace(FLAT, label="a name " * 9, smoothed=[2.3 - at / 4] * len(LR)) for at in range(3)
    ]
    lines = printed(chart(curves, 80, 20), 80, colours=True)
    codes = [re.findall(r"\x1b\[(\d+)m", line) for line in lines if "━" not in line]
    flat = [found[0] for found in codes if found[1:] == ["0"]]
    assert flat == ["36", "33", "35"]  # cyan above yellow above magenta


def test_names_from_outside_steer_nothing() -> None:
    lines = lines_of(replace(CURVE, label="[red]a\n\x1b[31mb[/red]"))
    assert "━━ [red]a [31mb[/red]" in lines


def test_a_curve_without_losses_beside_others_says_so() -> None:
    lines = lines_of(CURVE, replace(FLAT, smoothed=[NAN] * len(LR)))
    assert any("batch 512 (no loss)" in line for line in lines)


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_long_name_is_cut(ascii_only: bool) -> None:
    lines = lines_of(replace(CURVE, label="long " * 30), width=40, ascii_only=ascii_only)
    (name,) = (line for line in lines if "long" in line)
    assert cell_len(name) == 40
    assert name.endswith("..." if ascii_only else "…")


# ASCII


def test_ascii_has_nothing_else() -> None:
    lines = lines_of(replace(CURVE, label="Größe 模型"), ascii_only=True)
    assert all(line.isascii() for line in lines)
    assert "* Gr??e ??" in lines
    assert sum("*" in line for line in lines) > 8
    marks = next(line for line in lines if "M" in line)
    assert marks == with_mark(lines_of(CURVE), "M")


def test_curves_in_ascii_have_a_symbol_each() -> None:
    lines = lines_of(CURVE, FLAT, ascii_only=True)
    assert "* batch 64  o batch 512 (inconclusive)" in lines
    rows = [line.split("|")[-1] for line in lines if "|" in line]
    assert any("*" in row for row in rows)
    assert any("ooo" in line for line in lines)


# Room


@pytest.mark.parametrize(("count", "ascii_only"), [(1, True), (8, False)])
def test_the_chart_is_as_wide_as_the_terminal_and_no_wider(count: int, ascii_only: bool) -> None:
    curves = [replace(CURVE, lr=LR[::15], smoothed=CURVE.smoothed[::15])] * count
    for width in (30, 31, 57, 80, 121):
        # A console with room to spare would show what is too long.
        drawing = chart(curves, width, 18, (1e-3, 1e-1), 1e-2, ascii_only)
        assert max(cell_len(line) for line in printed(drawing, 300)) == width


@pytest.mark.parametrize("height", [11, 24])
def test_the_chart_is_as_high_as_it_may_be(height: int) -> None:
    assert len(lines_of(CURVE, height=height)) == height
    assert len(lines_of(CURVE, FLAT, bounds=(1e-3, 0.1), height=height)) == height


@pytest.mark.parametrize("height", [0, 7])
def test_three_lines_remain_for_the_curves(height: int) -> None:
    assert len(panel(lines_of(CURVE, height=height))) == 3


@pytest.mark.parametrize(
    "curves", [[], [Curve("it", [0.1, 1.0], [], [NAN, None])], [Curve("it", [0.0, 1.0], [], [2.0])]]
)
def test_where_there_is_nothing_it_says_so(curves: list[Curve]) -> None:
    assert lines_of(*curves) == ["no loss to draw"]


def test_one_point_is_seen() -> None:
    rows = panel(lines_of(Curve("it", [0.1], [], [2.0])))
    assert sum(mark != " " for row in rows for mark in row) == 1


def test_a_constant_curve_is_one_line() -> None:
    rows = panel(lines_of(FLAT))
    assert [bool(row.strip()) for row in rows].count(True) == 1
    assert all(row.strip() == "" or " " not in row for row in rows)


numbers = st.none() | st.floats() | st.floats(1e-10, 10.0)
rates = st.floats() | st.floats(1e-10, 10.0)
some_curves = st.builds(
    Curve,
    label=st.text(max_size=50),
    lr=st.lists(rates, max_size=8) | st.lists(rates, max_size=8).map(sorted),
    loss=st.lists(numbers, max_size=8),
    smoothed=st.lists(numbers, max_size=8),
    start=numbers,
    steepest=numbers,
    minima=st.lists(st.tuples(rates, rates), max_size=3),
    minimum=numbers,
    divergence=numbers,
    low=numbers,
    high=numbers,
    suggested=numbers,
)


@settings(max_examples=30, deadline=None)
@given(
    curves=st.lists(some_curves, max_size=9),
    width=st.integers(30, 120),
    height=st.integers(-1, 40),
    bounds=st.none() | st.tuples(rates, rates),
    suggested=numbers,
    ascii_only=st.booleans(),
)
def test_whatever_was_measured_it_fits(
    curves: list[Curve],
    width: int,
    height: int,
    bounds: tuple[float, float] | None,
    suggested: float | None,
    ascii_only: bool,
) -> None:
    lines = printed(chart(curves, width, height, bounds, suggested, ascii_only), 400)
    assert all(cell_len(line) <= width for line in lines)
    assert not ascii_only or all(line.isascii() for line in lines)
    assert lines


def test_a_chart_needs_no_matplotlib() -> None:
    script = """
import sys
import search.views.lr_chart
print(sorted({"matplotlib", "torch"} & sys.modules.keys()))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout == "[]\n"
