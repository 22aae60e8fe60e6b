"""The policy of one operation per image: what is drawn, and that it is applied."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import cifar_core.augmentation.trivial as module
from cifar_core.augmentation.assignment import apply_once
from cifar_core.augmentation.trivial import KINDS, LARGEST, trivial
from tests.cifar_core.augmentation.batches import chooser, random_images, seeded

if TYPE_CHECKING:
    from torch import Tensor


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The amounts of every batch that is made."""
    batches: list[dict[str, Tensor]] = []

    def spied(images: Tensor, amounts: dict[str, Tensor]) -> Tensor:
        batches.append(amounts)
        return apply_once(images, amounts)

    monkeypatch.setattr(module, "apply_once", spied)
    return batches


@pytest.mark.parametrize(("count", "batches"), [(1, 1500), (7, 600), (64, 200)])
def test_every_operation_is_equally_likely_whatever_the_batch_size(
    count: int, batches: int, seen: list[dict[str, Tensor]]
) -> None:
    images, generator, choices = random_images(count, 2, 2), seeded(), chooser()
    for _ in range(batches):
        trivial(images, 1.0, generator, choices)
    numbers = np.array([[len(part) for part in amounts.values()] for amounts in seen])
    numbers = np.column_stack([numbers, count - numbers.sum(1)])  # (batches, KINDS)
    expected = batches * count / KINDS
    assert numbers.min() >= 0
    assert np.abs(numbers.sum(0) - expected).max() < 5 * math.sqrt(expected)
    # Independent draws for each image, not a fixed share of each batch.
    variance = count / KINDS * (1 - 1 / KINDS)
    assert numbers.var(0) == pytest.approx(np.full(KINDS, variance), rel=0.35)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_magnitudes_are_uniform_between_minus_and_plus_strength(
    strength: float, seen: list[dict[str, Tensor]]
) -> None:
    trivial(random_images(20_000, 2, 2), strength, seeded(), chooser())
    for name, amounts in seen[0].items():
        shares = amounts / (strength * LARGEST[name])
        histogram = torch.histc(shares, 8, -1, 1)
        assert histogram.sum() == len(amounts)
        expected = len(amounts) / 8
        assert (histogram - expected).abs().max() < 5 * math.sqrt(expected)


def test_full_strength_changes_all_but_the_identitys_share() -> None:
    images = random_images(1100)
    changed = (trivial(images, 1.0, seeded(), chooser()) != images).flatten(1).any(1)
    # About 100 rows get the identity, and about an eighth of posterize's clear no bit.
    assert 930 < changed.sum() < 1040
