"""The sweeps of a search: fewer and shorter where they would be more than a tenth of it."""

from dataclasses import replace

import pytest

from search.events import Event, Notice
from search.lr_range.sweep_plan import SHORTEST, SweepPlan, sweeps_for
from search.service.effort import say_what_the_test_costs
from spaces.files import load_space
from tests.search.scripted import new_study

SPACE = load_space("baseline_constrained")
assert SPACE.lr_range is not None


def plan(work_after: float | None, seeds: int = 4) -> SweepPlan:
    test = SPACE.lr_range.model_copy(update={"seeds": seeds})  # type: ignore[union-attr]
    space = SPACE.model_copy(update={"lr_range": test})
    found = sweeps_for(space, work_after)
    assert found is not None
    return found


WHOLE = plan(None)


def test_a_large_search_has_the_whole_test() -> None:
    assert plan(9.01 * WHOLE.cost) == WHOLE
    assert (WHOLE.seeds, WHOLE.ramp.share, WHOLE.sweeps) == (4, 1.0, 16)


@pytest.mark.parametrize("tenth", [0.99, 0.5, 0.3])
def test_seeds_are_left_out_first(tenth: float) -> None:
    found = plan(9 * tenth * WHOLE.cost)
    assert found == replace(WHOLE, seeds=int(4 * tenth))
    assert found.cost <= tenth * WHOLE.cost


def test_then_steps_are_left_out_until_the_test_is_a_tenth() -> None:
    after = 9 * 0.15 * WHOLE.cost
    found = plan(after)
    assert found.seeds == 1
    assert found.ramp.share == pytest.approx(0.6)
    # Rounded to whole steps.
    assert found.cost / (found.cost + after) == pytest.approx(0.1, abs=0.002)


@pytest.mark.parametrize("after", [0.0, 0.1])
def test_no_sweep_is_too_short_to_be_read(after: float) -> None:
    found = plan(after * WHOLE.cost)
    assert (found.seeds, found.ramp.share) == (1, SHORTEST)
    assert all(len(found.ramp.rates(size)) >= 61 for size in (32, 64, 256, 512))


def test_a_space_without_a_test_has_no_sweeps() -> None:
    assert sweeps_for(load_space("batch_size"), 1.0) is None


def test_the_cost_is_told_beforehand_and_what_was_shortened() -> None:
    told: list[Event] = []
    study = new_study(trials=3)
    say_what_the_test_costs(study, told.append)
    (note,) = told
    assert isinstance(note, Notice)
    assert note.text.startswith("The LR-range test comes first: ")
    assert " sweeps, as many images as " in note.text
    assert "It was shortened from " in note.text
    assert note.text.endswith(
        "% of the steps. Without: --lr-bounds off, or --lr-bounds LOW:HIGH, with a new --study"
    )
