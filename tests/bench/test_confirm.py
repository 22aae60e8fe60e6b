"""Simulated confirmations: their noise is that of recorded trainings, and both ways to spend agree."""

from itertools import combinations

import numpy as np
import pytest

from bench.confirm import NOISE, Study, eliminating, even
from bench.confirm_noise import kept_answers, report


def test_simulated_trainings_are_as_good_and_disagree_as_much_as_recorded_ones() -> None:
    truths = (0.66, 0.65)
    study = Study(truths, (1,), NOISE, 5_000, 20_000, seed=0)
    found = {(one, repeat): study.answers(one) for repeat in range(8) for one in (0, 1)}
    for one, truth in enumerate(truths):
        accuracies = [right.mean() for (which, _), right in found.items() if which == one]
        assert np.mean(accuracies) == pytest.approx(truth, abs=0.01)
        assert 0.003 < np.std(accuracies, ddof=1) < 0.013
    recorded = kept_answers()
    assert recorded
    for same, tolerance in ((True, 0.01), (False, 0.015)):
        here, there = (
            np.mean(
                [
                    np.mean(some[a] != some[b])
                    for a, b in combinations(some, 2)
                    if (a[0] == b[0]) == same
                ]
            )
            for some in (found, recorded)
        )
        assert here == pytest.approx(there, abs=tolerance)


def test_the_report_names_every_recorded_configuration() -> None:
    lines = list(report(kept_answers()))
    assert [line.partition(":")[0] for line in lines[:3]] == ["trial 1", "trial 3", "trial 9"]
    assert "disagree about 14.0% of the images, 6 pairs" in lines[3]


def test_elimination_spends_less_than_an_even_confirmation_of_as_many_seeds() -> None:
    def study() -> Study:
        return Study((0.70, 0.60, 0.695, 0.60), (3,), NOISE, 2_500, 2_500, seed=1)

    ours, evenly = eliminating(study(), 3, 4), even(study(), 3, 4)
    assert evenly.trainings == 16
    assert 8 <= ours.trainings < 14
    assert ours.ranking[0].contender.trial in {0, 2}
