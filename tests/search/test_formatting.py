"""Figures, times and trials in words."""

import doctest

import pytest

from search import formatting as wording
from search.formatting import about, cut, duration, number, percent, points, short
from tests.search.script import VALUES


def test_the_examples_hold() -> None:
    found = doctest.testmod(wording)
    assert found.attempted >= 7
    assert found.failed == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (180, "3 min"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (-3, "0 s"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_estimates_are_never_none_at_all() -> None:
    assert (about(0.1), about(119), about(7200)) == ("about 10 s", "about 2 min", "about 2 h")


def test_figures() -> None:
    assert percent(0.63249) == "63.2 %"
    assert points(-0.0123) == "-1.2 points"
    assert (number(0.0996), number(99.7), number(0.3)) == ("0.1", "100", "0.3")


def test_the_parameters_that_matter_most_come_first() -> None:
    assert short(VALUES) == (
        "adam lr 0.0021 batch 64 channels 24/48 bn cosine weight decay 0.0005 init kaiming"
    )
    assert short({"batch_norm": False, "sgd_lr": 3e-4}) == "lr 0.0003 no bn"


def test_parameters_are_left_out_whole() -> None:
    assert short(VALUES, 30) == "adam lr 0.0021 batch 64 ..."
    assert all(len(short(VALUES, width)) <= width for width in range(3, 100))


def test_a_lone_numbered_parameter_keeps_its_name() -> None:
    assert short({"conv2": 5}) == "conv2 5"


def test_a_cut_line_is_no_longer_than_wanted() -> None:
    assert cut("x" * 50, 10) == "xxxxxxx..."
