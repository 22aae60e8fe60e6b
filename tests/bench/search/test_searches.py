"""The benchmark of searches: its records, its stand-in for training, its counting."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.search import runs as runs_module
from bench.search.arms import ARMS, left_out
from bench.search.curves import SCALES, configurations, recorded_configurations, space_at, write
from bench.search.early import difference, rank_correlation
from bench.search.nearby import nearby, place_of, uniform, value_at
from bench.search.records import RECORDED, is_held_out, read_records
from bench.search.runs import BUDGETS, LIMIT, NEAR, Run, search
from bench.search.surrogate import quality
from bench.search.tables import NEVER, interval, near_table, paired, regret_table
from bench.search.tasks import RECORDED_SETS, Stage, stage, task_of
from cifar_core.recipe import Recipe


@pytest.mark.parametrize("name", RECORDED_SETS)
def test_records_are_whole_trainings_of_valid_configurations(name: str) -> None:
    records = read_records(name)
    assert len(records.values) >= 30
    for row, values in zip(records.rows, records.values, strict=True):
        assert isinstance(records.space.recipe_of(values), Recipe)
        assert all(records.space.parameters[key].contains(one) for key, one in values.items())
        assert {len(row[key]) for key in ("accuracy", "average", "seconds")} == {records.epochs}


@pytest.mark.parametrize("name", RECORDED_SETS)
def test_a_third_of_the_records_is_held_out_by_a_hash_of_the_configuration(name: str) -> None:
    parts = [read_records(name, part).values for part in ("open", "held out", "all")]
    kept, held_out, everything = (len(part) for part in parts)
    assert kept + held_out == everything
    assert 0.2 < held_out / everything < 0.47
    assert all(is_held_out(dict(reversed(list(one.items())))) for one in parts[1])


def test_a_surrogate_predicts_records_that_it_has_not_seen_better_than_trees_do() -> None:
    fitted, seen = read_records("speed", "open"), read_records("speed", "held out")
    own, trees = quality(fitted, seen), quality(fitted, seen, "trees")
    assert own["rank correlation"] > 0.8
    assert own["R squared"] > trees["R squared"] + 0.1


def test_a_surrogate_gives_scores_that_scatter_about_a_truth_without_luck() -> None:
    lucky, calm = task_of("start", "all", 1.0, "gp"), task_of("start", "all", 0.0, "gp")
    rng = np.random.default_rng(5)
    drawn = [uniform(lucky.space, rng) for _ in range(60)]
    scores = np.array([[accuracy for _, accuracy in lucky.train(one)] for one in drawn])
    means = np.array([[accuracy for _, accuracy in calm.train(one)] for one in drawn])
    assert [lucky.truth(one) for one in drawn] == [calm.truth(one) for one in drawn]
    assert 0.005 < (scores - means).std() < 0.1
    assert [one for _, one in lucky.train(drawn[0])] == scores[0].tolist()
    assert all(0 < lucky.seconds(one) < 30 for one in drawn)


def test_the_best_known_configuration_is_better_than_any_random_one() -> None:
    own, rng = stage("plain 0"), np.random.default_rng(1)
    assert own.best > max(
        own.task.truth(one) for one in (uniform(own.task.space, rng) for _ in range(1_000))
    )
    assert own.seconds == pytest.approx(own.task.epochs, rel=0.5)


def test_an_unknown_task_is_refused_by_name() -> None:
    for name in ("fast 1", "net 1", "plain", "plain x"):
        with pytest.raises(ValueError, match=f"'{name}' is no task"):
            task_of(name, "open", 0.35, "gp")


def test_configurations_nearby_are_in_the_space_and_change_a_little() -> None:
    space = space_at("baseline_constrained", "quick")
    rng = np.random.default_rng(0)
    (origin,) = configurations(space, 1, seed=3)
    shares = []
    for _ in range(200):
        values = nearby(space, origin, rng)
        assert list(values) == [
            name for name, one in space.parameters.items() if one.applies(values)
        ]
        assert all(space.parameters[key].contains(value) for key, value in values.items())
        shares.append(np.mean([values.get(name) != value for name, value in origin.items()]))
    assert np.mean(np.array(shares) == 0) < 0.05  # a whole number may round back
    assert 0.15 < np.mean(shares) < 0.5


def test_the_place_of_a_value_and_the_value_at_a_place_are_inverse() -> None:
    space = space_at("baseline_constrained", "quick")
    for name, value in (("adam_lr", 0.003), ("channels1", 17), ("dropout", 0.3)):
        parameter = space.parameters[name]
        assert value_at(parameter, place_of(parameter, value)) == pytest.approx(value)
    options = space.parameters["batch_size"]
    assert [value_at(options, place) for place in (0.0, 0.3, 1.0)] == [32, 64, 256]


def test_half_of_what_is_recorded_is_near_good_recipes_whatever_the_number() -> None:
    space = space_at("baseline_constrained", "quick")
    first, more = (recorded_configurations(space, count, 0, "quick") for count in (12, 40))
    assert more[:12] == first
    origins = [origin for origin, _ in more]
    assert origins[::2] == ["random"] * 20
    assert {"one cycle", "reference Net4", "near one cycle", "near reference Net4"} == set(
        origins[1::2]
    )


def test_recorded_files_come_back_as_they_were_written(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scale = SCALES["baseline_constrained", "narrow"]
    about = {"space": "baseline_constrained", "ranges": scale.ranges, "epochs": 2}
    (values,) = configurations(space_at("baseline_constrained", "narrow"), 1, seed=0)
    row = {
        "number": 0,
        "values": values,
        "accuracy": [0.2, 0.3],
        "seconds": [1.0, 3.0],
        "check": 0.25,
    }
    write(tmp_path / "own.json", about, {3: row | {"number": 3}, 1: row})
    monkeypatch.setattr("bench.search.records.RECORDED", tmp_path)
    found = read_records("own")
    assert [one["number"] for one in found.rows] == [0, 3]
    assert found.curves.tolist() == [[0.2, 0.3]] * 2
    assert found.seconds.tolist() == [2.0, 2.0]
    assert tmp_path != RECORDED


@pytest.fixture(scope="module")
def small() -> Stage:
    return stage("plain 0")


@pytest.mark.parametrize("arm", ["ours", "ours before", "TPE + SHA"])
def test_a_search_is_repeatable_and_its_regret_falls(
    arm: str, small: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_module, "LIMIT", 6)
    first, again, other = (search(arm, "plain 0", seed, small) for seed in (3, 3, 4))
    assert replace(first, decision=0.0) == replace(again, decision=0.0)
    assert first.by_epochs != other.by_epochs
    assert all(-1 < one < 90 for one in (*first.by_epochs, *first.by_seconds))
    assert first.trials > 6
    assert 0 < first.decision < 5


def test_every_arm_that_can_be_had_here_runs(small: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "LIMIT", 1)
    for arm in ARMS:
        if arm not in left_out(list(ARMS)):
            assert search(arm, "plain 0", 0, small).arm == arm


def runs_of(arm: str, regrets: list[float], near: list[float | None]) -> list[Run]:
    return [
        Run(
            arm,
            "net",
            seed,
            (one,) * len(BUDGETS),
            (one,) * len(BUDGETS),
            (own,) * len(NEAR),
            10,
            0.01,
        )
        for seed, (one, own) in enumerate(zip(regrets, near, strict=True))
    ]


def test_tables_pair_searches_of_one_seed_and_count_who_never_came_near_as_twice_the_limit() -> (
    None
):
    first = runs_of("ours", [1.0, 2.0, 3.0], [2.0, 4.0, None])
    second = runs_of("TPE", [3.0, 4.0, 5.0], [4.0, 8.0, None])[::-1]
    pairs = paired([*first, *second], "ours", "TPE", lambda run: run.by_epochs[1])
    assert pairs.tolist() == [[1.0, 3.0], [2.0, 4.0], [3.0, 5.0]]
    lines = regret_table([*first, *second], "ours").splitlines()
    assert "4.0; 2.0 (2.0 to 2.0)" in lines[2]
    near = near_table([*first, *second], "ours").splitlines()
    assert near[1].split()[:2] == ["ours", "4.0"]
    assert "33 %" in near[2]
    ratios = [2.0, 2.0, NEVER / NEVER]
    assert f"{np.exp(np.mean(np.log(ratios))):.1f} (" in near[2]
    assert 2 * LIMIT == NEVER


def test_an_interval_holds_what_it_is_of_and_narrows_with_more_searches() -> None:
    values = np.random.default_rng(0).normal(3.0, 1.0, (400, 1))
    few, many = (interval(values[:count], lambda one: one.mean((-2, -1))) for count in (20, 400))
    for middle, low, high in (few, many):
        assert low < middle < high
    assert low < 3.0 < high
    assert many[2] - many[1] < (few[2] - few[1]) / 2


def test_a_better_score_gains_rank_correlation_and_an_equal_one_none() -> None:
    rng = np.random.default_rng(0)
    late = rng.normal(size=80)
    poor, good = late + rng.normal(0, 2.0, 80), late + rng.normal(0, 0.3, 80)
    gain, low, high = difference(poor, good, late)
    assert gain == pytest.approx(rank_correlation(good, late) - rank_correlation(poor, late))
    assert 0 < low < gain < high
    assert difference(good, good, late) == (0.0, 0.0, 0.0)
    assert rank_correlation(np.ones(80), late) == 0.0


def test_every_recorded_file_says_how_it_was_made() -> None:
    for name in RECORDED_SETS:
        about = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))["about"]
        assert about.keys() >= {"space", "ranges", "epochs", "data", "train", "seed", "machine"}
