"""Scores of accuracies: their order is kept, and of the better half their distances."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.policy.model.warping import half_ranks, normal_scores

accuracies = st.lists(
    st.integers(0, 1000).map(lambda one: one / 1000), min_size=4, max_size=60
).map(np.array)


@pytest.mark.parametrize("warp", [half_ranks, normal_scores])
@given(found=accuracies)
def test_the_order_is_kept(warp: Any, found: Any) -> None:
    scores = warp(found)
    order = np.argsort(found, kind="stable")
    steps, gaps = np.diff(scores[order]), np.diff(found[order])
    assert (steps[gaps > 0] > 0).all()
    assert steps[gaps == 0] == pytest.approx(0.0)


def test_half_ranks_keep_distances_above_the_median_and_hide_them_below() -> None:
    found = np.array([0.1, 0.1, 0.101, 0.3, 0.5, 0.52, 0.6, 0.7])
    scores = half_ranks(found)
    assert (scores[7] - scores[6]) / (scores[6] - scores[5]) == pytest.approx(0.1 / 0.08)
    other = np.where(found < 0.2, found * 2, found)  # the poor ones keep their ranks
    assert half_ranks(other) == pytest.approx(scores)
    # A best that is far ahead stays far ahead, where ranks say only that it is the best.
    ahead = half_ranks(np.append(found[:-1], 0.95))
    assert (ahead[7] - ahead[6]) / (ahead[6] - ahead[5]) == pytest.approx(0.35 / 0.08)
    assert normal_scores(np.append(found[:-1], 0.95)) == pytest.approx(normal_scores(found))


def test_the_better_half_is_spread_like_the_other() -> None:
    scores = half_ranks(np.random.default_rng(0).uniform(0.4, 0.9, 400))
    assert np.mean(scores[scores > 0] ** 2) == pytest.approx(1.0)
    assert np.mean(scores[scores < 0] ** 2) == pytest.approx(1.0, abs=0.05)


def test_where_nothing_stands_out_ranks_remain() -> None:
    found = np.array([0.5, 0.5, 0.5, 0.5, 0.9])
    assert half_ranks(found) == pytest.approx(normal_scores(found))
