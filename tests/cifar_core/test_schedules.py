"""Schedules: factors between 0 and 1 that move as PyTorch's schedulers do."""

import math
import warnings
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, StepLR

from cifar_core.recipe import Constant, Cosine, Linear, OneCycle, Plateau, Schedule, Step
from cifar_core.schedules import START_OF_ONE_CYCLE, cosine, linear, one_cycle, schedule_of

SCHEDULES: list[Schedule] = [
    Constant(),
    Step(epochs=2, factor=0.3),
    Step(epochs=1, factor=1.0),
    Cosine(),
    OneCycle(),
    OneCycle(warmup=0.4),
    Linear(),
    Linear(warmup=0.0),
    Plateau(),
]
sizes = st.integers(1, 40)


def stepped(scheduler: Callable[[torch.optim.Optimizer], LRScheduler], steps: int) -> list[float]:
    """The rates that one of PyTorch's schedulers gives to each step, from a rate of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    moving = scheduler(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        with warnings.catch_warnings(action="ignore"):  # no step of the optimizer was taken
            moving.step()
    return rates


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@given(epochs=sizes, steps_per_epoch=sizes)
def test_every_factor_lies_above_0_and_at_most_at_1(
    schedule: Schedule, epochs: int, steps_per_epoch: int
) -> None:
    factor = schedule_of(schedule, epochs, steps_per_epoch)
    factors = [factor(step) for step in range(epochs * steps_per_epoch)]
    assert all(0.0 < each <= 1.0 for each in factors)


@pytest.mark.parametrize(
    "schedule", [Constant(), Step(), Cosine(), Linear(warmup=0.0), Plateau()], ids=repr
)
def test_all_without_a_warmup_start_at_the_recipes_rate(schedule: Schedule) -> None:
    assert schedule_of(schedule, 12, 700)(0) == 1.0


@given(steps=st.integers(2, 500))
def test_a_cosine_falls_at_every_step_and_ends_at_0(steps: int) -> None:
    factors = [cosine(step, steps) for step in range(steps + 1)]
    assert all(later < earlier for earlier, later in pairwise(factors))
    assert factors[-1] == pytest.approx(0.0, abs=1e-12)


@given(steps=st.integers(2, 500), warmup=st.floats(0.01, 0.99))
def test_one_cycle_rises_to_exactly_1_at_the_end_of_its_warmup_and_falls_from_there(
    steps: int, warmup: float
) -> None:
    top = max(1, round(steps * warmup))
    assume(top < steps)
    factors = [one_cycle(step, steps, warmup) for step in range(steps + 1)]
    assert factors[0] == START_OF_ONE_CYCLE
    assert factors[top] == 1.0
    assert factors.index(max(factors)) == top
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.25), (10, 0.99), (3, 0.9)])
def test_one_cycle_reaches_the_recipes_rate_however_long_its_warmup(
    steps: int, warmup: float
) -> None:
    assert max(one_cycle(step, steps, warmup) for step in range(steps)) == 1.0


def test_a_cosine_is_pytorchs_stepped_at_every_step() -> None:
    factor = schedule_of(Cosine(), epochs=4, steps_per_epoch=25)
    expected = stepped(lambda optimizer: CosineAnnealingLR(optimizer, T_max=100), 100)
    assert [factor(step) for step in range(100)] == pytest.approx(expected, abs=1e-9)


def test_step_decay_is_pytorchs_step_lr_counted_in_epochs() -> None:
    factor = schedule_of(Step(epochs=2, factor=0.3), epochs=7, steps_per_epoch=5)
    expected = stepped(lambda optimizer: StepLR(optimizer, step_size=10, gamma=0.3), 35)
    assert [factor(step) for step in range(35)] == pytest.approx(expected)


def test_one_cycle_is_pytorchs_with_a_linear_rise() -> None:
    """PyTorch's ends its phases at the last step; ours, like the cosine, one step after it."""
    steps, top = 100, 30
    factor = schedule_of(OneCycle(warmup=0.3), epochs=4, steps_per_epoch=25)
    linear, curved = (
        stepped(
            lambda optimizer, strategy=strategy: OneCycleLR(  # type: ignore[misc]
                optimizer,
                max_lr=1.0,
                total_steps=steps + 1,
                pct_start=(top + 1) / (steps + 1),
                anneal_strategy=strategy,
                cycle_momentum=False,
                div_factor=25.0,
                final_div_factor=math.inf,
            ),
            steps,
        )
        for strategy in ("linear", "cos")
    )
    expected = linear[:top] + curved[top:]
    assert [factor(step) for step in range(steps)] == pytest.approx(expected, abs=1e-9)


@given(steps=st.integers(2, 500), warmup=st.floats(0.0, 1.0, exclude_max=True))
def test_a_linear_schedule_rises_to_1_by_equal_steps_and_falls_to_0_by_equal_steps(
    steps: int, warmup: float
) -> None:
    factors = [linear(step, steps, warmup) for step in range(steps + 1)]
    peak = factors.index(1.0)
    rises = [later - earlier for earlier, later in pairwise([0.0, *factors[: peak + 1]])]
    falls = [earlier - later for earlier, later in pairwise(factors) if later < earlier]
    assert rises == pytest.approx([rises[0]] * len(rises))
    assert falls == pytest.approx([falls[0]] * len(falls))
    assert factors[-1] == pytest.approx(0.0)
    assert abs(peak + 1 - steps * warmup) <= 1.5 or peak == 0
