"""Small trainings for tests: a clock that stands still, and comparison to the bit."""

from dataclasses import asdict

import torch
from torch.utils._pytree import tree_flatten

from cifar_core.data.resident import Splits
from cifar_core.recipe import Augmentation, Net, Recipe
from cifar_core.trainer import Training

EVERYTHING = Recipe(
    network=Net(batch_norm=True, dropout=0.2, init="kaiming"),
    batch_size=32,
    epochs=3,
    augmentation=Augmentation(flip=0.5, crop_padding=2, cutout=8, strength=0.7),
    label_smoothing=0.1,
    normalization="standard",
)
"""A recipe in which everything that can be switched on draws random numbers or keeps a state."""


def begin(recipe: Recipe, splits: Splits, seed: int = 0) -> Training:
    """A training on the CPU whose epochs take no time, so that equal ones are equal in all fields."""
    return Training(recipe, splits, seed=seed, device=torch.device("cpu"), clock=lambda: 0.0)


def finished(recipe: Recipe, splits: Splits, seed: int = 0) -> Training:
    """The same, trained to its end."""
    training = begin(recipe, splits, seed)
    for _ in training.epochs():
        pass
    return training


def same(one: object, other: object) -> bool:
    """Two nested states are equal: structure, plain values, and every bit of every tensor."""
    leaves, structure = tree_flatten(one)
    others, other_structure = tree_flatten(other)
    if structure != other_structure:
        return False
    return all(
        torch.equal(a, b) and a.dtype == b.dtype if isinstance(a, torch.Tensor) else a == b
        for a, b in zip(leaves, others, strict=True)
    )


def alike(one: Training, other: Training) -> bool:
    """Two trainings stand at the same point: weights, optimizer, random numbers, history."""
    histories = [[asdict(epoch) for epoch in each.history] for each in (one, other)]
    return same(one.state_dict(), other.state_dict()) and same(*histories)
