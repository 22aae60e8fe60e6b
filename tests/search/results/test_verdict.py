"""What single runs can say: the interval of a score, and the verdict without a confirmation."""

import pytest

from search.results.verdict import accuracy_interval, verdict
from tests.search.report.records import summary, trial


@pytest.mark.parametrize(("accuracy", "images"), [(0.5, 100), (0.63, 5000), (0.9, 2500)])
def test_the_interval_has_the_accuracies_that_a_test_would_not_reject(
    accuracy: float, images: int
) -> None:
    """Wilson's interval ends where the score test has the statistic 1.96."""
    found = accuracy_interval(accuracy, images)
    for end in (found.low, found.high):
        statistic = abs(accuracy - end) / (end * (1 - end) / images) ** 0.5
        assert statistic == pytest.approx(1.96, abs=0.02)


def test_an_interval_stays_within_0_and_1() -> None:
    assert accuracy_interval(0.0, 100).low == 0.0
    assert accuracy_interval(1.0, 100).high == 1.0
    assert accuracy_interval(1.0, 100).low > 0.9


@pytest.mark.parametrize(
    ("best", "words"),
    [(0.62, "which is more than the 1.9 points"), (0.61, "which is less than the 1.9 points")],
)
def test_a_gain_is_compared_with_what_the_choice_of_images_makes(best: float, words: str) -> None:
    found = verdict(summary([trial(0, 0.6, known="base"), trial(1, best)]))
    assert words in found
    assert "not confirmed" in found


def test_without_a_complete_trial_the_one_that_leads_is_named() -> None:
    rows = [trial(0, 0.3, 2, state="running"), trial(1, 0.4, 1, state="paused")]
    assert verdict(summary(rows)) == (
        "No trial is complete yet. So far, trial 1 leads with 40.0 % after epoch 1 of 4."
    )
