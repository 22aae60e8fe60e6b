"""The rules scored on recorded measurements: a rule that gets worse fails here."""

import statistics
from pathlib import Path

import pytest

import bench.lr_range
from bench.lr_range import curves, truth
from bench.lr_range.calibration import choose, left_out, readings
from bench.lr_range.cells import CELLS
from bench.lr_range.formulas import FORMULAS
from bench.lr_range.score import Grid, Judged, Score, grids, ours, score, single, suggestions
from bench.lr_range.tables import score_page, worth_page
from bench.lr_range.worth import ARMS, Run
from bench.lr_range.worth import read as read_runs
from cifar_core.lr_range.finding import PER_DECADE, SUGGESTED

RECORDS = Path(bench.lr_range.__file__).parent / "records"


@pytest.fixture(scope="module")
def swept() -> list[curves.Curve]:
    return curves.read(RECORDS / "curves.jsonl")


@pytest.fixture(scope="module")
def known() -> list[Grid]:
    return grids(truth.read(RECORDS / "truth.jsonl"))


@pytest.fixture(scope="module")
def judged(known: list[Grid], swept: list[curves.Curve]) -> list[Judged]:
    return ours(known, swept)


@pytest.fixture(scope="module")
def one_sweep(known: list[Grid], swept: list[curves.Curve]) -> Score:
    return score("ours", [(one.grid, one.suggested) for one in single(known, swept)])


def test_every_cell_is_known_and_swept(known: list[Grid], swept: list[curves.Curve]) -> None:
    assert [grid.cell.name for grid in known] == [cell.name for cell in CELLS]
    for cell in CELLS:
        assert [one.seed for one in curves.as_used(swept, cell.name)] == list(curves.SEEDS)


@pytest.mark.parametrize("half", ["tuning", "held out"])
def test_the_best_rate_lies_inside_the_bounds_in_19_of_20_cells(
    half: str, judged: list[Judged]
) -> None:
    own = [one for one in judged if one.grid.cell.half == half]
    assert all(one.decades is not None for one in own)
    assert sum(one.inside for one in own) >= 0.95 * len(own)


def test_the_bounds_are_at_most_a_decade_and_a_half_wide(judged: list[Judged]) -> None:
    widths = [one.decades for one in judged if one.decades is not None]
    assert statistics.median(widths) <= 1.5 + 1e-9


def test_the_suggested_rate_costs_a_point_in_the_median_and_four_in_the_worst_cell(
    judged: list[Judged],
) -> None:
    read_off = [one.grid.loss(one.suggested) for one in judged if one.suggested is not None]
    assert len(read_off) == len(CELLS)
    trained = [loss for one in judged if (loss := one.trained_loss) is not None]
    assert trained, "at the suggested rates themselves"
    assert statistics.median(read_off) <= 1.0
    assert max(*read_off, *trained) <= 4.0


def test_the_rule_of_the_suggested_rate_loses_least_and_little_on_recipes_it_was_not_chosen_by(
    known: list[Grid], swept: list[curves.Curve]
) -> None:
    found = readings(known, swept)
    assert choose(found) == (SUGGESTED, PER_DECADE)
    lost = [one.lost(*choice) for choice, one in left_out(found) if one.together]
    assert len(lost) == len(CELLS)
    assert statistics.median(lost) <= 1.0
    assert max(lost) <= 4.05


@pytest.mark.parametrize("name", FORMULAS)
def test_one_sweep_of_ours_loses_less_than_another_tools_formula_on_the_same_sweep(
    name: str, known: list[Grid], swept: list[curves.Curve], one_sweep: Score
) -> None:
    other = score(name, suggestions(known, swept, FORMULAS[name]))
    assert one_sweep.median < other.median
    assert one_sweep.worst < other.worst
    assert one_sweep.within > other.within


def test_the_pages_name_every_rule_arm_and_cell(swept: list[curves.Curve]) -> None:
    some = [cell.name for cell in CELLS[::18]]
    page = score_page(
        truth.read(RECORDS / "truth.jsonl"), [one for one in swept if one.cell in some]
    )
    for name in [*FORMULAS, *some]:
        assert name in page
    runs = read_runs(RECORDS / "worth.jsonl")
    assert all(arm in worth_page(runs) for arm in ARMS)
    for arm in ARMS:
        assert sum(run.arm == arm for run in runs) >= 5


def test_the_cost_until_a_target_counts_the_sweeps_and_every_trial_before() -> None:
    run = Run("measured", 0, 2.5, {}, [[4, 0.3], [2, 0.0], [4, 0.5], [4, 0.6]])
    assert run.epochs == 16.5
    assert run.epochs_until(0.3) == 6.5
    assert run.epochs_until(0.45) == 12.5
    assert run.epochs_until(0.7) is None
    assert run.best == 0.6
