"""How long trials and searches take at a speed."""

import json

import pytest

from cifar_core.throughput import Throughput
from search.doctor.estimate import Outlook, Workload, search_seconds, trial_seconds

SLOW, FAST = Throughput(training=100.0, evaluation=1_000.0), Throughput(1_000.0, 10_000.0)


def test_a_trial_is_its_epochs_of_training_and_validation() -> None:
    assert trial_seconds(SLOW, Workload(6, 10_000, 5_000)) == 6 * (100 + 5)


def test_validation_is_on_five_thousand_images_unless_it_is_said() -> None:
    assert trial_seconds(SLOW, Workload(1, 100)) == 1 + 5


@pytest.mark.parametrize(
    ("trials", "workers", "seconds"),
    [
        (0, [10.0], 0.0),
        (50, [10.0], 500.0),
        (50, [10.0, 10.0], 250.0),
        (51, [10.0, 10.0], 260.0),  # the last one has the machine to itself
        (3, [10.0] * 8, 10.0),  # more workers than trials
        (4, [10.0, 30.0], 30.0),  # three on the faster, one on the slower
        (2, [10.0, 100.0], 100.0),  # the slower one is free, so it gets one
        (3, [100.0, 10.0], 100.0),  # and is the last to end
    ],
)
def test_a_trial_goes_to_the_worker_that_is_free_first(
    trials: int, workers: list[float], seconds: float
) -> None:
    assert search_seconds(trials, workers) == seconds


def test_an_outlook_spans_from_the_narrow_network_to_the_wide_one() -> None:
    default, trial = Workload(12, 45_000), Workload(6, 10_000)
    found = Outlook.of([FAST, FAST], [SLOW, SLOW], default, trial, trials=50)
    assert found.default_seconds == pytest.approx(12 * 45.5)
    assert found.trial_seconds == (pytest.approx(6 * 10.5), pytest.approx(6 * 105))
    assert found.search_seconds == (pytest.approx(25 * 63), pytest.approx(25 * 630))


def test_workers_of_different_speed_make_a_trial_of_their_mean() -> None:
    found = Outlook.of([FAST, SLOW], [SLOW, SLOW], Workload(1, 1_000), Workload(1, 1_000), 2)
    assert found.trial_seconds[0] == pytest.approx((1.5 + 15) / 2)
    assert found.default_seconds == found.trial_seconds[0]
    assert found.search_seconds[0] == pytest.approx(15)


def test_an_outlook_is_plain_json() -> None:
    found = Outlook.of([FAST], [SLOW], Workload(12, 45_000), Workload(6, 10_000), trials=5)
    assert json.loads(json.dumps(found.to_dict())) == {
        "default_trial": {
            "epochs": 12,
            "train_images": 45_000,
            "validation_images": 5_000,
            "seconds": 546.0,
        },
        "trial": {
            "epochs": 6,
            "train_images": 10_000,
            "validation_images": 5_000,
            "seconds_narrow": 63.0,
            "seconds_wide": 630.0,
        },
        "search": {
            "trials": 5,
            "seconds_narrow": 315.0,
            "seconds_wide": 3_150.0,
            "saved_by_early_stopping": 0.5,
        },
    }
