"""Speed of a recipe on a device: images/s in training and in evaluation."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat

import torch
from torch import Tensor

from cifar_core.data.resident import Part, Splits
from cifar_core.device import wait_for
from cifar_core.recipe import Recipe
from cifar_core.trainer import Clock, Training

__all__ = ["Throughput", "measure_throughput"]

WARM_UP = 0.5
"""Seconds of training before those that count: memory is taken, kernels are chosen, others start."""
MOST_STEPS_BETWEEN_LOOKS = 16
"""A look at the clock makes a GPU wait, so it is taken ever more rarely, to this end; where a step takes
long, not much more is trained than was asked for."""
SCORED_IMAGES = 2_500


@dataclass(frozen=True)
class Throughput:
    """The speed of one training.

    Attributes:
        training: Images/s in training, augmentation included; above 0.
        evaluation: Images/s without gradients, as validation has it; above 0.
    """

    training: float
    evaluation: float


def measure_throughput(
    recipe: Recipe,
    splits: Splits,
    device: torch.device,
    seconds: float,
    *,
    clock: Clock = time.perf_counter,
    wait: Callable[[torch.device], None] = wait_for,
) -> Throughput:
    """Train a fresh network for some seconds, score some images, and throw it away.

    Args:
        recipe: What to train.
        splits: The images.
        device: Where to train.
        seconds: How long to train at least, after the warm-up; above 0.
        clock: Seconds, from any start.
        wait: Waits until a device has done its work.
    """
    # What the images and the network hold has no influence on the speed, so any seed will do.
    training = Training(recipe, splits, seed=0, device=device)
    steps = training.steps(repeat(recipe.optimizer.lr))
    batch = min(recipe.batch_size, len(splits.train))

    def now() -> float:
        wait(device)
        return clock()

    _steps_per_second(steps, WARM_UP, now)
    rate = batch * _steps_per_second(steps, seconds, now)
    part = Part(
        splits.validation.images[:SCORED_IMAGES], splits.validation.labels[:SCORED_IMAGES]
    ).to(device)
    training.evaluate(part)
    began = now()
    training.evaluate(part)
    return Throughput(training=rate, evaluation=len(part) / max(now() - began, 1e-9))


def _steps_per_second(steps: Iterator[Tensor], seconds: float, now: Callable[[], float]) -> float:
    """Take steps for at least `seconds`."""
    taken, next_ones, began = 0, 1, now()
    while True:
        for _ in islice(steps, next_ones):
            taken += 1
        next_ones = min(2 * next_ones, MOST_STEPS_BETWEEN_LOOKS)
        elapsed = now() - began
        if elapsed >= seconds:
            return taken / max(elapsed, 1e-9)
