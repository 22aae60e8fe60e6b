"""What decides: which configuration next, and whether a trial goes on after an epoch."""

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
)
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler

from search.halving import HalvingPruner, rungs_of
from search.settings import Pruner, Settings

__all__ = ["SEED", "pruner_of", "sampler_of", "seeds_of"]

SEED = "seed"
"""The name under which a grid's seeds stand among a trial's parameters."""

REDUCTION = 3
"""At each rung the best third goes on."""
FIRST_RUNG, FIRST_RUNG_SHARE = 2, 6
"""The first rung is after epoch 2, and in longer trials after a sixth of the epochs. On recorded curves
rungs 2 and 6 of 12 cost least of what was tried; a rung after epoch 1 stops slow starters."""


def sampler_of(settings: Settings, seed: int) -> BaseSampler:
    """A sampler for one trial.

    It is made anew for every trial, from a seed of the study's seed and the trial's number, so that a
    resumed study asks for what an undisturbed one would have asked for. A grid's has no use for it:
    what it asks for follows from the trial's number.
    """
    match settings.sampler:
        case "tpe":
            return TPESampler(seed=seed % 2**32)
        case "random":
            return RandomSampler(seed=seed % 2**32)
        case "grid":
            return _Grid(_all_choices(settings), seed=settings.seed % 2**32)
        case _:
            assert_never(settings.sampler)


class _Grid(GridSampler):
    """Optuna's, without its call of `Study.stop`, which only `Study.optimize` allows."""

    def after_trial(self, *_: Any) -> None:
        """The coordinator knows how many trials there are."""


def _all_choices(settings: Settings) -> Mapping[str, Sequence[bool | int | float | str]]:
    choices = {name: one.extremes() for name, one in settings.space.parameters.items()}
    return {**choices, SEED: list(seeds_of(settings))}


def seeds_of(settings: Settings) -> range:
    """The seeds over which each cell of a grid is trained."""
    return range(settings.seed, settings.seed + (settings.seeds or 0))


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
