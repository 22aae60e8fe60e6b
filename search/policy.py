"""What decides: which configuration next, and whether a trial goes on after an epoch."""

from typing import assert_never

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from search.halving import HalvingPruner, rungs_of
from search.settings import Pruner, Sampler

__all__ = ["pruner_of", "sampler_of"]

REDUCTION = 3
"""At each rung the best third goes on."""
FIRST_RUNG, FIRST_RUNG_SHARE = 2, 6
"""The first rung is after epoch 2, and in longer trials after a sixth of the epochs. On recorded curves
rungs 2 and 6 of 12 cost least of what was tried; a rung after epoch 1 stops slow starters."""


def sampler_of(name: Sampler, seed: int) -> BaseSampler:
    """A sampler for one trial.

    It is made anew for every trial, from a seed of the study's seed and the trial's number, so that a
    resumed study asks for what an undisturbed one would have asked for.
    """
    match name:
        case "tpe":
            return TPESampler(seed=seed % 2**32)
        case "random":
            return RandomSampler(seed=seed % 2**32)
        case _:
            assert_never(name)


def pruner_of(name: Pruner, epochs: int) -> BasePruner:
    """The pruner that compares trials at equal epochs, for trials of at most `epochs` epochs."""
    first_rung = max(1, min(FIRST_RUNG, epochs // 2), epochs // FIRST_RUNG_SHARE)
    match name:
        case "halving":
            return HalvingPruner(rungs_of(epochs, first_rung, REDUCTION), REDUCTION)
        case "hyperband":
            return HyperbandPruner(
                min_resource=first_rung, max_resource=epochs, reduction_factor=REDUCTION
            )
        case "median":
            return MedianPruner(n_startup_trials=5, n_warmup_steps=first_rung)
        case "none":
            return NopPruner()
        case _:
            assert_never(name)
