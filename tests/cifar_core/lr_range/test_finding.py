"""What sweeps say: bounds that follow from the curves and from nothing else, or why there are none."""

import json
import math
import resource
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_core.data.resident import Splits
from cifar_core.lr_range import Finding, Minimum, Ramp, Sweep, find_bounds, sweep
from cifar_core.lr_range import finding as finding_module
from cifar_core.lr_range.finding import ABOVE, BELOW
from cifar_core.lr_range.sweep import CEILING, NEEDED_FALL
from cifar_core.recipe import Net, Recipe
from tests.cifar_core.trainings import begin

Loss = Callable[[float], float]
"""The loss at a decade, which is the logarithm of a rate."""

START = math.log(10)
PER_DECADE = 31
LR = Ramp(1e-6, 10.0, steps=7 * PER_DECADE + 1).rates(batch_size=64)
STEP = 1 / PER_DECADE
"""Decades from a rate to the next."""


def curve(loss: Loss, *, end: float = math.inf, lr: tuple[float, ...] = LR) -> Sweep:
    """A sweep with this loss, up to the decade `end`."""
    decades = [math.log10(rate) for rate in lr]
    return Sweep(lr, tuple(loss(one) for one in decades if one <= end), epochs=0.5)


def found(loss: Loss) -> Finding:
    return find_bounds([curve(loss)])


def flat(_: float) -> float:
    return START


def dip(middle: float, depth: float = 0.8, width: float = 0.4) -> Loss:
    """Level, but for a dip that is the same to both sides."""
    return lambda decade: START - depth * math.exp(-(((decade - middle) / width) ** 2))


def valley(bottom: float, depth: float = 0.8) -> Loss:
    """Level, from 1.5 decades below its bottom down to it, up again twice as steeply and far beyond."""

    def loss(decade: float) -> float:
        away = (decade - bottom) / 1.5
        return START - depth * (1 - (2 * away if away > 0 else away) ** 2) if away > -1 else START

    return loss


def trough(left: float, right: float, tilt: float = 0.0) -> Loss:
    """Level, but for a bottom between two decades that is flat, or falls by `tilt` a decade."""
    return lambda decade: START - (0.8 + tilt * decade if left <= decade <= right else 0.0)


def both(one: Loss, other: Loss) -> Loss:
    """The lower of two curves."""
    return lambda decade: min(one(decade), other(decade))


def decade(rate: float | None) -> float:
    assert rate is not None
    return math.log10(rate)


def middle(finding: Finding) -> float:
    """The decade of the basin's middle, by the lower bound."""
    assert finding.conclusive
    return decade(finding.low) - BELOW


def rates(finding: Finding) -> list[float | None]:
    """All rates that are None where there is no conclusion, but the divergence, which need not be there."""
    return [finding.low, finding.suggested, finding.high, finding.steepest, finding.minimum]


# Bounds from known curves


@pytest.mark.parametrize("center", [-4.0, -3.5, -2.0, -1.0])
def test_a_known_basin_gives_rates_in_their_distances_from_its_middle(center: float) -> None:
    finding = found(dip(center))
    assert finding.reason is None
    assert decade(finding.minimum) == pytest.approx(center, abs=STEP)
    assert middle(finding) == pytest.approx(center, abs=STEP)
    assert decade(finding.high) - ABOVE == pytest.approx(middle(finding))


def test_bounds_ascend_and_hold_the_minimum_and_the_rate_to_start_with() -> None:
    finding = found(valley(-2.0))
    assert None not in rates(finding)
    assert rates(finding)[:3] == sorted(rates(finding)[:3])  # type: ignore[type-var]
    assert decade(finding.low) < decade(finding.minimum) < decade(finding.high)


@pytest.mark.parametrize(
    ("back", "suggested"),
    [(-2.0, -2.875), (-1.5, -2.7), (-0.5, -2.35), (0.5, -2.35), (math.inf, -2.35)],
)
def test_the_first_rate_is_higher_the_more_is_borne_above_the_basin_up_to_a_limit(
    back: float, suggested: float
) -> None:
    """A basin around decade -2.5, and a shelf beside it to where the loss is back at its start."""

    def loss(decade: float) -> float:
        if decade < -3.0:
            return START
        if decade > back:
            return START + 0.5
        return START - (0.8 if decade <= -2.0 else 0.3)

    finding = found(loss)
    assert middle(finding) == pytest.approx(-2.5, abs=2 * STEP)
    assert decade(finding.suggested) == pytest.approx(suggested, abs=0.06)


@pytest.mark.parametrize("tilt", [-0.01, 0.0, 0.01], ids=["lowest left", "flat", "lowest right"])
def test_the_middle_of_a_flat_bottom_counts_wherever_its_lowest_point_is(tilt: float) -> None:
    finding = found(trough(-3.0, -1.5, tilt))
    assert middle(finding) == pytest.approx(-2.25, abs=2 * STEP)


def test_the_steepest_fall_lies_below_the_minimum_where_the_curve_is_steepest() -> None:
    def loss(decade: float) -> float:  # falls along a logistic curve around decade -3, rises at -1
        return START - 0.9 / (1 + math.exp(-8 * (decade + 3))) + 5 * max(0.0, decade + 1) ** 2

    finding = found(loss)
    assert decade(finding.steepest) == pytest.approx(-3.0, abs=2 * STEP)
    assert decade(finding.minimum) > -2.0


def test_a_steeper_fall_behind_the_minimum_is_not_the_steepest() -> None:
    cliff = both(
        trough(-0.5, -0.4), dip(-3.0)
    )  # falls there at once, but not as deep once smoothed
    assert -4.0 < decade(found(cliff).steepest) < -3.0


def test_the_loss_that_is_back_at_its_start_is_called_divergence() -> None:
    finding = found(valley(-2.0))  # back at the start 0.75 decades above its bottom
    assert decade(finding.divergence) == pytest.approx(-1.25, abs=0.1)
    assert finding.divergence in finding.lr


def test_a_curve_that_does_not_come_back_has_no_divergence() -> None:
    finding = found(lambda decade: valley(-2.0)(min(decade, -1.5)))
    assert finding.conclusive
    assert finding.divergence is None


def test_the_upper_bound_does_not_go_beyond_divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding_module, "ABOVE", 3.0)
    finding = found(valley(-2.0))
    assert finding.high == finding.divergence is not None


def test_the_upper_bound_does_not_go_beyond_what_was_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding_module, "ABOVE", 3.0)
    finding = found(lambda decade: valley(0.0)(min(decade, 0.5)))
    assert finding.divergence is None
    assert finding.high == LR[-1]


def test_a_fine_linear_ramp_finds_the_same_basin() -> None:
    lr = Ramp(1e-3, 1.0, steps=3_000, linear=True).rates(64)
    linear, even = find_bounds([curve(dip(-1.0), lr=lr)]), found(dip(-1.0))
    assert middle(linear) == pytest.approx(-1.0, abs=0.05)
    assert decade(linear.minimum) == pytest.approx(-1.0, abs=0.05)
    assert decade(linear.steepest) == pytest.approx(decade(even.steepest), abs=0.08)


def test_a_coarse_linear_ramp_does_not_move_the_basin_down_by_its_gaps() -> None:
    lr = Ramp(1e-3, 10.0, steps=125, linear=True).rates(64)
    assert middle(find_bounds([curve(dip(-1.0), lr=lr)])) == pytest.approx(-1.0, abs=0.3)


def test_a_curve_is_told_with_its_finding() -> None:
    swept = curve(valley(-2.0))
    finding = find_bounds([swept])
    assert finding.lr == LR
    assert finding.start == pytest.approx(START)
    ceiling = START * CEILING
    assert finding.loss == pytest.approx([min(one, ceiling) for one in swept.loss])


# Smoothing


def test_smoothing_does_not_move_a_curve_sideways_as_a_moving_average_does() -> None:
    finding = found(dip(-2.0, width=0.2))
    averaged = [START]
    for loss in finding.loss:
        averaged.append(0.9 * averaged[-1] + 0.1 * loss)
    bottom = LR.index(min(LR, key=lambda rate: abs(math.log10(rate) + 2.0)))
    assert finding.smoothed.index(min(finding.smoothed)) == bottom
    assert averaged.index(min(averaged)) - 1 > bottom + 3
    near = np.array(finding.smoothed[bottom - 30 : bottom + 31])
    assert near == pytest.approx(near[::-1])


def test_smoothing_leaves_a_straight_line_and_a_level_one_as_they_are() -> None:
    straight = found(lambda decade: START - 0.1 * decade)
    assert straight.smoothed[20:-20] == pytest.approx(straight.loss[20:-20])
    assert found(flat).smoothed == pytest.approx(found(flat).loss)


def test_noise_hardly_moves_the_bounds() -> None:
    clean = middle(found(valley(-2.0)))
    for seed in range(20):
        random = np.random.default_rng(seed)
        sweeps = [
            curve(lambda decade, random=random: valley(-2.0)(decade) + random.normal(0, 0.1))  # type: ignore[misc]
            for _ in range(3)
        ]
        finding = find_bounds(sweeps)
        assert middle(finding) == pytest.approx(clean, abs=0.15)
        assert decade(finding.minimum) == pytest.approx(-2.0, abs=0.35)


# Several minima


DEEP, SHALLOW = 0.8, 0.3
DOUBLE = both(dip(-4.0, DEEP), dip(-1.5, 0.98 * DEEP))


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        (DEEP, 0.98 * DEEP, -1.5),
        (0.98 * DEEP, DEEP, -1.5),
        (DEEP, SHALLOW, -4),
        (SHALLOW, DEEP, -1.5),
    ],
)
def test_of_several_minima_about_as_deep_the_one_at_the_largest_rate_counts(
    first: float, second: float, chosen: float
) -> None:
    finding = found(both(dip(-4.0, first), dip(-1.5, second)))
    assert [decade(one.lr) for one in finding.minima] == pytest.approx([-4, -1.5], abs=STEP)
    assert decade(finding.minimum) == pytest.approx(chosen, abs=STEP)
    assert middle(finding) == pytest.approx(chosen, abs=STEP)


def test_the_minima_have_the_smoothed_loss_of_their_rates() -> None:
    finding = found(DOUBLE)
    for one in finding.minima:
        assert one.loss == finding.smoothed[LR.index(one.lr)]


def test_ripples_of_a_basin_do_not_make_minima_of_their_own() -> None:
    finding = found(lambda decade: valley(-2.0)(decade) + 0.01 * math.sin(20 * decade))
    assert len(finding.minima) == 1


def test_divergence_behind_an_earlier_minimum_does_not_count() -> None:
    between = [
        math.inf if -3.2 < math.log10(rate) < -2.5 else DOUBLE(math.log10(rate)) for rate in LR
    ]
    finding = find_bounds([Sweep(LR, tuple(between), 0.5)])
    assert decade(finding.minimum) == pytest.approx(-1.5, abs=STEP)
    assert finding.divergence is None or decade(finding.divergence) > -1.5


# No conclusion


@pytest.mark.parametrize(
    "loss", [flat, lambda decade: START + max(0.0, decade)], ids=["flat", "rising"]
)
def test_a_loss_that_never_falls_gives_no_bounds_and_says_why(loss: Loss) -> None:
    finding = found(loss)
    assert not finding.conclusive
    assert finding.too_flat
    assert rates(finding) == [None] * 5
    assert finding.divergence is None
    assert finding.reason == (
        "The loss hardly fell: from 2.303 by 0.000 between lr 1e-06 and 1e+01, "
        f"but at least {NEEDED_FALL} are needed to recognise a good rate."
    )


@pytest.mark.parametrize(("factor", "conclusive"), [(0.8, False), (1.3, True)])
def test_the_needed_fall_decides_between_a_conclusion_and_none(
    factor: float, conclusive: bool
) -> None:
    finding = found(valley(-2.0, depth=factor * NEEDED_FALL))
    assert finding.conclusive is conclusive
    assert finding.too_flat is not conclusive


def test_a_single_low_loss_is_no_fall() -> None:
    losses = [START] * len(LR)
    losses[100] -= 6 * NEEDED_FALL
    finding = find_bounds([Sweep(LR, tuple(losses), 0.5)])
    assert not finding.conclusive
    assert finding.too_flat


def test_a_loss_that_still_falls_at_the_highest_rate_gives_no_bounds_and_says_so() -> None:
    finding = found(lambda decade: START - 0.1 * (decade + 6))
    assert not finding.too_flat
    assert rates(finding) == [None] * 5
    assert finding.reason == (
        "The loss was still falling at the highest rate, 10: what lies above it must be seen. "
        "Sweep to a higher rate."
    )


def test_a_shallow_minimum_below_a_fall_to_the_highest_rate_does_not_count() -> None:
    finding = found(both(dip(-4.0, SHALLOW), lambda decade: START - 0.5 * max(0.0, decade + 1.0)))
    assert [decade(one.lr) for one in finding.minima] == pytest.approx([-4.0], abs=STEP)
    assert rates(finding) == [None] * 5
    assert "still falling at the highest rate" in (finding.reason or "")


def test_a_loss_that_falls_from_the_lowest_rate_on_gives_no_bounds_and_says_so() -> None:
    lr = Ramp(1e-3, 10.0, steps=4_000).rates(64)
    fallen = [*[START] * 10, *(valley(-2.0)(max(-2.0, math.log10(rate))) for rate in lr[10:])]
    finding = find_bounds([Sweep(lr, tuple(fallen), 0.5)])
    assert rates(finding) == [None] * 5
    assert finding.reason == (
        "The loss fell from the lowest rate on, 0.001, so its start was not seen. "
        "Sweep from a lower rate."
    )


def test_a_loss_that_was_no_number_from_the_start_gives_no_bounds_and_says_so() -> None:
    finding = find_bounds([Sweep(LR, (), epochs=0.5)] * 3)
    assert finding.reason == "The loss was non-finite from the start."
    assert (finding.start, finding.too_flat) == (None, False)
    assert rates(finding) == [None] * 5
    assert len(finding.loss) == len(finding.smoothed) == len(LR)
    assert finding.epochs == 1.5


# What is above the ceiling


@pytest.mark.parametrize("top", [50.0, 1e30, math.inf, math.nan])
def test_how_far_a_loss_is_above_the_ceiling_makes_no_difference(top: float) -> None:
    high, higher = (
        found(lambda decade, top=top: valley(-2.0)(decade) if decade < -1.5 else top)  # type: ignore[misc]
        for top in (START * CEILING, top)
    )
    assert higher == high


def test_a_sweep_that_ended_early_counts_as_too_high_from_there_on() -> None:
    whole, short = found(valley(-2.0)), find_bounds([curve(valley(-2.0), end=-1.5)])
    assert middle(short) == pytest.approx(middle(whole), abs=STEP)
    assert decade(short.divergence) == pytest.approx(-1.5, abs=0.1)
    assert len(short.loss) == len(short.smoothed) == len(short.lr) == len(LR)
    assert short.loss[-1] == pytest.approx(START * CEILING)


# Several sweeps


@pytest.mark.parametrize(
    "bad",
    [
        curve(flat),
        curve(dip(0.5)),
        curve(lambda _: 9.0),
        curve(lambda _: 1.0),
        curve(valley(-2.0), end=-4.0),
        curve(valley(-2.0), end=-2.3),
        curve(dip(0.0, depth=2.2)),
        Sweep(LR, (), epochs=0.5),
    ],
    ids=["flat", "elsewhere", "high", "low", "short", "ends within", "deeper", "no number"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_seed_of_three_does_not_move_the_bounds(bad: Sweep, place: int) -> None:
    good = [curve(valley(-2.0)), curve(valley(-1.95))]
    finding = find_bounds([*good[:place], bad, *good[place:]])
    assert middle(finding) == pytest.approx(middle(find_bounds(good)), abs=0.1)
    assert decade(finding.minimum) == pytest.approx(-2.0, abs=0.1)
    assert finding.start == pytest.approx(START)


def test_the_order_of_the_sweeps_does_not_matter() -> None:
    sweeps = [curve(dip(-2.0)), curve(valley(-1.5), end=-1.0), curve(flat), Sweep(LR, (), 2.0)]
    assert len({find_bounds(each) for each in permutations(sweeps)}) == 1


def test_all_sweeps_are_paid_for() -> None:
    assert (
        find_bounds([Sweep(LR, (START,) * 9, epochs) for epochs in (0.5, 0.25, 2.0)]).epochs == 2.75
    )


# Any curve


def shifted(loss: list[float], steps: int) -> Sweep:
    """The same curve, that many steps further up: level before, far too high behind."""
    high = len(LR) - len(loss) - 50 - steps
    return Sweep(LR, (START,) * (50 + steps) + tuple(loss) + (3 * START,) * high, epochs=0.5)


@settings(deadline=None, max_examples=150)
@given(
    corners=st.lists(st.floats(0.5, 1.9), min_size=2, max_size=5),
    slant=st.floats(0.001, 0.003),
    steps=st.integers(1, 50),
)
def test_a_curve_further_up_gives_all_rates_as_much_further_up(
    corners: list[float], slant: float, steps: int
) -> None:
    at = np.arange(70.0)
    rough = np.interp(at, np.linspace(0, 69, len(corners)), corners)
    loss = (rough + slant * (at - 33.3) ** 2 / 10).tolist()  # without two points of the same height
    below, above = (find_bounds([shifted(loss, each)]) for each in (0, steps))
    assert below.conclusive
    factor = LR[steps] / LR[0]
    assert rates(above) == pytest.approx([(one or 0.0) * factor for one in rates(below)])
    assert above.divergence == pytest.approx((below.divergence or 0.0) * factor)
    assert [one.lr for one in above.minima] == pytest.approx(
        [one.lr * factor for one in below.minima]
    )


@settings(deadline=None, max_examples=300)
@given(
    seed=st.integers(0, 2**32 - 1),
    noise=st.floats(0.0, 2.0),
    kind=st.sampled_from(["level", "dip", "double", "falling", "rising"]),
    lengths=st.lists(st.integers(0, 71), min_size=1, max_size=4),
    linear=st.booleans(),
)
def test_whatever_the_curves_a_finding_is_whole_and_in_order(
    seed: int, noise: float, kind: str, lengths: list[int], linear: bool
) -> None:
    shape: dict[str, Loss] = {
        "level": flat,
        "dip": dip(-2.0),
        "double": both(dip(-3.0), dip(-1.0)),
        "falling": lambda decade: 2.0 - decade,
        "rising": lambda decade: 9.0 + 2 * decade,
    }
    random = np.random.default_rng(seed)
    lr = Ramp(1e-4, 1.0, steps=71, linear=linear).rates(64)
    sweeps = []
    for length in lengths:
        whole = np.array(curve(shape[kind], lr=lr).loss) + noise * random.standard_normal(71)
        sweeps.append(Sweep(lr, tuple(np.exp(whole) if seed % 7 == 0 else whole)[:length], 1.0))
    finding = find_bounds(sweeps)
    json.dumps(finding.to_dict(), allow_nan=False)
    assert len(finding.lr) == len(finding.loss) == len(finding.smoothed) == 71
    if finding.conclusive:
        assert finding.low < finding.suggested < finding.high <= lr[-1]  # type: ignore[operator]
        assert finding.steepest <= finding.minimum  # type: ignore[operator]
        assert finding.minimum in [one.lr for one in finding.minima]
        assert finding.divergence is None or finding.high <= finding.divergence  # type: ignore[operator]
        assert not finding.too_flat
    else:
        assert rates(finding) == [None] * 5
        assert finding.words == f"Inconclusive: {finding.reason}"


# In words and as plain values


def test_a_conclusion_is_told_in_a_sentence() -> None:
    words = Finding((), (), (), 1.0, low=0.0021, high=0.066, suggested=0.0149).words
    assert words == "Search lr between 0.0021 and 0.066; start at 0.015."


def test_several_minima_are_told_with_the_one_that_counts() -> None:
    finding = Finding(
        *((), (), (), 1.0),
        minima=(Minimum(1e-4, 1.5), Minimum(0.0316, 1.45)),
        minimum=0.0316,
        low=0.003,
        high=0.1,
        suggested=0.02,
    )
    assert finding.words == (
        "Search lr between 0.003 and 0.1; start at 0.02. The loss has 2 minima, at 0.0001, 0.032: the "
        "one at 0.032 counts, the largest rate of those about as deep as the deepest; or try them all."
    )


def test_no_conclusion_is_told_with_its_reason() -> None:
    assert Finding((), (), (), 1.0, reason="It was late.").words == "Inconclusive: It was late."


KEYS = {
    *("lr", "loss", "smoothed", "start", "steepest", "minima", "minimum", "divergence"),
    *("low", "high", "suggested", "conclusive", "epochs", "words", "reason"),
}
SAYING = {
    "bounds": curve(DOUBLE),
    "too flat": curve(flat),
    "still falling": curve(lambda decade: START - 0.1 * (decade + 6)),
    "no number": Sweep(LR, (), epochs=0.5),
}
"""Sweeps by what they say."""


@pytest.mark.parametrize("says", SAYING)
def test_a_finding_is_plain_json_with_the_same_keys_whatever_it_says(says: str) -> None:
    finding = find_bounds([SAYING[says]])
    plain = finding.to_dict()
    assert plain.keys() == KEYS
    read = json.loads(json.dumps(plain, allow_nan=False))
    assert read["lr"] == pytest.approx(LR, rel=1e-4)
    assert len(read["loss"]) == len(read["smoothed"]) == len(LR)
    assert read["conclusive"] is finding.conclusive
    for key in ("start", "minimum", "divergence", "low", "high", "suggested", "reason", "words"):
        assert read[key] == getattr(finding, key)
    assert read["minima"] == [{"lr": one.lr, "loss": one.loss} for one in finding.minima]


def test_the_plain_curves_have_null_for_what_is_no_number_and_few_digits() -> None:
    assert set(find_bounds([SAYING["no number"]]).to_dict()["loss"]) == {None}
    finding = find_bounds([SAYING["bounds"]])
    for key in ("lr", "loss", "smoothed"):
        plain = finding.to_dict()[key]
        assert plain == pytest.approx(getattr(finding, key), rel=1e-4)
        assert plain == [float(f"{value:.5g}") for value in plain]


# From real images


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_real_images_give_sgd_with_batch_norm_bounds_that_make_sense(
    seed: int, real_splits: Splits
) -> None:
    recipe = Recipe(network=Net(batch_norm=True), normalization="standard")
    finding = find_bounds([sweep(begin(recipe, real_splits, seed), Ramp(1e-5, 10.0))])
    assert None not in [finding.divergence, *rates(finding)]
    low, suggested, high = rates(finding)[:3]
    assert 1e-3 < low < suggested < high < 1.0  # type: ignore[operator]
    assert low < 0.03 < high  # type: ignore[operator]
    assert finding.start == pytest.approx(START, abs=0.1)


def test_a_long_sweep_is_smoothed_in_little_memory() -> None:
    lr = tuple(np.geomspace(1e-10, 10.0, 30_000).tolist())
    loss = tuple((2.3 - np.exp(-((np.log10(lr) + 2) ** 2))).tolist())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert find_bounds([Sweep(lr, loss, 5.0)]).conclusive
    # In kilobytes; each rate weighed against each would take seven million.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
