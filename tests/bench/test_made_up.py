"""Made-up trainings: always the same, with luck, and of tasks that differ in what early scores say."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from bench import made_up
from bench.curves import configurations
from bench.made_up import CHANCE, EPOCHS, MadeUp, run


@pytest.fixture(scope="module")
def drawn() -> list[dict[str, object]]:
    return list(configurations(MadeUp(0).space, 300, seed=1))


def test_a_configuration_always_comes_to_the_same_and_not_without_luck(
    drawn: list[dict[str, object]],
) -> None:
    first, again, other = MadeUp(3), MadeUp(3), MadeUp(4)
    differences = []
    for values in drawn[:50]:
        curve = first.curve(values)
        assert curve.shape == (EPOCHS,)
        assert ((curve >= 0) & (curve <= 1)).all()
        assert (curve == again.curve(dict(reversed(values.items())))).all()
        assert (curve != other.curve(values)).any()
        assert [one for _, one in first.train(values)] == curve.tolist()
        assert [epoch for epoch, _ in first.train(values)] == list(range(1, EPOCHS + 1))
        differences.append(first.check(values) - curve[-1])
    assert 0 < np.std(differences) < 0.03


def test_what_early_scores_say_differs_between_tasks(drawn: list[dict[str, object]]) -> None:
    early = []
    for task in range(4):
        curves = np.array([MadeUp(task).curve(one) for one in drawn])
        looks = [spearmanr(curves[:, at], curves[:, -1]).statistic for at in (0, 8, 26)]
        assert looks == sorted(looks)
        assert looks[-1] > 0.9
        early.append(looks[0])
    assert max(early) - min(early) > 0.3


def test_above_some_learning_rate_nothing_is_learned(drawn: list[dict[str, object]]) -> None:
    task = MadeUp(1)
    ends = []
    for values in drawn:
        (rate,) = task._rates(values)
        ends.append((rate, task.check(values)))
    steep = [end for rate, end in ends if rate > task._cliff]
    assert steep
    assert max(steep) < CHANCE + 0.05
    assert np.median([end for rate, end in ends if rate < task._cliff]) > 0.3


def test_a_search_of_a_task_is_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_up, "LIMIT", 5)
    monkeypatch.setattr(made_up, "BUDGETS", (3, 5))
    first = run("ours", 0, 1)
    assert run("ours", 0, 1) == first
    assert run("ours", 0, 2) != first
    assert first.records == "made up"
    assert all(one is not None and one > 0.3 for one in first.found)
