"""Intervals: they hold as often as they say, and images that are shared make them narrower."""

import numpy as np
import pytest

from search.confirmation.statistics import Noise
from tests.search.confirmation.made_up import answers


def simulated(random: np.random.Generator, seeds: int, contenders: int = 2) -> list[np.ndarray]:
    """Equally good contenders with noise of seeds, of images, and of single answers."""
    hard = 2.0 * random.standard_normal(1_000)
    return [
        0.5
        + hard
        + random.standard_normal(1_000)
        + 0.05 * random.standard_normal((seeds, 1))
        + random.standard_normal((seeds, 1_000))
        > 0.0
        for _ in range(contenders)
    ]


@pytest.mark.parametrize(("seeds", "contenders"), [(2, 2), (4, 2), (2, 4)])
def test_all_intervals_of_differences_hold_in_about_95_of_100_studies(
    seeds: int, contenders: int
) -> None:
    random = np.random.default_rng(1)
    hold = 0
    for _ in range(300):
        noise = Noise(simulated(random, seeds, contenders))
        hold += not any(noise.difference(0, other).told_apart for other in range(1, contenders))
    assert 0.92 <= hold / 300 <= 0.985


def test_a_difference_on_the_same_images_is_known_better_than_each_accuracy() -> None:
    noise = Noise(simulated(np.random.default_rng(0), 4))
    alone = [noise.mean(one).half_width for one in (0, 1)]
    assert noise.difference(0, 1).half_width < 0.8 * float(np.hypot(*alone))


def test_two_trainings_that_agree_by_chance_do_not_make_a_difference_certain() -> None:
    alike = [np.array([answers(share, 1, 0)] * 2) for share in (0.600, 0.603)]
    gap = Noise(alike).difference(1, 0)
    assert gap.value == pytest.approx(0.003)
    assert gap.half_width > 0.01
    assert not gap.told_apart


def test_more_trainings_and_fewer_comparisons_make_an_interval_narrower() -> None:
    random = np.random.default_rng(0)
    many = simulated(random, 8)
    few = [one[:2] for one in many]
    width = Noise(few).difference(0, 1).half_width
    assert Noise(many).difference(0, 1).half_width < width
    assert Noise(few, comparisons=5).difference(0, 1).half_width > width


def test_a_single_training_of_each_is_enough_for_an_interval() -> None:
    gap = Noise([one[:1] for one in simulated(np.random.default_rng(0), 1)]).difference(0, 1)
    assert 0.01 < gap.half_width < 0.2
