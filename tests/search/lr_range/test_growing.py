"""Curves of sweeps that grow while they are made."""

import math
from pathlib import Path

import pytest

from cifar_core.lr_range import Ramp, find_bounds
from cifar_core.recipe import Adam, Recipe
from search.events import Event, SweepCurve
from search.lr_range.growing import POINTS, GrowingCurves
from search.lr_range.sweeps import measure
from search.workers.messages import SweepTask
from tests.search.sweeping import SweepingPool, curve

RAMP = Ramp(1e-5, 10.0)
TASK = SweepTask("key", Recipe(batch_size=32), RAMP, 0, subject=1, name="adam batch 32")
WHOLE = curve(0.01, RAMP.rates(32))


def test_a_curve_grows_and_ends_as_the_one_that_bounds_are_read_off() -> None:
    told: list[SweepCurve] = []
    curves = GrowingCurves(told.append)  # type: ignore[arg-type] # it tells nothing else
    for start in range(0, 750, 250):
        curves.grow(TASK, WHOLE.loss[start : start + 250])
    curves.end(TASK, WHOLE)
    assert [len(one.loss) for one in told] == [40, 80, POINTS - 1, POINTS]
    assert [one.done for one in told] == [False, False, False, True]
    assert {(one.subject, one.name, one.lr) for one in told} == {(1, TASK.name, told[0].lr)}
    whole = find_bounds([WHOLE]).smoothed
    assert told[-1].loss[0] == pytest.approx(whole[0], abs=1e-3)
    assert min(told[-1].loss) == pytest.approx(min(whole), abs=1e-3)


def test_a_sweep_whose_worker_died_begins_anew() -> None:
    told: list[SweepCurve] = []
    curves = GrowingCurves(told.append)  # type: ignore[arg-type] # as above
    curves.grow(TASK, WHOLE.loss[:500])
    curves.lose(TASK)
    curves.grow(TASK, WHOLE.loss[:250])
    assert [len(one.loss) for one in told] == [80, 40]


def test_a_curve_ends_where_the_loss_is_no_number() -> None:
    told: list[SweepCurve] = []
    curves = GrowingCurves(told.append)  # type: ignore[arg-type] # as above
    curves.grow(TASK, [*WHOLE.loss[:250], math.nan, 1.0, math.inf])
    assert len(told[0].loss) == 40
    assert all(map(math.isfinite, told[0].loss))
    curves.lose(TASK)
    curves.grow(TASK, [math.inf])
    assert told[1].loss == ()


def test_each_recipe_of_a_test_has_its_curve(tmp_path: Path) -> None:
    told: list[Event] = []
    subjects = [(Recipe(), RAMP), (Recipe(optimizer=Adam()), RAMP)]
    pool = SweepingPool()
    measure(subjects, 1, pool, 0, tmp_path, told.append, lambda: False, 0.0, ["small", ""])  # type: ignore[arg-type] # it does what a pool does
    found = {(one.subject, one.name) for one in told if isinstance(one, SweepCurve)}
    assert found == {(0, "small"), (1, "adam")}
