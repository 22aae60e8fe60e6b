"""What every policy promises, and the share of the images that gets one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cifar_core.augmentation.policies import POLICIES, policy
from cifar_core.recipe import Augmentation
from tests.cifar_core.augmentation.batches import (
    chooser,
    counts,
    examples,
    random_images,
    seeded,
    seeds,
    sides,
)

if TYPE_CHECKING:
    from torch import Tensor

every_policy = pytest.mark.parametrize("name", POLICIES)


def test_the_record_names_exactly_the_policies() -> None:
    assert set(get_args(Augmentation.model_fields["policy"].annotation)) == set(POLICIES)


@every_policy
@pytest.mark.parametrize(("strength", "probability"), [(0.0, 1.0), (1.0, 0.0)])
def test_strength_or_probability_zero_returns_the_same_tensor_and_draws_nothing(
    name: str, strength: float, probability: float
) -> None:
    images, generator, choices = random_images(7), seeded(), chooser()
    assert policy(images, name, strength, probability, generator, choices) is images
    assert torch.equal(generator.get_state(), seeded().get_state())
    assert choices.bit_generator.state == chooser().bit_generator.state


@every_policy
def test_a_small_strength_changes_little(name: str) -> None:
    images = random_images(200)
    result = policy(images, name, 1e-4, 1.0, seeded(), chooser())
    changed = (result.int() - images).abs()
    # `auto` still equalizes a ten-thousandth as often.
    assert (changed.flatten(1).amax(1) > 1).sum() <= 1
    assert changed.double().mean() < 0.5


@every_policy
@given(seed=seeds)
@examples
def test_more_strength_changes_more(name: str, seed: int) -> None:
    images = random_images(300, 12, 12, seed)
    changes = [
        (policy(images, name, strength, 1.0, seeded(seed), chooser(seed)).int() - images)
        .abs()
        .double()
        .mean()
        for strength in (0.05, 0.3, 1.0)
    ]
    assert changes[0] < changes[1] < changes[2]


@every_policy
@given(count=counts, height=sides, width=sides, seed=seeds, probability=st.floats(0.01, 0.99))
@examples
def test_the_images_that_are_not_drawn_stay_bit_identical(
    name: str, count: int, height: int, width: int, seed: int, probability: float
) -> None:
    images = random_images(count, height, width, seed)
    treated = int(chooser(seed).binomial(count, probability))
    result = policy(images, name, 1.0, probability, seeded(seed), chooser(seed))
    assert torch.equal(result[treated:], images[treated:])


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.9, 1.0])
def test_the_number_of_images_that_get_a_policy_is_binomial(
    probability: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inverted(images: Tensor, *_: object) -> Tensor:
        return 255 - images

    monkeypatch.setitem(POLICIES, "inverted", inverted)
    images, choices, batches = torch.zeros(6, 3, 1, 1, dtype=torch.uint8), chooser(), 4000
    seen = np.zeros(7)
    for _ in range(batches):
        result = policy(images, "inverted", 1.0, probability, None, choices)
        changed = (result == 255).all(1).flatten().tolist()
        assert changed == sorted(changed, reverse=True)
        seen[sum(changed)] += 1
    for number, times in enumerate(seen):
        chance = math.comb(6, number) * probability**number * (1 - probability) ** (6 - number)
        spread = math.sqrt(batches * chance * (1 - chance))
        assert abs(times - batches * chance) <= 5 * spread + 1e-9
