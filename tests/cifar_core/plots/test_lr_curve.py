"""Curves of an LR-range test, before anything draws them."""

import math
import subprocess
import sys
from dataclasses import replace

import pytest

from cifar_core.plots.lr_curve import Curve, loss_range, rate_range

NAN = math.nan
CURVE = Curve(
    "it", [0.001, 0.01, 0.1, 1.0], [2.5, 1.0, 1.6, 50.0], [2.0, 1.5, 1.7, 40.0], start=2.0
)


def test_it_imports_nothing_slow() -> None:
    script = """
import sys
import cifar_core.plots.lr_curve
print(sorted({"matplotlib", "numpy", "torch", "rich"} & sys.modules.keys()))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout == "[]\n"


def test_the_height_lies_on_the_straight_line_between_the_neighbours() -> None:
    assert CURVE.height(0.01) == pytest.approx(1.5)
    assert CURVE.height(10**-1.5) == pytest.approx(1.6)
    assert CURVE.height(10**-2.25) == pytest.approx(1.5 + 0.25 * 0.5)


def test_the_height_outside_of_the_rates_is_that_of_the_end() -> None:
    assert CURVE.height(1e-9) == 2.0
    assert CURVE.height(100.0) == 40.0


def test_the_height_in_a_gap_is_between_what_is_known() -> None:
    assert replace(CURVE, smoothed=[2.0, NAN, 1.7, 40.0]).height(0.01) == pytest.approx(1.85)
    assert replace(CURVE, smoothed=[NAN, None, math.inf]).height(0.01) is None


def test_a_height_has_a_rate() -> None:
    assert CURVE.height(0.0) is None
    assert CURVE.height(NAN) is None


def test_a_curve_that_is_too_short_ends_early() -> None:
    assert replace(CURVE, smoothed=[2.0, 1.5]).points() == [(0.001, 2.0), (0.01, 1.5)]


def test_the_chosen_minimum_is_not_among_the_others() -> None:
    curve = replace(CURVE, minima=[(0.01, 1.5), (0.1, 1.7)], minimum=0.01)
    assert curve.other_minima == [(0.1, 1.7)]
    assert replace(curve, minimum=None).other_minima == [(0.01, 1.5), (0.1, 1.7)]


@pytest.mark.parametrize(
    ("marks", "conclusive"),
    [({}, False), ({"steepest": 0.1}, False), ({"minimum": 0.1}, True), ({"suggested": 0.1}, True)],
)
def test_a_conclusion_is_what_a_search_can_use(marks: dict[str, float], conclusive: bool) -> None:
    assert replace(CURVE, **marks).conclusive is conclusive


def test_the_losses_shown_end_a_little_above_the_highest_start() -> None:
    assert loss_range([CURVE], raw=True) == (1.0, pytest.approx(2.6))
    assert loss_range([CURVE], raw=False) == (1.5, pytest.approx(2.6))
    assert loss_range([CURVE, replace(CURVE, start=3.0)], raw=True) == (1.0, pytest.approx(3.9))


def test_without_a_start_the_first_loss_is_one() -> None:
    assert loss_range([replace(CURVE, start=None)], raw=True) == (1.0, pytest.approx(2.6))
    later = replace(CURVE, start=None, smoothed=[NAN, 1.5, 1.7, 40.0])
    assert loss_range([later], raw=True) == (1.0, pytest.approx(1.95))


def test_the_losses_shown_hold_the_start_and_no_more_than_there_is() -> None:
    low = replace(CURVE, loss=[], smoothed=[1.0, 1.2])
    assert loss_range([low], raw=True) == (1.0, 2.0)


@pytest.mark.parametrize("loss", [0.0, 2.3, 1e20, 1e300])
def test_a_constant_loss_has_room_around_it(loss: float) -> None:
    shown = loss_range([Curve("it", [0.1, 1.0], [loss] * 2, [loss] * 2, start=loss)], raw=True)
    assert shown is not None
    assert shown[0] < min(loss, 1e30) < shown[1]


def test_no_loss_and_no_rate_have_no_range() -> None:
    assert loss_range([replace(CURVE, loss=[NAN], smoothed=[None])], raw=True) is None
    assert loss_range([], raw=True) is None
    assert rate_range([replace(CURVE, lr=[0.0, -1.0, NAN])]) is None


def test_a_single_rate_has_room_around_it() -> None:
    assert rate_range([Curve("it", [0.1], [2.0], [2.0])]) == (0.05, 0.2)
