"""The range test: bounds that follow from the curves, and sweeps that disturb nobody."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cifar_core import lr_range
from cifar_core.data.resident import Splits
from cifar_core.lr_range import NEEDED_FALL, Finding, Sweep, find_bounds, rates, sweep
from cifar_core.recipe import Adam, Augmentation, Net, Recipe, Sgd
from cifar_core.trainer import set_lr, train_step

CPU = torch.device("cpu")
START = math.log(10)


def curve(function: Callable[[float], float], *, end: float = math.inf) -> Sweep:
    """A sweep whose loss is a function of the decade, up to the rate `end`."""
    lr = rates()
    return Sweep(lr, tuple(function(math.log10(rate)) for rate in lr if rate <= end), pictures=640)


def valley(bottom: float, depth: float = 0.8, width: float = 1.5) -> Callable[[float], float]:
    """Level, then a parabola down to its lowest point at decade `bottom`, then twice as steep up."""

    def loss(decade: float) -> float:
        away = (decade - bottom) / width
        return START - depth * (1 - (2 * away if away > 0 else away) ** 2) if away > -1 else START

    return loss


def flat(_: float) -> float:
    return START


def decades(one: float | None, other: float) -> float:
    """How far apart two rates are."""
    assert one is not None
    return abs(math.log10(one / other))


# Rates


def test_rates_rise_evenly_in_their_logarithm_from_end_to_end() -> None:
    lr = rates(1e-4, 1.0)
    assert (lr[0], lr[-1], len(lr)) == (1e-4, 1.0, 121)
    assert np.diff(np.log10(lr)) == pytest.approx(1 / 30)


# Bounds from known curves


@pytest.mark.parametrize("bottom", [-3.5, -2.0, -1.0, 0.0])
def test_a_known_minimum_gives_bounds_around_it(bottom: float) -> None:
    finding = find_bounds([curve(valley(bottom))])
    assert finding.conclusive
    assert finding.reason is None
    assert decades(finding.minimum, 10**bottom) < 0.1
    assert finding.minimum is not None
    assert finding.low == pytest.approx(finding.minimum / 10)
    assert finding.suggested == pytest.approx(finding.minimum / 3)
    assert finding.high == pytest.approx(finding.minimum * 3)


def test_the_steepest_fall_lies_below_the_minimum_where_the_curve_is_steepest() -> None:
    def loss(decade: float) -> float:  # falls along a logistic curve around decade -3, rises at 0
        return START - 0.9 / (1 + math.exp(-8 * (decade + 3))) + 5 * max(0.0, decade) ** 2

    finding = find_bounds([curve(loss)])
    assert decades(finding.steepest, 1e-3) < 0.1
    assert finding.steepest is not None
    assert finding.minimum is not None
    assert finding.steepest < finding.minimum


def test_the_loss_that_is_back_at_its_start_is_called_divergence() -> None:
    finding = find_bounds([curve(valley(-2.0))])  # back at the start 0.75 decades above the minimum
    assert decades(finding.divergence, 10**-1.25) < 0.1


def test_divergence_right_behind_the_minimum_is_the_upper_bound() -> None:
    finding = find_bounds([curve(lambda decade: valley(-2.0)(decade) if decade < -1.9 else 9.0)])
    assert finding.high == finding.divergence
    assert finding.minimum is not None
    assert finding.high is not None
    assert finding.minimum < finding.high < 3 * finding.minimum


def test_a_curve_that_never_comes_back_has_no_divergence() -> None:
    finding = find_bounds([curve(lambda decade: START - 0.5 if decade > -2 else START)])
    assert finding.conclusive
    assert finding.divergence is None


@pytest.mark.parametrize("loss", [flat, lambda decade: START + max(0.0, decade)])
def test_a_loss_that_never_falls_gives_no_bounds_and_says_why(
    loss: Callable[[float], float],
) -> None:
    finding = find_bounds([curve(loss)])
    assert not finding.conclusive
    assert finding.reason == (
        "The loss hardly fell: from 2.303 by 0.000 between lr 1e-05 and 1e+01, "
        "where at least 0.08 are needed to tell a good rate."
    )
    assert (finding.low, finding.high, finding.suggested) == (None, None, None)
    assert (finding.steepest, finding.minimum, finding.divergence) == (None, None, None)


@pytest.mark.parametrize(("factor", "conclusive"), [(0.8, False), (1.3, True)])
def test_the_needed_fall_decides_between_a_conclusion_and_none(
    factor: float, conclusive: bool
) -> None:
    finding = find_bounds([curve(valley(-2.0, depth=factor * NEEDED_FALL))])
    assert finding.conclusive is conclusive


def test_a_loss_that_was_no_number_from_the_start_gives_no_bounds() -> None:
    finding = find_bounds([Sweep(rates(), (), pictures=64)] * 3)
    assert finding.reason == "The loss was no number from the start."
    assert len(finding.loss) == len(finding.smoothed) == len(rates())


def test_a_minimum_at_the_upper_edge_is_found_there() -> None:
    finding = find_bounds([curve(lambda decade: START - 0.1 * (decade + 5))])
    assert decades(finding.minimum, 10.0) < 0.05
    assert finding.divergence is None


def test_a_sweep_that_ended_early_counts_as_too_high_from_there_on() -> None:
    whole, short = curve(valley(-2.0)), curve(valley(-2.0), end=10**-1.5)
    finding = find_bounds([short])
    assert decades(finding.minimum, find_bounds([whole]).minimum or 0.0) < 0.05
    assert decades(finding.divergence, 10**-1.5) < 0.1
    assert len(finding.loss) == len(finding.smoothed) == len(finding.lr) == len(rates())


def test_a_huge_loss_counts_no_more_than_one_that_is_too_high() -> None:
    high, huge = (
        find_bounds([curve(lambda decade, top=top: valley(-2.0)(decade) if decade < -1.5 else top)])  # type: ignore[misc]
        for top in (START * 1.25, math.inf)
    )
    assert huge == high


def test_a_loss_that_is_no_number_counts_as_too_high() -> None:
    high, none = (
        find_bounds([curve(lambda decade, top=top: valley(-2.0)(decade) if decade < -1.5 else top)])  # type: ignore[misc]
        for top in (START * 1.25, math.nan)
    )
    assert none == high


@pytest.mark.parametrize(
    "bad",
    [
        curve(flat),
        curve(valley(0.5)),
        curve(lambda _: 9.0),
        curve(valley(-2.0), end=1e-4),
        Sweep(rates(), (), pictures=64),
    ],
    ids=["flat", "elsewhere", "high", "short", "empty"],
)
def test_one_bad_seed_of_three_does_not_move_the_bounds(bad: Sweep) -> None:
    good = [curve(valley(-2.0)), curve(valley(-1.95))]
    finding = find_bounds([good[0], bad, good[1]])
    assert decades(finding.minimum, find_bounds(good).minimum or 0.0) < 0.1


def test_the_order_of_the_sweeps_does_not_matter() -> None:
    sweeps = [curve(valley(-2.0)), curve(valley(-1.5)), curve(flat)]
    assert find_bounds(sweeps) == find_bounds(sweeps[::-1])


def test_noise_hardly_moves_the_minimum() -> None:
    clean = find_bounds([curve(valley(-2.0))]).minimum or 0.0
    for seed in range(10):
        random = np.random.default_rng(seed)
        noisy = [
            curve(lambda decade, random=random: valley(-2.0)(decade) + random.normal(0, 0.1))  # type: ignore[misc]
            for _ in range(3)
        ]
        assert decades(find_bounds(noisy).minimum, clean) < 0.35


def test_smoothing_does_not_move_a_curve_sideways() -> None:
    finding = find_bounds([curve(lambda decade: START - math.exp(-(((decade + 2) / 0.6) ** 2)))])
    assert decades(finding.minimum, 1e-2) < 0.02


# Sweeps


QUICK = Recipe(network=Net(batch_norm=True), optimizer=Adam(), batch_size=20)


def swept(recipe: Recipe, splits: Splits, seed: int = 0, high: float = 10.0) -> Sweep:
    return sweep(recipe, splits, seed=seed, device=CPU, high=high)


def test_a_sweep_is_decided_by_its_seed(small_splits: Splits) -> None:
    recipe = QUICK.model_copy(
        update={
            "network": Net(batch_norm=True, dropout=0.2),
            "augmentation": Augmentation(flip=0.5, crop_padding=2, cutout=8, strength=0.5),
        }
    )
    first = swept(recipe, small_splits, high=1e-3)
    assert swept(recipe, small_splits, high=1e-3) == first
    assert swept(recipe, small_splits, seed=1, high=1e-3).loss != first.loss


def test_the_recipes_own_rate_and_schedule_are_not_used(small_splits: Splits) -> None:
    other = Recipe.read(
        QUICK.plain()
        | {"optimizer": {"name": "adam", "lr": 0.5}, "schedule": {"name": "cosine"}, "epochs": 1}
    )
    assert swept(other, small_splits, high=1e-3) == swept(QUICK, small_splits, high=1e-3)


def test_every_rate_gets_one_step_in_order(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def noted(optimizer: torch.optim.Optimizer, lr: float) -> None:
        seen.append(lr)
        set_lr(optimizer, lr)

    monkeypatch.setattr(lr_range, "set_lr", noted)
    result = swept(QUICK, small_splits, high=1e-3)
    assert tuple(seen) == result.lr == rates(1e-5, 1e-3)
    assert len(result.loss) == len(result.lr)


@pytest.mark.parametrize(("batch_size", "used"), [(20, 20), (300, 300), (1000, 300)])
def test_the_number_of_pictures_used_is_stated(
    small_splits: Splits, batch_size: int, used: int
) -> None:
    recipe = Recipe(batch_size=batch_size)
    result = swept(recipe, small_splits, high=2e-5)
    assert result.pictures == len(result.loss) * used


def test_a_sweep_ends_early_where_the_loss_runs_away(small_splits: Splits) -> None:
    recipe = Recipe(optimizer=Sgd(), batch_size=20)
    result = swept(recipe, small_splits)
    assert 100 < len(result.loss) < len(result.lr)
    assert result.pictures < len(result.lr) * 20
    assert np.isfinite(result.loss).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_stops_being_a_number_ends_the_sweep_and_is_not_kept(
    value: float, small_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0

    def step(*arguments: Any) -> tuple[Tensor, Tensor]:
        nonlocal count
        count += 1
        loss, logits = train_step(*arguments)
        return (loss * value if count == 45 else loss), logits  # one is enough

    monkeypatch.setattr(lr_range, "train_step", step)
    result = swept(QUICK, small_splits)
    assert len(result.loss) == 44
    assert count == 50  # losses are read every ten steps
    assert result.pictures == 50 * 20


def test_a_network_whose_loss_is_no_number_from_the_start_says_so(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = torch.tensor(math.nan)
    monkeypatch.setattr(lr_range, "train_step", lambda *_: (nothing, nothing))
    finding = find_bounds([swept(QUICK, small_splits)])
    assert finding.reason == "The loss was no number from the start."


def test_a_sweep_leaves_global_random_numbers_and_the_pictures_alone(
    small_splits: Splits,
) -> None:
    before = torch.get_rng_state()
    images, labels = small_splits.train.images.clone(), small_splits.train.labels.clone()
    swept(QUICK, small_splits, high=1e-4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(small_splits.train.images, images)
    assert torch.equal(small_splits.train.labels, labels)


def test_a_sweep_does_not_look_at_the_validation_part(small_splits: Splits) -> None:
    train = small_splits.train
    other = Splits(train, train, small_splits.mean, small_splits.std, small_splits.digest)
    assert swept(QUICK, other, high=1e-4) == swept(QUICK, small_splits, high=1e-4)


def test_easy_pictures_give_a_conclusion(small_splits: Splits) -> None:
    finding = find_bounds([swept(QUICK, small_splits)])
    assert finding.conclusive
    assert ordered(finding)


def test_a_network_that_has_learned_nothing_gives_none(small_splits: Splits) -> None:
    finding = find_bounds([swept(Recipe(batch_size=20), small_splits, high=1e-4)])
    assert not finding.conclusive


def test_real_pictures_give_sgd_with_batch_norm_bounds_that_make_sense(
    real_splits: Splits,
) -> None:
    recipe = Recipe(network=Net(batch_norm=True), optimizer=Sgd(), normalization="standard")
    finding = find_bounds([swept(recipe, real_splits)])
    assert ordered(finding)
    assert finding.low is not None
    assert finding.high is not None
    assert 1e-3 < finding.low < 0.1
    assert 0.03 < finding.high < 1.0


def ordered(finding: Finding) -> bool:
    values = [finding.low, finding.suggested, finding.minimum, finding.high]
    return None not in values and values == sorted(values)  # type: ignore[type-var]
