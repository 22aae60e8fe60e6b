"""The learning-rate range test: one sweep upwards through the rates, and what it says about bounds.

The rate rises exponentially, step by step, on the training part (Smith 2015, arXiv 1506.01186,
section 3.3), and the loss of each step is kept. A sweep trains a network of its own; nothing of the
caller's, random numbers included, is changed by it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cifar_core.data.resident import Normalization, Splits, training_batches
from cifar_core.device import backend_of
from cifar_core.optimizers import optimizer_of
from cifar_core.random_state import RandomState
from cifar_core.recipe import Recipe
from cifar_core.seeds import derive
from cifar_core.trainer import new_network, set_lr, train_step

__all__ = ["Finding", "Sweep", "find_bounds", "rates", "sweep"]

LOWEST, HIGHEST = 1e-5, 10.0
STEPS_PER_DECADE = 30
WINDOW = 0.12
"""Standard deviation, in decades, of the centred smoothing window: no lag in log lr, unlike an
exponential moving average, which moves the curve to the right."""
NEEDED_FALL = 0.08
"""Nats by which the loss must fall below its start for the sweep to say anything: a network that has
learned nothing of ten classes stays within some hundredths of ln 10."""
BELOW_MINIMUM, ABOVE_MINIMUM, SUGGESTED = 1 / 10, 3.0, 1 / 3
"""Bounds and starting point as multiples of the rate at the loss's minimum. In short trainings of this
kind of network the best rate lay within these bounds in all cells tried."""
CHECK_EVERY = 10

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sweep:
    """One sweep.

    Attributes:
        lr: The rates tried, ascending.
        loss: The training loss at each of them, before the step; shorter than `lr` if the sweep ended
            early because the loss had left its start behind upwards, or was no number any more.
        pictures: Training pictures used.
    """

    lr: tuple[float, ...]
    loss: tuple[float, ...]
    pictures: int


@dataclass(frozen=True)
class Finding:
    """What one or several sweeps of the same recipe say.

    Attributes:
        lr: The rates tried, ascending.
        loss: Median loss over the sweeps at each rate.
        smoothed: `loss`, smoothed by a centred window in log lr.
        steepest: The rate of the steepest fall, or None where there is no conclusion.
        minimum: The rate of the lowest smoothed loss, or None.
        divergence: The rate above the minimum at which the loss is back at its start, or None.
        low: Lower bound for a search, or None.
        high: Upper bound for a search, or None.
        suggested: A rate to start with, or None.
        reason: Why there is no conclusion, in a sentence; None if there is one.
    """

    lr: tuple[float, ...]
    loss: tuple[float, ...]
    smoothed: tuple[float, ...]
    steepest: float | None = None
    minimum: float | None = None
    divergence: float | None = None
    low: float | None = None
    high: float | None = None
    suggested: float | None = None
    reason: str | None = None

    @property
    def conclusive(self) -> bool:
        """The sweeps say where to search."""
        return self.reason is None


def rates(low: float = LOWEST, high: float = HIGHEST) -> tuple[float, ...]:
    """The rates of a sweep: evenly spaced in log lr, both ends included.

    >>> [round(rate, 4) for rate in rates(0.1, 1.0)[::10]]
    [0.1, 0.2154, 0.4642, 1.0]
    """
    steps = round(math.log10(high / low) * STEPS_PER_DECADE) + 1
    return tuple(np.geomspace(low, high, steps).tolist())


def sweep(
    recipe: Recipe,
    splits: Splits,
    *,
    seed: int,
    device: torch.device,
    low: float = LOWEST,
    high: float = HIGHEST,
) -> Sweep:
    """Raise the learning rate of a fresh network from `low` to `high`, a step at a time.

    Args:
        recipe: Network, optimizer, batch size, augmentation; its rate and schedule are not used.
        splits: The pictures; only the training part is used.
        seed: Decides initial weights, order, augmentation and dropout.
        device: Where to train.
        low: First rate, above 0.
        high: Last rate, above `low`.
    """
    lr = rates(low, high)
    backend = backend_of(recipe, device)
    splits = splits.to(device)
    random = RandomState(seed, device)
    losses: list[Tensor] = []
    with random.active():
        normalize = Normalization.of(recipe, splits)
        network = new_network(recipe, splits, normalize, backend).train()
        optimizer = optimizer_of(recipe, network.parameters())
        choices = np.random.default_rng(derive(seed, "choices"))
        batches = _endless(recipe, splits, normalize, random.generator, choices)
        for step, (rate, (images, labels)) in enumerate(zip(lr, batches, strict=False)):
            set_lr(optimizer, rate)
            loss, _ = train_step(
                network, optimizer, images, labels, recipe.label_smoothing, backend
            )
            losses.append(loss)
            # Reading losses makes a GPU wait, so this is not done at every step.
            if step % CHECK_EVERY == CHECK_EVERY - 1 and _is_over(losses):
                break
    known = torch.stack(losses).float().cpu().numpy().astype(np.float64)
    finite = np.isfinite(known)
    end = len(known) if finite.all() else int(np.argmin(finite))
    pictures = len(losses) * min(recipe.batch_size, len(splits.train))
    return Sweep(lr, tuple(known[:end].tolist()), pictures)


def find_bounds(sweeps: Sequence[Sweep]) -> Finding:
    """Bounds for a search, from sweeps of one recipe over several seeds.

    Args:
        sweeps: At least one; all over the same rates.
    """
    lr = np.array(sweeps[0].lr)
    start = float(
        np.median([loss for one in sweeps for loss in one.loss[:CHECK_EVERY]] or [np.nan])
    )
    if not math.isfinite(start):
        blank = (math.nan,) * len(lr)
        return Finding(sweeps[0].lr, blank, blank, reason="The loss was no number from the start.")
    # Above its start a loss says only "too high", however high; where a sweep had ended, likewise.
    ceiling = start * 1.25
    curves = np.full((len(sweeps), len(lr)), ceiling)
    for row, one in zip(curves, sweeps, strict=True):
        row[: len(one.loss)] = np.fmin(one.loss, ceiling)
    loss = np.median(curves, axis=0)
    smoothed = _smooth(np.log10(lr), loss)
    finding = Finding(sweeps[0].lr, tuple(loss.tolist()), tuple(smoothed.tolist()))
    bottom = int(np.argmin(smoothed))
    fall = start - float(smoothed[bottom])
    if fall < NEEDED_FALL:
        reason = (
            f"The loss hardly fell: from {start:.3f} by {max(fall, 0.0):.3f} between lr {lr[0]:.0e} "
            f"and {lr[-1]:.0e}, where at least {NEEDED_FALL} are needed to tell a good rate."
        )
        return Finding(finding.lr, finding.loss, finding.smoothed, reason=reason)
    slope = np.gradient(smoothed[: bottom + 1], np.log10(lr[: bottom + 1])) if bottom else [0.0]
    above = np.flatnonzero(smoothed[bottom:] >= start)
    divergence = float(lr[bottom + above[0]]) if len(above) else None
    minimum = float(lr[bottom])
    return Finding(
        finding.lr,
        finding.loss,
        finding.smoothed,
        steepest=float(lr[int(np.argmin(slope))]),
        minimum=minimum,
        divergence=divergence,
        low=minimum * BELOW_MINIMUM,
        # What lies above the sweep was not measured.
        high=min(minimum * ABOVE_MINIMUM, divergence or math.inf, float(lr[-1])),
        suggested=minimum * SUGGESTED,
    )


def _endless(
    recipe: Recipe,
    splits: Splits,
    normalize: Normalization,
    generator: torch.Generator,
    choices: np.random.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    size, augmentation = recipe.batch_size, recipe.augmentation
    while True:
        yield from training_batches(splits.train, size, augmentation, normalize, generator, choices)


def _is_over(losses: Sequence[Tensor]) -> bool:
    """The last losses are far above the first ones, or no numbers; `not <=` catches both."""
    first = torch.stack(list(losses[:CHECK_EVERY])).median()
    last = torch.stack(list(losses[-CHECK_EVERY:])).mean()
    return len(losses) > CHECK_EVERY and not bool(last <= first * 1.25)


def _smooth(x: Curve, y: Curve) -> Curve:
    """A Gaussian mean around each point; at the ends over the side that there is."""
    weight = np.exp(-0.5 * ((x[:, None] - x[None, :]) / WINDOW) ** 2)  # (points, points)
    smoothed: Curve = weight @ y / weight.sum(axis=1)
    return smoothed
