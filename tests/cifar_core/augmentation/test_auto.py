"""AutoAugment's policy: the published pairs, and that images get them as drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

from cifar_core.augmentation.assignment import IDENTITY
from cifar_core.augmentation.auto import PAIRS, Step, _drawn, auto
from cifar_core.augmentation.operations import FIXED, OPERATIONS
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

TORCHVISION = AutoAugment(AutoAugmentPolicy.CIFAR10)
NAMES = {
    "Rotate": "rotate",
    "ShearX": "shear_x",
    "ShearY": "shear_y",
    "TranslateX": "translate_x",
    "TranslateY": "translate_y",
    "Brightness": "brightness",
    "Color": "saturation",
    "Contrast": "contrast",
    "Sharpness": "sharpness",
    "Posterize": "posterize",
    "Solarize": "solarize",
    "AutoContrast": "autocontrast",
    "Equalize": "equalize",
    "Invert": "invert",
}


def test_the_pairs_are_torchvisions() -> None:
    theirs = tuple(
        tuple(Step(NAMES[name], probability, level or 0) for name, probability, level in pair)
        for pair in TORCHVISION.policies
    )
    assert theirs == PAIRS


def in_torchvisions_unit(step: Step, side: int) -> float:
    """The amount at full strength as torchvision gives it for images of that side."""
    match step.operation:
        case "translate_x" | "translate_y":
            return int(step.amount * side)
        case "posterize":
            return 8 - round(step.amount)
        case "solarize":
            return 256 - step.amount
    return step.amount


@pytest.mark.parametrize("step", sorted({step for pair in PAIRS for step in pair}))
def test_a_magnitude_means_what_it_means_in_torchvision(step: Step) -> None:
    space = TORCHVISION._augmentation_space(10, (32, 32))
    magnitudes, _ = space[{ours: theirs for theirs, ours in NAMES.items()}[step.operation]]
    if step.operation in FIXED:
        assert magnitudes.ndim == 0
        return
    expected = float(magnitudes[step.level])
    if step.operation.startswith("translate"):
        expected = int(expected)
    assert in_torchvisions_unit(step, 32) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_pairs_are_equally_likely_and_their_operations_applied_as_often_as_they_say(
    strength: float,
) -> None:
    count = 400_000
    operations, _ = _drawn(count, strength, chooser())
    expected: Counter[tuple[int, int]] = Counter()
    for first, second in PAIRS:
        for kind, share in outcomes(first, strength):
            for other, rest in outcomes(second, strength):
                expected[kind, other] += share * rest / len(PAIRS)  # type: ignore[assignment]
    seen = Counter(zip(*operations.tolist(), strict=True))
    assert set(seen) <= {cell for cell, chance in expected.items() if chance}
    for cell, chance in expected.items():
        assert abs(seen[cell] - count * chance) <= 5 * np.sqrt(count * chance), cell


def outcomes(step: Step, strength: float) -> list[tuple[int, float]]:
    """Operations that a step can come to, and how likely they are."""
    chance = step.probability * (strength if step.operation in FIXED else 1.0)
    return [(OPERATIONS.index(step.operation), chance), (IDENTITY, 1 - chance)]


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_amounts_are_the_published_ones_times_strength_with_either_sign(strength: float) -> None:
    operations, amounts = _drawn(200_000, strength, chooser())
    for place in range(2):
        allowed = {
            (OPERATIONS.index(pair[place].operation), round(strength * pair[place].amount, 9))
            for pair in PAIRS
        }
        kinds, sizes = operations[place], amounts[place]
        used = kinds != IDENTITY
        pairs = zip(kinds[used].tolist(), np.abs(sizes[used]).round(9).tolist(), strict=True)
        assert set(pairs) <= allowed
        signed = sizes[used & (sizes != 0)]
        assert (signed > 0).mean() == pytest.approx(0.5, abs=0.01)


@given(count=counts, height=sides, width=sides, seed=seeds, strength=st.floats(0.1, 1))
@examples
def test_each_image_gets_its_pair_in_order(
    count: int, height: int, width: int, seed: int, strength: float
) -> None:
    images = random_images(count, height, width, seed)
    result = auto(images, strength, None, chooser(seed))
    operations, amounts = _drawn(count, strength, chooser(seed))
    amounts = whole_pixels(operations, amounts, height, width)
    assert (np.diff(operations[0]) >= 0).all()
    for row, after in enumerate(result):
        expected = images[row]
        for kind, amount in zip(operations[:, row], amounts[:, row], strict=True):
            expected = operated(expected, kind, amount)
        # A level rounded differently in the first operation can be two or more after the second.
        assert ((after - expected.int()).abs() > 2).double().mean() <= 0.02


@given(amount=st.floats(-1, 1), height=st.integers(1, 40), width=st.integers(1, 40))
@examples
def test_only_translations_are_cut_down_to_whole_pixels(
    amount: float, height: int, width: int
) -> None:
    kinds = np.arange(IDENTITY + 1)
    result = whole_pixels(kinds, np.full(IDENTITY + 1, amount), height, width)
    for kind, after in zip(kinds, result, strict=True):
        name = "identity" if kind == IDENTITY else OPERATIONS[kind]
        side = {"translate_x": width, "translate_y": height}.get(name)
        assert after == (amount if side is None else int(amount * side) / side)
