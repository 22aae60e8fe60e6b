"""One sweep: a copy of a training, taken upwards through the rates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from cifar_core.lr_range.ramp import Ramp
from cifar_core.trainer import Training

__all__ = ["CEILING", "CHECK_EVERY", "NEEDED_FALL", "Sweep", "is_over", "sweep"]

CHECK_EVERY = 10
CEILING = 1.25
"""Against its start: a loss above it says only "too high", however high. The cross-entropy of ten
classes starts at ln 10 = 2.3 and is back there when nothing is left of what was learned; four times the
best, as fast.ai has it, would come only at 6 and more."""
NEEDED_FALL = 0.08
"""Nats by which the loss must fall below its start for a sweep to say anything: a network that has
learned nothing of ten classes stays within some hundredths of ln 10."""


@dataclass(frozen=True)
class Sweep:
    """One sweep.

    Attributes:
        lr: The rates tried, ascending.
        loss: The training loss at each of them, before the step; shorter than `lr` if the sweep ended
            early because the loss was back at its start, far above it, or non-finite.
        epochs: What it cost, in passes over the training images.
    """

    lr: tuple[float, ...]
    loss: tuple[float, ...]
    epochs: float


def sweep(
    training: Training,
    ramp: Ramp | None = None,
    *,
    to_the_end: bool = False,
    tell: Callable[[Sequence[float]], None] = lambda _: None,
) -> Sweep:
    """Raise the learning rate step by step, from where a training stands, on a copy of it.

    The training continues afterwards as if nothing had happened: network, optimizer, order of the
    images and all random numbers are as before. A fresh training gives the rates to start with, a
    trained one those to continue with.

    Args:
        training: Its network, optimizer, batch size, augmentation, precision and device are used, its
            training images too, its rate and schedule not.
        ramp: The rates.
        to_the_end: Do not end early when the loss is back at its start or far above it.
        tell: Called with the newest ten losses, so that a curve can be shown while it grows; not with
            `to_the_end`, which reads no loss before the end.
    """
    lr = (ramp or Ramp()).rates(training.recipe.batch_size)
    losses: list[Tensor] = []
    means: list[float] = []
    for loss in training.twin().steps(lr):
        losses.append(loss)
        # Reading losses makes a GPU wait, so this is not done at every step.
        if not to_the_end and len(losses) % CHECK_EVERY == 0:
            newest = torch.stack(losses[-CHECK_EVERY:]).tolist()
            tell(newest)
            means.append(fmean(newest))
            if _are_over(means):
                break
    known = torch.stack(losses).float().cpu().numpy().astype(np.float64)
    finite = np.isfinite(known)
    end = len(known) if finite.all() else int(np.argmin(finite))
    return Sweep(lr, tuple(known[:end].tolist()), len(losses) / training.steps_per_epoch)


def is_over(losses: Sequence[float]) -> bool:
    """The last losses are far above the first ones or, after a fall, back there; or they are non-finite.

    Args:
        losses: The losses so far, a multiple of `CHECK_EVERY`.
    """
    starts = range(0, len(losses), CHECK_EVERY)
    return _are_over([fmean(losses[start : start + CHECK_EVERY]) for start in starts])


def _are_over(means: Sequence[float]) -> bool:
    """The same for losses that are means of this many each."""
    start, lowest, last = means[0], min(means), means[-1]
    fell = lowest < start - NEEDED_FALL
    # An infinite start must not make everything after it look low.
    return not (isfinite(last) and last <= (start if fell else start * CEILING))
