"""AugMix: chains as drawn, blended as weighed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cifar_core.augmentation.assignment import IDENTITY
from cifar_core.augmentation.augmix import CHAINS, LENGTH, RANGES, _drawn, _weights, augmix
from cifar_core.augmentation.operations import OPERATIONS
from cifar_core.augmentation.shifts import whole_pixels
from tests.cifar_core.augmentation.batches import (
    chooser,
    counts,
    examples,
    random_images,
    seeds,
    sides,
)
from tests.cifar_core.augmentation.singles import operated


def test_no_operation_is_one_that_robustness_is_tested_by() -> None:
    assert not set(RANGES) & {"brightness", "contrast", "saturation", "sharpness"}


def test_operations_and_lengths_are_equally_likely() -> None:
    operations, _ = _drawn(30_000, 1.0, chooser())
    present = operations != IDENTITY
    lengths = np.bincount(present.sum(0), minlength=LENGTH + 1)
    assert lengths[0] == 0
    assert np.abs(lengths[1:] - 30_000).max() < 5 * math.sqrt(30_000)
    assert (np.diff(present.astype(int), axis=0) <= 0).all()  # no gaps in a chain
    numbers = np.bincount(operations[present], minlength=IDENTITY)
    used = [OPERATIONS.index(name) for name in RANGES]
    expected = present.sum() / len(RANGES)
    assert np.abs(numbers[used] - expected).max() < 5 * math.sqrt(expected)
    assert numbers.sum() == numbers[used].sum()


@pytest.mark.parametrize("strength", [0.2, 1.0])
def test_amounts_are_uniform_up_to_severity_three_in_ten(strength: float) -> None:
    operations, amounts = _drawn(30_000, strength, chooser())
    sizes, largest = np.abs(amounts) / strength, {"rotate": 9.0, "shear_x": 0.09, "solarize": 76.8}
    for name, high in largest.items():
        here = sizes[operations == OPERATIONS.index(name)] / high
        assert (here.min(), here.max()) == (
            pytest.approx(1 / 30, abs=0.01),
            pytest.approx(1, abs=0.01),
        )
        assert np.median(here) == pytest.approx((1 / 30 + 1) / 2, abs=0.02)
    bits = np.abs(amounts[operations == OPERATIONS.index("posterize")])
    assert set(bits.tolist()) == ({4.0, 5.0} if strength == 1.0 else {0.0, 1.0})
    turns = amounts[operations == OPERATIONS.index("rotate")]
    assert (turns > 0).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("strength", [0.2, 1.0])
def test_weights_add_up_to_one_and_the_chains_share_is_uniform_up_to_strength(
    strength: float,
) -> None:
    weights = _weights(20_000, strength, chooser())[..., 0, 0, 0]
    assert weights.shape == (1 + CHAINS, 20_000)
    assert np.abs(weights.sum(0) - 1).max() < 1e-6
    assert weights.min() > -1e-6
    shares = (1 - weights[0]) / strength
    histogram, _ = np.histogram(shares, 8, (0, 1.000001))
    assert np.abs(histogram - 2500).max() < 5 * math.sqrt(2500)
    # Dirichlet(1, 1, 1): each part has mean 1/3 and variance 1/18.
    parts = weights[1:] / (1 - weights[0]).clip(1e-4)
    assert parts.mean(1) == pytest.approx(np.full(CHAINS, 1 / 3), abs=0.01)
    assert parts.var(1) == pytest.approx(np.full(CHAINS, 1 / 18), abs=0.003)


@given(count=counts, height=sides, width=sides, seed=seeds, strength=st.floats(0.05, 1))
@examples
def test_an_image_is_the_weighted_sum_of_itself_and_its_chains(
    count: int, height: int, width: int, seed: int, strength: float
) -> None:
    images = random_images(count, height, width, seed)
    result = augmix(images, strength, None, chooser(seed))
    choices = chooser(seed)
    operations, amounts = _drawn(count, strength, choices)
    amounts = whole_pixels(operations, amounts, height, width)
    weights = _weights(count, strength, choices)[..., 0, 0, 0]
    for row, after in enumerate(result):
        expected = images[row] * weights[0, row]
        for chain in range(CHAINS):
            image, column = images[row], chain * count + row
            for kind, amount in zip(operations[:, column], amounts[:, column], strict=True):
                image = operated(image, kind, amount)
            expected += image * weights[1 + chain, row]
        # A level rounded differently early in a chain can be more than one at its end.
        assert ((after - expected).abs() > 1.1).double().mean() <= 0.02


def test_chains_of_hardly_any_weight_leave_the_exact_image() -> None:
    images = torch.arange(256, dtype=torch.uint8).repeat_interleave(3 * 64).view(256, 3, 8, 8)
    result = augmix(images, 1e-6, None, chooser())
    assert torch.equal(result, images)
