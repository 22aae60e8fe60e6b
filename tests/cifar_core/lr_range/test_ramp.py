"""The rates of a sweep: which they are, how many, and what makes none."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_core.errors import CifarSearchError, RampError
from cifar_core.lr_range import ramp as ramp_module
from cifar_core.lr_range.ramp import FEWEST_PER_DECADE, LARGEST, Ramp

examples = settings(deadline=None, max_examples=200)
batch_sizes = st.integers(1, 8192)


@st.composite
def ramps(draw: st.DrawFn) -> Ramp:
    """Any valid ramp over at least a twentieth of a decade and at most sixteen decades."""
    low = 10 ** draw(st.floats(-13.0, 2.9))
    high = min(low * 10 ** draw(st.floats(0.05, 16.0)), LARGEST)
    fewest = math.ceil(max(1.0, math.log10(high / low)) * FEWEST_PER_DECADE)
    steps = draw(st.none() | st.integers(fewest, 2_000))
    return Ramp(low, high, steps, linear=draw(st.booleans()))


# Which they are


@pytest.mark.parametrize("ramp", [Ramp(), Ramp(1e-4, 1.0), Ramp(0.3, 0.7), Ramp(1e-6, 5e-5, 31)])
def test_rates_rise_evenly_in_their_logarithm_from_end_to_end(ramp: Ramp) -> None:
    rates = ramp.rates(batch_size=64)
    assert (rates[0], rates[-1]) == (ramp.low, ramp.high)
    even = ramp.decades / (len(rates) - 1)
    assert np.diff(np.log10(rates)) == pytest.approx(even, rel=1e-6)


@pytest.mark.parametrize("ramp", [Ramp(0.5, 5.0, 10, linear=True), Ramp(1e-4, 1.0, linear=True)])
def test_the_rates_of_a_linear_ramp_have_equal_differences(ramp: Ramp) -> None:
    rates = ramp.rates(batch_size=64)
    assert (rates[0], rates[-1]) == (ramp.low, ramp.high)
    assert np.diff(rates) == pytest.approx((ramp.high - ramp.low) / (len(rates) - 1))


@examples
@given(ramp=ramps(), batch_size=batch_sizes)
def test_the_rates_of_any_ramp_ascend_from_one_end_to_the_other(
    ramp: Ramp, batch_size: int
) -> None:
    rates = ramp.rates(batch_size)
    assert (rates[0], rates[-1]) == (ramp.low, ramp.high)
    assert all(one < other for one, other in pairwise(rates))
    assert len(rates) >= FEWEST_PER_DECADE * ramp.decades
    assert {type(rate) for rate in rates} == {float}  # plain numbers, for JSON


# How many they are


@pytest.mark.parametrize(
    ("batch_size", "per_decade"),
    [(1, 150), (20, 150), (30, 100), (32, 94), (50, 60), (64, 47), (75, 40), (8192, 40)],
)
def test_a_decade_has_the_steps_of_so_many_images_between_a_least_and_a_most(
    batch_size: int, per_decade: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ramp_module, "IMAGES_PER_DECADE", 3_000)
    monkeypatch.setattr(ramp_module, "STEPS_PER_DECADE", (40, 150))
    assert len(Ramp(1e-4, 1.0).rates(batch_size)) == 4 * per_decade + 1
    assert len(Ramp(1e-4, 1.0, linear=True).rates(batch_size)) == 4 * per_decade + 1


@pytest.mark.parametrize(
    ("batch_size", "share", "steps"), [(32, 0.5, 63), (256, 0.75, 16), (256, 0.1, 11)]
)
def test_a_share_of_the_steps_is_at_least_ten_a_decade(
    batch_size: int, share: float, steps: int
) -> None:
    assert len(Ramp(0.1, 1.0, share=share).rates(batch_size)) == steps


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(RampError, match=r"`share` must be above 0 and at most 1, but got"):
        Ramp(0.1, 1.0, share=share)


def test_less_than_a_decade_has_the_steps_of_one() -> None:
    assert len(Ramp(0.1, 0.2).rates(64)) == len(Ramp(0.1, 1.0).rates(64))


@examples
@given(ramp=ramps(), one=batch_sizes, other=batch_sizes)
def test_smaller_batches_never_have_fewer_steps(ramp: Ramp, one: int, other: int) -> None:
    assert len(ramp.rates(min(one, other))) >= len(ramp.rates(max(one, other)))


@pytest.mark.parametrize("batch_size", [1, 64, 8192])
def test_steps_that_are_given_are_taken_whatever_the_batch_size(batch_size: int) -> None:
    assert len(Ramp(1e-4, 1.0, steps=77).rates(batch_size)) == 77


@pytest.mark.parametrize(
    "ramp", [Ramp(), Ramp(1e-3, 0.5), Ramp(0.01, 1.0, steps=20), Ramp(0.01, 1.0, linear=True)]
)
def test_a_slower_ramp_has_the_same_ends_and_as_many_times_the_steps(ramp: Ramp) -> None:
    before, slower = ramp.rates(64), ramp.slower(batch_size=64, factor=3)
    after = slower.rates(64)
    assert (after[0], after[-1], len(after)) == (before[0], before[-1], 3 * len(before))
    assert slower.linear == ramp.linear
    assert len(slower.rates(8192)) == len(after)  # decided once


# What makes none


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.0, 1.0, "0 and 1"),
        (-0.1, 1.0, "-0.1 and 1"),
        (0.1, 0.1, "0.1 and 0.1"),
        (1.0, 0.1, "1 and 0.1"),
        (0.1, 1000.5, "0.1 and 1000.5"),
        (0.1, -1.0, "0.1 and -1"),
        (math.nan, 1.0, "nan and 1"),
        (0.1, math.nan, "0.1 and nan"),
        (0.1, math.inf, "0.1 and inf"),
        (-math.inf, 0.1, "-inf and 0.1"),
        (math.inf, math.inf, "inf and inf"),
    ],
)
def test_rates_in_no_order_are_refused_with_what_they_are(
    low: float, high: float, told: str
) -> None:
    message = f"A sweep needs 0 < low < high <= 1000, but got {told}."
    with pytest.raises(RampError, match=f"^{re.escape(message)}$"):
        Ramp(low, high)


@pytest.mark.parametrize(
    ("low", "high", "fewest"), [(0.1, 1.0, 10), (0.1, 0.2, 10), (1e-3, 1.0, 30), (1e-10, 10.0, 110)]
)
def test_too_few_steps_are_refused_with_how_many_are_needed(
    low: float, high: float, fewest: int
) -> None:
    assert len(Ramp(low, high, steps=fewest).rates(64)) == fewest
    for steps in (fewest - 1, 1, 0, -5):
        with pytest.raises(RampError) as caught:
            Ramp(low, high, steps=steps)
        assert str(caught.value) == (
            f"{steps} steps are too few from lr {low:g} to {high:g}: at least {fewest} are needed, "
            "10 a decade."
        )


def test_what_is_wrong_with_a_ramp_can_be_mended_by_the_user() -> None:
    assert issubclass(RampError, CifarSearchError)


def test_the_largest_rate_of_a_recipe_can_be_swept() -> None:
    assert Ramp(1.0, 1000.0).rates(64)[-1] == 1000.0


def test_the_smallest_number_there_is_can_be_the_first_rate() -> None:
    assert Ramp(5e-324, 1000.0).decades == pytest.approx(326.3, abs=0.1)


def test_ends_between_which_there_are_no_rates_are_refused() -> None:
    with pytest.raises(RampError):
        Ramp(1.0, math.nextafter(1.0, 2.0))
