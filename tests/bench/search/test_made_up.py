"""Made-up tasks: always the same, and each kind with what makes it hard."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from bench.search.made_up import CHANCE, EPOCHS, KINDS, MadeUp
from bench.search.nearby import uniform
from spaces.space import Space


def configurations(space: Space, count: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [uniform(space, rng) for _ in range(count)]


def curves_of(task: MadeUp, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    drawn = configurations(task.space, count, seed=1)
    return np.array([task.curve(one) for one in drawn]), np.array(
        [task.truth(one) for one in drawn]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_always_comes_to_the_same_and_ends_at_its_truth_but_for_luck(
    kind: str,
) -> None:
    first, again, other = MadeUp(kind, 3), MadeUp(kind, 3), MadeUp(kind, 4)
    left = []
    for values in configurations(first.space, 50, seed=2):
        curve = first.curve(values)
        assert curve.shape == (EPOCHS,)
        assert ((curve >= 0) & (curve <= 1)).all()
        assert (curve == again.curve(dict(reversed(values.items())))).all()
        assert [one for _, one in first.train(values)] == curve.tolist()
        assert first.seconds(values) > 0
        left.append(curve[-1] - first.truth(values))
    luck = KINDS[kind].luck
    assert 0.5 * luck < np.std(left) < 2 * luck
    assert list(other.space.parameters) == list(first.space.parameters)
    learned = [
        one for one in configurations(first.space, 50, seed=2) if first.truth(one) > CHANCE + 0.02
    ]
    assert all(other.truth(one) != first.truth(one) for one in learned)


def test_spaces_have_5_to_20_parameters_and_conditions() -> None:
    counts = {kind: len(MadeUp(kind, 0).space.parameters) for kind in KINDS}
    assert counts["plain"] == 5
    assert counts["conditional"] == 20
    space = MadeUp("conditional", 0).space
    drawn = configurations(space, 30, seed=0)
    assert all(len(one) == 16 for one in drawn)
    assert len({tuple(one) for one in drawn}) == 3


def test_rankings_cross_in_the_kind_that_is_named_so_and_hardly_in_the_plain_one() -> None:
    early = {}
    for kind in ("plain", "crossing"):
        own = []
        for number in range(4):
            curves, truth = curves_of(MadeUp(kind, number))
            better = truth > np.median(truth)
            own.append(spearmanr(curves[better, 1], truth[better]).statistic)
        early[kind] = np.mean(own)
    assert early["crossing"] < 0.5 < early["plain"]


def test_slow_starters_stand_at_chance_and_are_worth_more_in_the_end() -> None:
    task = MadeUp("slow start", 0)
    slow, quick = [], []
    for values in configurations(task.space, 200, seed=4):
        other = {**values, "choice1": "b"} if values["choice1"] == "a" else None
        if other is None:
            continue
        slow.append(task.curve(values))
        quick.append(task.curve(other))
    early = np.array(slow)[:, 5] - CHANCE
    assert np.abs(early).max() < 0.03
    assert np.mean(np.array(quick)[:, 5]) > CHANCE + 0.05
    assert task._bonus > 0.02


def test_above_some_place_of_the_first_parameter_nothing_is_learned() -> None:
    task = MadeUp("plain", 1)
    drawn = configurations(task.space, 200, seed=4)
    steep = [task.truth(one) for one in drawn if one["range1"] > task._cliff]
    assert steep
    assert set(steep) == {CHANCE}
    assert np.median([task.truth(one) for one in drawn if one["range1"] < task._cliff]) > 0.3
