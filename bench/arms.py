"""The policies that the benchmarks of searches compare."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Protocol

import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from search.policy import OptunaPolicy, Policy, Promotion
from search.policy.factory import (
    alternating,
    default_policy,
    ladder_of,
    promotion_policy,
    pruner_of,
)
from search.policy.joint_tpe import JointTPESampler
from search.policy.simulation import Curve
from spaces.space import Space

__all__ = ["ARMS", "COMMON", "Trainer", "left_out"]


class Trainer(Protocol):
    """What stands in for training, or trains: see `bench.surrogate` and `bench.live`."""

    @property
    def epochs(self) -> int:
        """Of a training."""

    @property
    def space(self) -> Space:
        """What it trains configurations of."""

    def train(self, values: Mapping[str, Any]) -> Curve:
        """The validation accuracy after each epoch."""

    def seconds(self, values: Mapping[str, Any]) -> float:
        """Seconds of the last epoch of a configuration."""

    def check(self, values: Mapping[str, Any]) -> float:
        """Accuracy of a complete trial on images that no score was taken on."""


Make = Callable[[optuna.Study, int, Trainer], Policy]


def optunas(sampler: Callable[[int], BaseSampler], pruner: Callable[[int], BasePruner]) -> Make:
    """Optuna's own, as its users have it: one sampler for the whole study."""

    def make(study: optuna.Study, seed: int, trainer: Trainer) -> Policy:
        one = sampler(seed)
        return OptunaPolicy(study, lambda _number: one, pruner(trainer.epochs))

    return make


def random(seed: int) -> BaseSampler:
    """Optuna's random sampler."""
    return RandomSampler(seed=seed)


def tpe(seed: int) -> BaseSampler:
    """Optuna's default sampler."""
    return TPESampler(seed=seed)


def qmc(seed: int) -> BaseSampler:
    """Quasi-random: Sobol's sequence, scrambled."""
    return QMCSampler(seed=seed, scramble=True)


def gp(seed: int) -> BaseSampler:
    """A Gaussian process, of what is chosen in every trial; the rest at random."""
    return GPSampler(seed=seed)


def cma_es(seed: int) -> BaseSampler:
    """A normal distribution that evolves, of what is chosen in every trial; needs an optional package."""
    return CmaEsSampler(seed=seed)


def sha(_epochs: int) -> BasePruner:
    """Successive halving that stops, first behind epoch 2, and lets a third go on."""
    return SuccessiveHalvingPruner(min_resource=2, reduction_factor=3)


def none(_epochs: int) -> BasePruner:
    """Every trial is trained to its end."""
    return NopPruner()


def ray_tune(study: optuna.Study, seed: int, trainer: Trainer) -> Policy:
    """Ray Tune's own classes."""
    from bench.ray_tune import RayTune  # an optional package

    return RayTune(study, trainer.space.suggest, epochs=trainer.epochs, seed=seed)


def ours(study: optuna.Study, seed: int, trainer: Trainer) -> Policy:
    """What `cifar-search start` does."""
    choose = trainer.space.suggest
    return default_policy(study, choose=choose, epochs=trainer.epochs, seed=seed)


def promotion(study: optuna.Study, seed: int, trainer: Trainer) -> Policy:
    """`--pruner promotion`: every other configuration by TPE, promoted from rung to rung."""
    return promotion_policy(study, epochs=trainer.epochs, seed=seed)


def promotion_random(study: optuna.Study, seed: int, trainer: Trainer) -> Policy:
    """The same with random configurations."""
    return promotion_policy(study, epochs=trainer.epochs, seed=seed, sampler="random")


def ours_with(
    learning: Callable[[int], BaseSampler], other: Callable[[int], BaseSampler] = random
) -> Make:
    """Ours with another sampler in TPE's place, made anew for each trial, or in that of the random one."""

    def make(study: optuna.Study, seed: int, trainer: Trainer) -> Policy:
        others = other(seed)  # a sequence is one for the whole study
        samplers = alternating(seed, learning, lambda _own: others)
        return Promotion(study, samplers, ladder_of(trainer.epochs))

    return make


RAY = "Ray ASHA + Optuna"
COMMON: Mapping[str, Make] = {
    "ours": ours,
    "random": optunas(random, none),
    "random + SHA(2, 3)": optunas(random, sha),
    "TPE": optunas(tpe, none),
    "TPE + Median": optunas(tpe, lambda _epochs: MedianPruner()),
    "TPE + Hyperband": optunas(
        tpe, lambda epochs: HyperbandPruner(min_resource=1, max_resource=epochs)
    ),
    "TPE + SHA(2, 3)": optunas(tpe, sha),
    RAY: ray_tune,
    # What ours is made of.
    "promotion": promotion,
    "promotion, random": promotion_random,
    "ours before": optunas(tpe, lambda epochs: pruner_of("halving", epochs)),
}
"""Those that are compared if nothing else is asked for."""
ARMS: Mapping[str, Make] = {
    **COMMON,
    # Other samplers, alone and in ours.
    "QMC": optunas(qmc, none),
    "CMA-ES": optunas(cma_es, none),
    "GP": optunas(gp, none),
    "ours, Optuna's TPE": ours_with(tpe),
    "ours, QMC": ours_with(JointTPESampler, qmc),
    "ours, GP": ours_with(gp),
}
_NEEDED = {RAY: ("ray", "ray[tune]"), "CMA-ES": ("cmaes", "cmaes")}


def left_out(arms: list[str]) -> Mapping[str, str]:
    """Those of the arms that need a package that isn't installed, and what installs it."""
    return {
        arm: f"pip install '{package}'"
        for arm, (module, package) in _NEEDED.items()
        if arm in arms and find_spec(module) is None
    }
