"""The made-up functions that intervals of importance are checked on have the shares that they should."""

import numpy as np
import pytest

from bench.importance import HIGHS, TRIALS, MadeUp, space, trials


def test_true_shares_are_those_of_the_terms() -> None:
    """Two lines of one slope share the variance; a third parameter with a V shape adds its own."""
    weights, lines = np.array([1.0, 1.0, 0, 0, 0, 0]), np.full(len(HIGHS), np.nan)
    shares = MadeUp(weights, lines).shares(np.random.default_rng(0))
    assert shares[:2] == pytest.approx(0.5, abs=0.03)
    assert shares[2:] == pytest.approx(0.0, abs=0.01)
    bent = MadeUp(np.array([0, 0, 1.0, 0, 0, 0]), np.full(len(HIGHS), 0.5))
    assert bent.shares(np.random.default_rng(0))[2] == pytest.approx(1.0, abs=0.03)


def test_its_trials_are_of_its_space_and_some_are_stopped() -> None:
    searched, rng = space(), np.random.default_rng(0)
    rows = trials(MadeUp.drawn(rng), list(searched.parameters), rng)
    assert len(rows) == TRIALS
    assert 5 < sum(row.state == "pruned" for row in rows) < TRIALS - 5
    for row in rows:
        assert all(searched.parameters[name].contains(v) for name, v in row.values.items())
        assert max(row.scores) == row.epochs
