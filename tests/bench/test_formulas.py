"""Other tools' suggestions, on curves whose answer follows from their construction.

Most curves are given as a tool would plot them; the raw losses that its smoothing turns into that plot are
computed backwards. A rate is named by its step.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from bench.lr_range.formulas import (
    FORMULAS,
    Formula,
    _falls,
    fastai_minimum,
    fastai_slide,
    fastai_steep,
    fastai_valley,
    lightning,
    torch_lr_finder,
)

STEPS = 240
LR = np.geomspace(1e-7, 10.0, STEPS).tolist()
FASTAI: list[Formula] = [fastai_valley, fastai_slide, fastai_steep, fastai_minimum]
Unsmooth = Callable[[Sequence[float]], list[float]]


def line(*corners: tuple[int, float]) -> list[float]:
    """Return a plot of straight lines between corners (step, loss)."""
    steps, losses = zip(*corners, strict=True)
    plot: list[float] = np.interp(range(steps[-1] + 1), steps, losses).tolist()
    return plot


def for_fastai(plot: Sequence[float], ahead: int = 0) -> list[float]:
    """Return the raw losses whose averages of weight 0.02, corrected for their start, are the plot."""
    sums = [value * (1 - 0.98 ** (step + ahead)) for step, value in enumerate(plot, start=1)]
    return [(new - 0.98 * old) / 0.02 for old, new in zip([0.0, *sums], sums, strict=False)]


def for_lightning(plot: Sequence[float]) -> list[float]:
    """Return the same for a correction that is a step ahead."""
    return for_fastai(plot, ahead=1)


def for_torch(plot: Sequence[float]) -> list[float]:
    """Return the raw losses whose averages of weight 0.05, starting at the first, are the plot."""
    return [(new - 0.95 * old) / 0.05 for old, new in zip([plot[0], *plot], plot, strict=False)]


def step_of(rate: float | None, lr: Sequence[float] = LR) -> int:
    """Return the step of the ramp at which a rate lies."""
    assert rate is not None
    return [float(f"{one:.9g}") for one in lr].index(float(f"{rate:.9g}"))


def noisy(seed: int = 0, steps: int = STEPS) -> list[float]:
    """Return losses like a real sweep's: level, a fall of one nat within about a decade, divergence."""
    decades = np.linspace(-7.0, 1.0, steps)
    fall = 1 / (1 + np.exp(-(decades + 3) / 0.3))
    away = np.expm1(np.clip(decades + 1, 0, None) * 2)
    noise = np.random.default_rng(seed).normal(0, 0.05, steps)
    losses: list[float] = (2.3 - fall + away + noise).tolist()
    return losses


# fastai


def test_valley_is_a_sixth_past_the_third_of_the_longest_fall() -> None:
    plot = line((0, 2.0), (100, 2.2), (160, 1.0), (239, 1.5))  # 61 points fall, from 100 to 160
    assert step_of(fastai_valley(LR, for_fastai(plot))) == 160 - 61 + 20 + 10


def test_valley_goes_on_over_bumps() -> None:
    plot = line((0, 2.0), (100, 2.2), (160, 1.0), (239, 1.5))
    for step in range(110, 160, 5):
        plot[step] += 0.5  # 10 points too high: the longest fall goes without them
    assert step_of(fastai_valley(LR, for_fastai(plot))) == 160 - 51 + 17 + 8


def test_of_two_valleys_the_longer_counts_and_the_deeper_does_not() -> None:
    plot = line((0, 2.0), (30, 2.1), (40, 0.8), (100, 2.2), (160, 1.9), (239, 2.5))
    assert step_of(fastai_valley(LR, for_fastai(plot))) == 160 - 61 + 20 + 10


def test_two_falls_are_one_valley_if_the_second_goes_on_below_the_first() -> None:
    plot = line((0, 2.0), (40, 2.2), (100, 1.9), (150, 3.5), (170, 1.0), (239, 1.5))
    # 61 points down to 1.9, then the last 8, an eighth apart, of those down to 1.0.
    assert step_of(fastai_valley(LR, for_fastai(plot))) == 170 - 69 + 23 + 11


def test_points_as_high_as_one_another_do_not_fall() -> None:
    assert _falls([3.0, 3.0, 2.0, 2.0, 1.0, 2.5]) == [1, 1, 2, 2, 3, 2]


def test_two_falling_points_give_the_valley_an_index_of_minus_one() -> None:
    plot = [1.0, 0.9, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]  # three remain before the last five
    assert step_of(fastai_valley(LR[:8], for_fastai(plot)), LR[:8]) == 2


def test_slide_stops_where_the_slopes_at_both_ends_are_alike() -> None:
    plot = line((0, 4.0), (226, 1.74), (239, 1.87))  # 0.01 down a step, then 0.01 up
    # At the bottom the slope is 0, still 0.01 from that of 15 steps before; one step on it is not.
    assert step_of(fastai_slide(LR, for_fastai(plot))) == 226 - 15


def test_slide_that_cannot_move_gives_the_left_end_of_the_last_interval() -> None:
    plot = line((0, 4.0), (239, 1.61))
    assert step_of(fastai_slide(LR, for_fastai(plot))) == 234 - 15


def test_slide_that_nothing_stops_goes_down_to_the_first_point() -> None:
    plot = [2.0 + ((step - 150) / 50) ** 2 for step in range(STEPS)]  # 15 steps differ by 0.012
    assert step_of(fastai_slide(LR, for_fastai(plot))) == 24
    plot = [2.0 + ((step - 150) / 100) ** 2 for step in range(STEPS)]  # and here by 0.003
    assert step_of(fastai_slide(LR, for_fastai(plot))) == 234 - 15


def test_steep_is_the_lower_rate_of_the_steepest_step() -> None:
    plot = line((0, 2.2), (130, 2.0), (131, 1.9), (239, 1.5))
    assert step_of(fastai_steep(LR, for_fastai(plot))) == 130


def test_steep_goes_by_decades_whatever_a_step_is() -> None:
    lr = [*np.geomspace(1e-7, 1e-3, 200).tolist(), *np.geomspace(1.1e-3, 10, 40).tolist()]
    # Steepest by decades just below 1e-4.9, by steps where they are widest apart.
    plot = np.interp(np.log10(lr), [-7.0, -5.0, -4.9, 1.0], [2.2, 2.1, 2.05, 0.5]).tolist()
    by_decade, by_step = fastai_steep(lr, for_fastai(plot)), torch_lr_finder(lr, for_torch(plot))
    assert by_decade is not None
    assert by_step is not None
    assert 0.9e-5 <= by_decade < 10**-4.9 < 1e-3 <= by_step


def test_steep_lags_a_raw_fall_by_less_than_the_memory_of_the_average() -> None:
    middle = 120
    raw = [2.3 - 1 / (1 + math.exp(-(step - middle) / 8)) for step in range(STEPS)]
    assert middle < step_of(fastai_steep(LR, raw)) < middle + 50


def test_minimum_is_a_tenth_of_the_rate_at_the_lowest_point() -> None:
    plot = [2.0 + ((step - 150) / 100) ** 2 for step in range(STEPS)]
    suggested = fastai_minimum(LR, for_fastai(plot))
    assert suggested == pytest.approx(LR[150] / 10)


def test_fastai_leaves_out_a_tenth_of_the_ramp_and_the_last_five() -> None:
    falling = for_fastai(line((0, 2.0), (239, 1.0)))
    assert fastai_minimum(LR, falling) == pytest.approx(LR[234] / 10)
    rising = for_fastai(line((0, 1.0), (239, 2.0)))
    assert step_of(fastai_valley(LR, rising)) == 24
    assert step_of(fastai_valley(LR, rising[:100])) == 24  # of the ramp, not of what was reached
    assert fastai_minimum(LR, rising) == pytest.approx(LR[24] / 10)


# torch-lr-finder and Lightning


def test_torch_lr_finder_is_in_the_middle_of_the_steepest_two_steps() -> None:
    plot = line((0, 2.2), (130, 2.0), (132, 1.8), (239, 1.5))
    assert step_of(torch_lr_finder(LR, for_torch(plot))) == 131


def test_torch_lr_finder_leaves_out_the_first_ten_and_the_last_five() -> None:
    bending_up = [2.0 - math.sqrt(step) / 20 for step in range(STEPS)]
    assert step_of(torch_lr_finder(LR, for_torch(bending_up))) == 10
    bending_down = [4.0 - (step / 150) ** 2 for step in range(STEPS)]
    assert step_of(torch_lr_finder(LR, for_torch(bending_down))) == 234


def test_lightning_prefers_low_rates_because_it_divides_by_the_rate() -> None:
    plot = line((0, 2.2), (239, 1.5))  # as steep everywhere, by decades
    assert step_of(lightning(LR, for_lightning(plot))) == 10


def test_lightning_finds_the_middle_of_a_fall_that_is_one_by_the_rate() -> None:
    plot = [2.3 - 1 / (1 + math.exp(-(rate - LR[180]) / (LR[180] / 8))) for rate in LR]
    assert step_of(lightning(LR, for_lightning(plot))) == pytest.approx(180, abs=1)


def test_lightning_leaves_out_the_first_ten_and_the_last() -> None:
    bending_down = [4.0 - (rate / 10) ** 2 for rate in LR]
    assert step_of(lightning(LR, for_lightning(bending_down))) == 238


@pytest.mark.parametrize("seed", range(3))
def test_lightning_takes_the_gradient_that_pytorch_takes(seed: int) -> None:
    plot = np.random.default_rng(seed).uniform(1.0, 1.5, STEPS)
    rates, losses = torch.tensor(LR[10:-1]), torch.from_numpy(plot[10:-1]).float()
    lowest = torch.gradient(losses, spacing=[rates])[0].argmin().item()
    assert step_of(lightning(LR, for_lightning(plot.tolist()))) == 10 + lowest


def test_lightning_counts_the_first_loss_by_half_so_that_twice_the_start_stops_it() -> None:
    lr = np.linspace(0.01, 2.4, STEPS).tolist()
    # Losses of 1 are plotted as 1/1.98 at first and as almost 1 in the end. Higher ones for 60 steps
    # lift that by 1 - 0.98**60 = 0.7 of the difference, here to 2.12 and to 1.77; then comes a fall.
    for high, is_stopped in [(2.6, True), (2.1, False)]:
        raw = [*[1.0] * 120, *[high] * 60, *[0.0] * 60]
        assert (step_of(lightning(lr, raw), lr) < 180) is is_stopped
        assert step_of(fastai_steep(LR, raw)) >= 179


# What stops a tool


@pytest.mark.parametrize(
    ("formula", "unsmooth", "times"),
    [(fastai_steep, for_fastai, 4), (torch_lr_finder, for_torch, 5), (lightning, for_lightning, 4)],
)
def test_what_comes_after_so_many_times_the_best_is_not_looked_at(
    formula: Formula, unsmooth: Unsmooth, times: int
) -> None:
    lr = np.linspace(0.01, 2.4, STEPS).tolist()
    for top, is_stopped in [(times + 0.1, True), (times - 0.1, False)]:
        plot = line((0, 1.5), (60, 1.4), (62, 1.0), (140, top), (200, 0.9 * top), (203, 1.5))
        suggested = step_of(formula(lr, unsmooth([*plot, *[1.5] * 36])), lr)
        assert suggested in (range(60, 63) if is_stopped else range(200, 204))


# Ends in no number


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_a_sweep_that_ended_early_is_one_that_went_on_with_nan(formula: Formula) -> None:
    short = noisy()[:170]
    assert formula(LR, short) == formula(LR, [*short, *[math.nan] * 70])
    assert formula(LR, short) is not None


def test_nan_costs_fastai_no_points_before_it_and_infinity_four() -> None:
    bending_down = for_fastai([4.0 - (step / 150) ** 2 for step in range(170)])
    assert step_of(fastai_steep(LR, [*bending_down, math.nan])) == 168
    assert step_of(fastai_steep(LR, [*bending_down, math.inf])) == 164
    assert fastai_minimum(LR, [*bending_down, math.nan]) == pytest.approx(LR[169] / 10)
    assert fastai_minimum(LR, [*bending_down, math.inf]) == pytest.approx(LR[165] / 10)


def test_torch_lr_finder_suggests_the_last_rate_before_nan() -> None:
    fall = for_torch(line((0, 2.2), (60, 2.0), (62, 1.0), (169, 0.9)))
    assert step_of(torch_lr_finder(LR, [*fall, math.nan])) == 169
    assert step_of(torch_lr_finder(LR, [*fall, math.inf])) == 61


@pytest.mark.parametrize("end", [math.nan, math.inf])
def test_lightning_leaves_out_what_is_no_number(end: float) -> None:
    bending_down = [4.0 - (rate / LR[169]) ** 2 for rate in LR[:170]]
    assert step_of(lightning(LR, [*for_lightning(bending_down), end])) == 169


@pytest.mark.parametrize("first", [math.nan, math.inf])
@pytest.mark.parametrize("formula", [*FASTAI, lightning])
def test_a_first_loss_that_is_no_number_leaves_nothing(formula: Formula, first: float) -> None:
    assert formula(LR, [first, *noisy()[1:]]) is None


@pytest.mark.parametrize("first", [math.nan, math.inf])
def test_a_first_loss_that_is_no_number_leaves_torch_lr_finder_its_first_point(
    first: float,
) -> None:
    assert step_of(torch_lr_finder(LR, [first, *noisy()[1:]])) == 10


# All of them


@pytest.mark.parametrize(
    ("formula", "fewest"),
    [
        (fastai_valley, 6),
        (fastai_minimum, 6),
        (fastai_steep, 7),
        (fastai_slide, 23),
        (torch_lr_finder, 17),
        (lightning, 13),
    ],
)
def test_sweeps_that_are_too_short_suggest_nothing(formula: Formula, fewest: int) -> None:
    for steps in range(fewest):
        assert formula(LR[:steps], noisy()[:steps]) is None
    assert formula(LR[:fewest], noisy()[:fewest]) is not None


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_a_loss_that_only_rises_is_answered_with_a_rate_of_the_ramp(formula: Formula) -> None:
    rate = formula(LR, line((0, 1.0), (239, 1.5)))
    assert rate is not None
    step_of(rate * 10 if formula is fastai_minimum else rate)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", [name for name in FORMULAS if name != "Lightning"])
def test_on_a_curve_like_a_real_one_the_rate_is_about_where_the_loss_falls(
    name: str, seed: int
) -> None:
    rate = FORMULAS[name](LR, noisy(seed))
    assert rate is not None
    assert -4 <= math.log10(rate) <= 0


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_more_losses_than_rates_are_refused(formula: Formula) -> None:
    with pytest.raises(ValueError, match="`loss` must be no longer than `lr`, but got 240 and 239"):
        formula(LR[:-1], noisy())
