"""The benchmark of searches: its records, its stand-in for training, its counting."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import lost as whole
from bench import search
from bench.arms import ARMS, left_out
from bench.curves import configurations
from bench.early import lost, rank_correlation
from bench.live import Live, mark_of
from bench.rungs import costs, replay
from bench.search import HERE, PERCENTILES, Run, cost, ratio, run, stage
from cifar_core.recipe import Recipe
from search.policy import RungSystem


@pytest.mark.parametrize(("name", "least"), [("net", 200), ("speed", 100)])
def test_records_are_whole_trainings_of_random_configurations(name: str, least: int) -> None:
    found = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    records = stage(name)[0].records
    space, curves = records.space, found["curves"]
    assert len(curves) >= least
    again = configurations(space, len(curves), found["about"]["seed"])
    for one, values in zip(curves, again, strict=True):
        assert one["values"] == pytest.approx(values)
        assert isinstance(space.recipe_of(one["values"]), Recipe)
        assert {len(one[key]) for key in ("accuracy", "average", "seconds")} == {space.epochs}


def test_the_stand_in_is_spread_as_the_records_are_and_always_answers_the_same() -> None:
    surrogate, marks = stage("net")
    ends = surrogate.records.curves[:, -1]
    drawn = list(configurations(surrogate.space, 300, seed=5))
    stand_in = np.array([surrogate.curve(one) for one in drawn])
    assert stand_in[:, -1].std() == pytest.approx(ends.std(), rel=0.25)
    assert np.median(stand_in[:, -1]) == pytest.approx(np.median(ends), abs=0.04)
    early = rank_correlation(surrogate.records.curves[:, 0], ends)
    assert rank_correlation(stand_in[:, 0], stand_in[:, -1]) == pytest.approx(early, abs=0.1)
    assert [accuracy for _, accuracy in surrogate.train(drawn[0])] == pytest.approx(stand_in[0])
    assert marks[0] < marks[1] < stand_in.max() + 0.1
    assert 0 < surrogate.seconds(drawn[0]) < 30
    assert 0 < surrogate.check(drawn[0]) < 1


@pytest.mark.parametrize("arm", ["ours", "random", "TPE + SHA(2, 3)"])
def test_a_search_is_repeatable_and_counts_its_epochs(
    arm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LIMIT", 20)
    monkeypatch.setattr(search, "BUDGETS", (10, 15))
    first = run(arm, "net", 3)
    assert run(arm, "net", 3) == first
    assert run(arm, "net", 4) != first
    assert all(one is None or 12 <= one <= 240 for one in first.epochs)
    assert all(value is None or 0.1 < value < 0.7 for value in first.found)


def test_every_arm_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "LIMIT", 4)
    monkeypatch.setattr(search, "BUDGETS", (1, 2))
    for arm in ARMS:
        if arm not in left_out(list(ARMS)):
            assert run(arm, "speed", 0).arm == arm


def test_who_never_gets_there_counts_as_twice_the_limit() -> None:
    runs = [replace(RUN, epochs=(epochs, None)) for epochs in (10, 20, None)]
    assert cost(runs, 0, 100).tolist() == [10, 20, 200]


RUN = Run("ours", "net", 0, (None,) * len(PERCENTILES), (None,) * len(PERCENTILES), (None, None))


def test_a_ratio_comes_with_an_interval_that_holds_it() -> None:
    rng = np.random.default_rng(0)
    own, theirs = rng.lognormal(3, 0.3, 50), rng.lognormal(4, 0.3, 50)
    times, low, high = ratio(theirs, own)
    assert low < times < high
    assert low < np.exp(1) < high
    assert ratio(own, own)[1] < 1 < ratio(own, own)[2]


def test_lost_are_those_of_the_best_tenth_that_are_not_in_the_best_third_early() -> None:
    late = np.arange(30.0)
    assert lost(late, late) == 0.0
    assert lost(-late, late) == 1.0
    swapped = late.copy()
    swapped[29] = -1.0
    assert lost(swapped, late) == pytest.approx(1 / 3)


def test_a_whole_search_that_stops_nobody_loses_nothing_and_costs_its_trials() -> None:
    everything = whole.run("random", "net", 1, 12)
    assert (everything.cost, everything.complete, everything.lost) == (12.0, 12, 0)
    assert everything.missed == 0.0
    stopping = whole.run("promotion, random", "net", 1, 12)
    assert stopping.cost < 6
    assert 1 <= stopping.complete <= 6
    assert whole.row_of("ours", [replace(stopping, good=4, lost=1)])[4] == "25 %"


def test_live_searches_train_what_was_recorded(images_folder: Path) -> None:
    live = Live("speed", str(images_folder), seed=1)
    (values,) = configurations(live.space, 1, seed=3)
    epochs = list(live.train(values))
    assert [number for number, _ in epochs] == list(range(1, live.epochs + 1))
    assert 0.15 < epochs[-1][1] < 0.7
    assert live.check(values) == pytest.approx(epochs[-1][1], abs=0.1)
    assert 0.0 < live.seconds(values) < 60.0
    assert 0.5 < mark_of("speed") < 0.6


def test_live_searches_refuse_other_images() -> None:
    with pytest.raises(
        SystemExit, match="The records are of CIFAR-10, but --data synthetic is not"
    ):
        Live("speed", "synthetic", seed=1)


def test_a_replay_of_a_ladder_counts_each_epoch_once() -> None:
    curves = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8], [0.2, 0.3, 0.4, 0.5]])
    assert replay(RungSystem([], 2), curves, [0, 2, 1], [0.5, 0.8]) == [8, 12]
    # The first goes on at once; the second waits behind epoch 1; the third is better than both.
    assert replay(RungSystem([1], 2), curves, [0, 2, 1], [0.8]) == [4 + 4 + 4]
    assert replay(RungSystem([1], 2), curves, [0, 1, 2], [0.8]) == [4 + 4]
    # A screen of three: nobody goes on before the third has come.
    assert replay(RungSystem([1], 2, screen=3), curves, [0, 2, 1], [0.8]) == [3 + 3]
    assert replay(RungSystem([1], 2), curves, [0, 2], [0.9]) == [2 * 2 * 4], (
        "never: twice the limit"
    )


def test_what_we_do_is_among_the_ladders_that_are_compared() -> None:
    found = costs("net", 20)
    assert found["ours"].tolist() == found["1/12, 3, half, first of 8"].tolist()
    assert np.median(found["ours"][:, 0]) < np.median(found["no rungs"][:, 0]) / 2
