"""Operations for slices of a batch: each image gets its own, in its own order, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from cifar_core.augmentation.assignment import IDENTITY, apply_in_turn, apply_once
from cifar_core.augmentation.operations import OPERATIONS
from tests.cifar_core.augmentation.batches import chooser, counts, examples, random_images, seeds
from tests.cifar_core.augmentation.singles import LEVELS, operated

if TYPE_CHECKING:
    from torch import Tensor


def parts(rows: list[int], seed: int) -> dict[str, Tensor]:
    """Random amounts for so many rows of each operation."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(number, generator=generator)
        for name, number in zip(OPERATIONS, rows, strict=True)
    }


@given(
    rows=st.lists(st.integers(0, 3), min_size=len(OPERATIONS), max_size=len(OPERATIONS)),
    left=st.integers(0, 3),
    seed=seeds,
)
@examples
def test_the_first_rows_get_the_first_operation_and_the_last_none(
    rows: list[int], left: int, seed: int
) -> None:
    images = random_images(sum(rows) + left, 8, 9, seed)
    amounts = parts(rows, seed)
    result = apply_once(images, amounts)
    kinds = np.repeat(np.arange(IDENTITY + 1), [*rows, left])
    by = [*torch.cat(list(amounts.values())).tolist(), *[0.0] * left]
    for image, kind, amount, after in zip(images, kinds, by, result, strict=True):
        assert (after - operated(image, kind, amount).int()).abs().max() <= LEVELS


@given(count=counts, made=st.integers(1, 40), steps=st.integers(1, 3), seed=seeds)
@examples
def test_each_row_gets_its_operations_in_their_order(
    count: int, made: int, steps: int, seed: int
) -> None:
    images = random_images(count, 8, 9, seed)
    before = images.clone()
    choices = chooser(seed)
    sources = choices.integers(count, size=made)
    # Operations that carry a rounding difference on without enlarging it, so that it can be told.
    mild = [OPERATIONS.index(name) for name in ("rotate", "translate_y", "invert")]
    operations = choices.choice([*mild, IDENTITY], size=(steps, made))
    amounts = choices.uniform(-0.5, 0.5, size=(steps, made))
    result = apply_in_turn(images, sources, operations, amounts)
    assert torch.equal(images, before)
    for row, after in enumerate(result):
        expected = images[sources[row]]
        for kind, amount in zip(operations[:, row], amounts[:, row], strict=True):
            expected = operated(expected, kind, amount)
        assert (after - expected.int()).abs().max() <= 2
