"""Scores of accuracies: their order is kept, and of the better half their distances."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.policy.model.warping import normal_scores, ranks_and_distances

accuracies = st.lists(
    st.integers(0, 1000).map(lambda one: one / 1000), min_size=4, max_size=60
).map(np.array)


@pytest.mark.parametrize("warp", [ranks_and_distances, normal_scores])
@given(found=accuracies)
def test_the_order_is_kept(warp: Any, found: Any) -> None:
    scores = warp(found)
    order = np.argsort(found, kind="stable")
    steps, gaps = np.diff(scores[order]), np.diff(found[order])
    assert (steps[gaps > 0] > 0).all()
    assert steps[gaps == 0] == pytest.approx(0.0)


def test_poor_accuracies_count_by_rank_alone_and_good_ones_by_their_distance_too() -> None:
    found = np.array([0.1, 0.1, 0.101, 0.3, 0.5, 0.52, 0.6, 0.7])
    scores = ranks_and_distances(found)
    other = np.where(found < 0.2, found * 2, found)  # the poor ones keep their ranks
    assert ranks_and_distances(other) == pytest.approx(scores)
    # A best that is far ahead is so in its score, where its rank says only that it is the best.
    ahead = np.append(found[:-1], 0.95)
    assert normal_scores(ahead) == pytest.approx(normal_scores(found))
    gap, wider = (one[7] - one[6] for one in (scores, ranks_and_distances(ahead)))
    assert wider > 1.2 * gap


def test_the_better_half_is_spread_about_as_widely_as_the_other() -> None:
    scores = ranks_and_distances(np.random.default_rng(0).uniform(0.4, 0.9, 400))
    assert np.mean(scores[scores > 0] ** 2) == pytest.approx(1.0, abs=0.1)
    assert np.mean(scores[scores < 0] ** 2) == pytest.approx(1.0, abs=0.1)


def test_where_nothing_stands_out_ranks_remain() -> None:
    found = np.array([0.5, 0.5, 0.5, 0.5, 0.9])
    assert ranks_and_distances(found) == pytest.approx(normal_scores(found))
