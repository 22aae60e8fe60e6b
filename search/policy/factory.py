"""Which sampler and which policy the names of a study's settings stand for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, assert_never

import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
)
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial

from cifar_core.epoch_cost import image_cost
from cifar_core.errors import RecipeError
from cifar_core.seeds import derive
from search.policy.base import Policy
from search.policy.beside.thinking import Beside
from search.policy.freeze_thaw import FreezeThaw
from search.policy.joint_tpe import JointTPESampler
from search.policy.knowledge import NOTHING, Knowledge
from search.policy.members import EpochCost
from search.policy.model.encoding import NO_ZEROS
from search.policy.optuna_policy import OptunaPolicy
from search.policy.promotion import Promotion
from search.policy.rungs import RungSystem, rungs_of
from search.policy.successive_halving import HalvingPruner
from search.study import attributes
from search.study.settings import OptunaPruner, Settings
from spaces.space import Space

__all__ = [
    "SEED",
    "alternating",
    "default_policy",
    "epoch_cost_of",
    "ladder_of",
    "policy_of",
    "promotion_policy",
    "pruner_of",
    "sampler_of",
    "seeds_of",
]

SEED = "seed"
"""The name under which a grid's seeds stand among a trial's parameters."""

REDUCTION = 3
"""Ratio of each rung to the one before; where trials are stopped for good, the best third continues."""
PROMOTED, SCREENED = 2, 8
"""Trials at a rung of which one is promoted, and the same at the first rung while more are started."""
FIRST_OF = 18
"""Trials first wait after an eighteenth of their epochs: where they can continue later, an early look
costs little."""
RANDOM_EVERY = 2
"""Every other configuration is drawn at random. TPE by itself sometimes keeps to a wrong region for good,
the more so when most of what it sees are early scores; so neither can cost much more than twice what the
better one would."""
FIRST_RUNG, FIRST_RUNG_SHARE = 2, 6
"""Pruners that stop trials for good look first after epoch 2, and in longer trials after a sixth of the
epochs:
a rung after epoch 1 stops slow starters."""


def sampler_of(settings: Settings, seed: int) -> BaseSampler:
    """A sampler for one trial.

    It is made anew for every trial, from a seed of the study's seed and the trial's number, so that a
    resumed study asks for what an undisturbed one would have asked for. A grid's has no use for it:
    what it asks for follows from the trial's number.
    """
    match settings.sampler:
        case "tpe":
            return TPESampler(seed=seed % 2**32)
        case "random" | "model":  # the model's own policy asks for what a given trial lacks
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


def promotion_policy(
    study: optuna.Study,
    *,
    epochs: int,
    seed: int,
    sampler: Literal["tpe", "random"] = "tpe",
    exempt: Callable[[FrozenTrial], bool] = lambda _trial: False,
) -> Promotion:
    """Promote trials from rung to rung; every other configuration is random.

    Args:
        study: Where trials are written.
        epochs: Of a trial that is trained to its end.
        seed: Random seed.
        sampler: How the other configurations are chosen.
        exempt: Whether a trial is trained to its end whatever it is worth.
    """
    learning = RandomSampler if sampler == "random" else JointTPESampler
    return Promotion(study, alternating(seed, learning), ladder_of(epochs), exempt=exempt)


def alternating(
    seed: int,
    learning: Callable[[int], BaseSampler],
    other: Callable[[int], BaseSampler] = RandomSampler,
) -> Callable[[int], BaseSampler]:
    """The samplers of a study's trials, by number: every other one does not learn.

    Args:
        seed: The study's.
        learning: Makes a sampler that learns, from a seed.
        other: The same for one that doesn't.
    """

    def sampler(number: int) -> BaseSampler:
        make = other if number % RANDOM_EVERY == RANDOM_EVERY - 1 else learning
        return make(derive(seed, "sampler", number) % 2**32)

    return sampler


def ladder_of(epochs: int) -> RungSystem:
    """Return the rungs of `promotion_policy` for trials of `epochs` epochs."""
    rungs = rungs_of(epochs, max(1, round(epochs / FIRST_OF)), REDUCTION)
    nearly_done = bool(rungs) and 2 * rungs[-1] > epochs
    return RungSystem(rungs, PROMOTED, screen=SCREENED, finish=nearly_done)


def default_policy(
    study: optuna.Study,
    *,
    choose: Callable[[Trial], object],
    epochs: int,
    seed: int,
    trials: int | None = None,
    knowledge: Knowledge = NOTHING,
    exempt: Callable[[FrozenTrial], bool] = lambda _trial: False,
    epoch_cost: EpochCost | None = None,
    seconds_left: Callable[[], float | None] = lambda: None,
    say: Callable[[str], None] = lambda _notice: None,
    zero_below: Mapping[str, float] = NO_ZEROS,
    beside: Beside | None = None,
) -> FreezeThaw:
    """Return the policy of a search that asks for no other; see `FreezeThaw` for the arguments."""
    return FreezeThaw(
        study,
        choose,
        epochs=epochs,
        seed=seed,
        trials=trials,
        knowledge=knowledge,
        exempt=exempt,
        epoch_cost=epoch_cost,
        seconds_left=seconds_left,
        say=say,
        zero_below=zero_below,
        beside=beside,
    )


def policy_of(
    settings: Settings,
    study: optuna.Study,
    *,
    space: Space | None = None,
    trials: int | None = None,
    knowledge: Knowledge = NOTHING,
    seconds_left: Callable[[], float | None] = lambda: None,
    say: Callable[[str], None] = lambda _notice: None,
    beside: Beside | None = None,
) -> Policy:
    """Return what decides in this study.

    The known configurations are trained to their end whatever they are worth: gains are measured against
    them.

    Args:
        settings: Of the study.
        study: Where its trials are written.
        space: Its space with the learning-rate bounds it is searched in; by default that of the settings.
        trials: Trials in all; None where nothing but a stop ends the search.
        knowledge: What the search knows before its first trial; only a model has a use for it.
        seconds_left: Seconds until the search must end; None where there is no such limit.
        say: Told, in a sentence, when a model cannot be fitted.
        beside: Finds a model's choices while this goes on, where many trials run.
    """

    def sampler(number: int) -> BaseSampler:
        return sampler_of(settings, derive(settings.seed, "sampler", number))

    epochs = settings.space.epochs
    match settings.pruner:
        case "freeze-thaw":
            return default_policy(
                study,
                choose=(space or settings.space).suggest,
                epochs=epochs,
                seed=settings.seed,
                trials=trials,
                knowledge=knowledge,
                exempt=_is_known,
                epoch_cost=epoch_cost_of(space or settings.space),
                seconds_left=seconds_left,
                say=say,
                zero_below=(space or settings.space).zero_below,
                beside=beside,
            )
        case "promotion":
            learning: Literal["tpe", "random"] = "random" if settings.sampler == "random" else "tpe"
            return promotion_policy(
                study, epochs=epochs, seed=settings.seed, sampler=learning, exempt=_is_known
            )
        case _:
            pruner = pruner_of(settings.pruner, epochs)
            return OptunaPolicy(study, sampler, pruner, exempt=_is_known)


def epoch_cost_of(space: Space) -> EpochCost:
    """Return what an epoch of a trial costs by its recipe, whatever a clock measures."""

    def cost(trial: FrozenTrial) -> float | None:
        try:
            return image_cost(space.recipe_of(space.values_of(trial.params)))
        except RecipeError:  # such a trial fails before it is trained
            return None

    return cost


def _is_known(trial: Trial | FrozenTrial) -> bool:
    return attributes.KNOWN in trial.user_attrs


def first_rung_of(epochs: int) -> int:
    """The epoch behind which pruners that stop trials for good look first."""
    return max(1, min(FIRST_RUNG, epochs // 2), epochs // FIRST_RUNG_SHARE)


def pruner_of(name: OptunaPruner, epochs: int) -> BasePruner:
    """The pruner that compares trials at equal epochs, for trials of at most `epochs` epochs."""
    first_rung = first_rung_of(epochs)
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
