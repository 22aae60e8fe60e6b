"""Grids: every cell over every seed, once, to the end, whatever happens meanwhile."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from search.errors import UsageError
from search.home import StudyFolder
from search.plan import plan_of
from search.request import StartRequest
from search.results.grid import cells_of
from search.results.summary import summarize
from search.study import attributes
from search.study.study import SearchStudy
from spaces.files import load_space
from spaces.reading import read_space
from spaces.space import Space
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    accuracy_of,
    epoch_of,
    kill_at,
    new_study,
    reopened,
    search,
    states_of,
)

CPU = [torch.device("cpu")]
GRID: dict[str, Any] = {
    "name": "small_grid",
    "title": "A small grid",
    "recipe": {"epochs": 3},
    "parameters": {
        "width": {"sets": "network.channels1", "choices": [4, 6]},
        "kind": {"variants": {"plain": {}, "dropped": {"network": {"dropout": 0.5}}}},
    },
    "grid": {
        "seeds": 2,
        "source": "a test",
        "published": [
            {"values": {"width": 4, "kind": "plain"}, "accuracy": 0.25, "train_loss": 1.5},
            {"values": {"width": 6, "kind": "plain"}, "accuracy": [0.3, 0.4]},
        ],
    },
}


def grid_space() -> Space:
    return read_space(GRID, "grid.toml")


def grid_study(seeds: int = 2, trials: int | None = None, seed: int = 0) -> SearchStudy:
    total = trials or 4 * seeds
    return new_study(trials=total, space=grid_space(), seeds=seeds, sampler="grid", seed=seed)


def trained(study: SearchStudy) -> Counter[tuple[Any, ...]]:
    """How often each cell was trained from each seed."""
    found = [
        (trial.params["width"], trial.params["kind"], trial.user_attrs[attributes.SEED])
        for trial in study.optuna.trials
    ]
    return Counter(found)


def everything(seeds: range) -> Counter[tuple[Any, ...]]:
    return Counter(
        (width, kind, seed) for width in (4, 6) for kind in ("plain", "dropped") for seed in seeds
    )


@pytest.mark.parametrize(("workers", "seeds"), [(1, 2), (3, 1), (8, 3)])
def test_every_cell_is_trained_once_from_every_seed(
    folder: StudyFolder, workers: int, seeds: int
) -> None:
    study, pool = grid_study(seeds), ScriptedPool(workers)
    assert search(study, pool, folder) == "finished"
    assert states_of(study) == ["complete"] * 4 * seeds
    assert trained(study) == everything(range(seeds))
    assert all(task.seed in range(seeds) for task in pool.tasks)


def test_the_seeds_begin_with_the_studys_own(folder: StudyFolder) -> None:
    study = grid_study(2, seed=7)
    search(study, ScriptedPool(), folder)
    assert trained(study) == everything(range(7, 9))
    assert {trial.params["seed"] for trial in study.optuna.trials} == {7, 8}


def test_what_is_trained_is_the_cell(folder: StudyFolder) -> None:
    study, pool = grid_study(), ScriptedPool()
    search(study, pool, folder)
    for trial, task in zip(study.optuna.trials, pool.tasks, strict=True):
        values = {"width": trial.params["width"], "kind": trial.params["kind"]}
        assert task.recipe == grid_space().recipe_of(values)


@pytest.mark.parametrize("poll", [1, 9])
def test_a_grid_that_was_killed_ends_as_one_that_was_not(
    folder: StudyFolder, tmp_path: Path, poll: int
) -> None:
    study, checkpoints = grid_study(), dict[int, list[Epoch]]()
    with pytest.raises(Killed):
        search(study, ScriptedPool(2, checkpoints=checkpoints, after=kill_at(poll)), folder)
    again = reopened(study)
    assert search(again, ScriptedPool(2, checkpoints=checkpoints), folder) == "finished"
    assert trained(again) == everything(range(2))
    assert states_of(again) == ["complete"] * 8


def test_a_grid_that_was_cut_short_goes_on_with_what_is_missing(folder: StudyFolder) -> None:
    study = grid_study(trials=3)
    search(study, ScriptedPool(), folder)
    assert len(trained(study)) == 3
    again = reopened(study, trials=8)
    search(again, ScriptedPool(), folder)
    assert trained(again) == everything(range(2))


def test_no_cell_is_given_up_when_the_time_is_used_up(folder: StudyFolder) -> None:
    study, checkpoints = grid_study(), dict[int, list[Epoch]]()
    late = reopened(study, timeout=3.0)
    clock = iter(range(10_000))
    pool = ScriptedPool(2, checkpoints=checkpoints)
    assert search(late, pool, folder, clock=lambda: float(next(clock))) == "stopped"
    assert "running" in states_of(late)
    assert "pruned" not in states_of(late)
    later = reopened(study, timeout=1e6)
    again = ScriptedPool(2, checkpoints=checkpoints)
    assert search(later, again, folder) == "finished"
    assert trained(later) == everything(range(2))
    assert states_of(later) == ["complete"] * 8
    assert max(Counter(pool.trained + again.trained).values()) == 1


def test_no_cell_is_given_up_when_the_total_is_lowered_for_a_while(folder: StudyFolder) -> None:
    study, checkpoints = grid_study(), dict[int, list[Epoch]]()
    with pytest.raises(Killed):
        search(study, ScriptedPool(3, checkpoints=checkpoints, after=kill_at(2)), folder)
    fewer = reopened(study, trials=1)
    assert search(fewer, ScriptedPool(3, checkpoints=checkpoints), folder) == "finished"
    assert sorted(states_of(fewer)) == ["complete", "running", "running"]
    all_again = reopened(study, trials=8)
    assert search(all_again, ScriptedPool(3, checkpoints=checkpoints), folder) == "finished"
    assert trained(all_again) == everything(range(2))
    assert states_of(all_again) == ["complete"] * 8


def test_what_a_grid_costs_follows_from_its_total(folder: StudyFolder) -> None:
    for trials, epochs in ((8, 24.0), (3, 9.0)):
        summary = summarize(grid_study(trials=trials), "sqlite:///x.db", "running", None).to_dict()
        assert summary["epochs"]["full_cost"] == epochs


def test_a_quick_grid_has_its_own_number_of_trainings() -> None:
    plain = {
        **GRID,
        "quick": {
            "epochs": 1,
            "train_images": 100,
            "trials": 1,
            "ranges": {"width": {"choices": [4]}},
        },
    }
    plan = plan_of(StartRequest("small_grid"), read_space(plain, "grid.toml"), CPU)
    assert (plan.scale, plan.budget.trials) == ("quick", 4)


def test_nothing_is_pruned_in_a_grid() -> None:
    plan = plan_of(StartRequest("small_grid"), grid_space(), CPU)
    assert (plan.sampler, plan.pruner, plan.seeds) == ("grid", "none", 2)
    assert plan.budget.trials == 8
    assert plan_of(StartRequest("small_grid", seeds=5), grid_space(), CPU).budget.trials == 20


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"sampler": "tpe"}, "leave --sampler, --pruner and --patience out"),
        ({"pruner": "halving"}, "leave --sampler, --pruner and --patience out"),
        ({"patience": 5}, "leave --sampler, --pruner and --patience out"),
        ({"trials": 9}, "has 8 trainings with 2 seeds, but --trials asks for 9"),
    ],
)
def test_what_has_no_meaning_for_a_grid_is_refused(wish: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        plan_of(StartRequest("small_grid", **wish), grid_space(), CPU)


def test_seeds_are_for_grids() -> None:
    with pytest.raises(UsageError, match="--seeds is for grids"):
        plan_of(
            StartRequest("baseline_constrained", seeds=3), load_space("baseline_constrained"), CPU
        )


def test_epochs_that_are_cells_cannot_be_asked_for() -> None:
    with pytest.raises(UsageError, match="leave --epochs out"):
        plan_of(StartRequest("tutorial", epochs=1), load_space("tutorial"), CPU)


# A training that ends before its last epoch because its schedule says so


def converging(recipe: Recipe, number: int) -> Epoch:
    return replace(epoch_of(recipe, number), converged=number == 2, back_to=1)


@pytest.mark.parametrize("poll", [None, 2, 4])
def test_a_trial_that_has_converged_is_complete(folder: StudyFolder, poll: int | None) -> None:
    """Whenever the coordinator is killed meanwhile."""
    study, checkpoints = grid_study(1, trials=1), dict[int, list[Epoch]]()
    pool = ScriptedPool(1, epoch=converging, checkpoints=checkpoints, after=kill_at(poll))
    try:
        search(study, pool, folder)
    except Killed:
        study = reopened(study)
        search(study, ScriptedPool(1, epoch=converging, checkpoints=checkpoints), folder)
    (row,) = study.rows()
    assert (row.state, row.epochs) == ("complete", 2)
    assert row.validation_accuracy == accuracy_of(Recipe.read(row.recipe), 2)
    assert [epoch["converged"] for epoch in row.history] == [False, True]
    assert [epoch["back_to"] for epoch in row.history] == [1, 1]


# The table


def test_a_cell_has_the_mean_and_the_spread_of_its_trainings(folder: StudyFolder) -> None:
    study = grid_study(2)

    def epoch(recipe: Recipe, number: int) -> Epoch:
        return replace(epoch_of(recipe, number), validation_accuracy=next(accuracies))

    accuracies = iter([n / 100 for n in range(8 * 3)])
    search(study, ScriptedPool(epoch=epoch), folder)
    last = {
        (row.values["width"], row.values["kind"], row.values["seed"]): row.validation_accuracy
        for row in study.rows()
    }
    for cell in cells_of(grid_space(), study.rows()):
        own = [last[cell.values["width"], cell.values["kind"], seed] or 0.0 for seed in (0, 1)]
        assert sorted(cell.accuracies) == sorted(own)
        assert cell.mean == pytest.approx(sum(own) / 2)
        assert cell.spread == pytest.approx(abs(own[0] - own[1]) / 2**0.5)
        assert len(cell.epochs) == 3
        assert cell.epochs[-1] == pytest.approx(cell.mean)


def test_each_cell_stands_beside_what_was_published_about_it() -> None:
    published = [cell.published for cell in cells_of(grid_space(), [])]
    assert [one.accuracy if one else None for one in published] == [0.25, None, [0.3, 0.4], None]


def test_trainings_of_unequal_length_have_their_common_epochs(folder: StudyFolder) -> None:
    study = grid_study(2)

    def epoch(recipe: Recipe, number: int) -> Epoch:
        return replace(epoch_of(recipe, number), converged=number == 2 and next(early))

    early = iter([True, False] * 8)
    search(study, ScriptedPool(epoch=epoch), folder)
    lengths = {row.epochs for row in study.rows()}
    assert lengths == {2, 3}
    for cell in cells_of(grid_space(), study.rows()):
        own = [row.epochs for row in study.rows() if row.values["width"] == cell.values["width"]]
        assert len(cell.epochs) in set(own)
        assert len(cell.epochs) == min(
            row.epochs
            for row in study.rows()
            if {k: v for k, v in row.values.items() if k != "seed"} == cell.values
        )


def test_a_training_that_diverged_is_counted_and_in_no_figure(folder: StudyFolder) -> None:
    study = grid_study(1)

    def epoch(recipe: Recipe, number: int) -> Epoch:
        loss = float("nan") if recipe.network.dropout else 1.0  # type: ignore[union-attr]
        return replace(epoch_of(recipe, number), train_loss=loss)

    search(study, ScriptedPool(epoch=epoch), folder)
    cells = cells_of(grid_space(), study.rows())
    assert [(len(cell.accuracies), cell.lost) for cell in cells] == [(1, 0), (0, 1)] * 2


def test_a_cell_without_a_complete_training_has_no_figure(folder: StudyFolder) -> None:
    study = grid_study(1, trials=2)
    search(study, ScriptedPool(), folder)
    cells = cells_of(grid_space(), study.rows())
    assert sorted(len(cell.accuracies) for cell in cells) == [0, 0, 1, 1]
    assert {cell.mean is None for cell in cells if not cell.accuracies} == {True}
    assert {cell.spread for cell in cells} == {None}
