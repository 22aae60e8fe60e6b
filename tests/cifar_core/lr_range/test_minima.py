"""Local minima: those of known curves, and for any curve those that their definition has."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_core.lr_range.minima import Minimum, local_minima


def rows(loss: Sequence[float], depth: float) -> list[int]:
    """Where the local minima of a curve are; their losses must be those of the curve."""
    found = local_minima([0.5 + row for row in range(len(loss))], loss, depth)
    at = [int(one.lr - 0.5) for one in found]
    assert found == tuple(Minimum(row + 0.5, loss[row]) for row in at)
    return at


def defined(loss: Sequence[int], depth: int) -> list[int]:
    """By definition: rows from which the curve rises by `depth` on both sides before it is as low again.

    To the right it may be as low, so that of equals the first counts.
    """
    return [
        row
        for row, low in enumerate(loss)
        if _rises(loss[:row][::-1], low + 1, low + depth)
        and _rises(loss[row + 1 :], low, low + depth)
    ]


def _rises(loss: Sequence[int], low: int, high: int) -> bool:
    """The curve reaches `high`, and is nowhere below `low` before."""
    return next((one >= high for one in loss if one >= high or one < low), False)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ([], []),
        ([5], []),
        ([5, 5, 5], []),
        ([9, 5, 1], []),
        ([1, 5, 9], []),
        ([1, 5, 1], []),
        ([9, 1, 9], [1]),
        ([5, 1, 9, 2, 9, 0], [1, 3]),
        ([9, 8, 7, 2, 4, 6], [3]),
        ([9, 5, 1, 2, 1, 2, 9], [2]),
        ([9, 1, 9, 1, 9], [1, 3]),
        ([9, 3, 1, 2, 3, 2, 3, 9], [2]),
        ([9, 1, 3, 0, 9], [3]),
        ([3, 9, 5, 9, 3], [2]),
        ([9, 9, 1, 1, 9, 9], [2]),
        ([9, 1, 9, 9, 9, 8, 7, 9], [1]),
    ],
    ids=str,
)
def test_known_curves_have_their_minima(loss: list[float], expected: list[int]) -> None:
    assert rows(loss, depth=4) == expected


def test_a_rise_of_just_the_depth_is_enough_on_both_sides() -> None:
    assert rows([5, 1, 5], depth=4) == [1]
    assert rows([5, 1, 4], depth=4) == rows([4, 1, 5], depth=4) == []


def test_an_end_of_the_curve_is_no_minimum_however_low() -> None:
    assert rows([0, 9, 5, 9, 0], depth=2) == [2]


def test_of_a_flat_bottom_the_first_point_counts() -> None:
    assert rows([9, 9, 1, 1, 1, 9], depth=4) == [2]


def test_ripples_within_a_basin_do_not_make_two_of_it() -> None:
    assert rows([9, 3, 5, 2, 4, 3, 9], depth=4) == [3]
    assert rows([9, 3, 5, 2, 4, 3, 9], depth=2) == [1, 3]


@settings(deadline=None, max_examples=1_000)
@given(loss=st.lists(st.integers(0, 8), max_size=14), depth=st.integers(1, 6))
def test_the_minima_of_any_curve_are_those_of_the_definition(loss: list[int], depth: int) -> None:
    assert rows(loss, depth) == defined(loss, depth)


@settings(deadline=None, max_examples=200)
@given(loss=st.lists(st.integers(0, 50), max_size=40), depth=st.integers(1, 30))
def test_more_depth_only_takes_minima_away(loss: list[int], depth: int) -> None:
    assert set(rows(loss, depth + 1)) <= set(rows(loss, depth))
