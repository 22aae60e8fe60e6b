"""The policies that the benchmarks of searches compare."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from bench.search.informed import informed
from bench.search.tasks import Task
from search.policy import OptunaPolicy, Policy
from search.policy.factory import default_policy, promotion_policy

__all__ = ["ARMS", "COMMON", "left_out"]

Make = Callable[[optuna.Study, int, Task], Policy]


def optunas(sampler: Callable[[int], BaseSampler], pruner: Callable[[int], BasePruner]) -> Make:
    """Return the maker of a policy of Optuna's own: one sampler for the whole study, and a pruner."""

    def make(study: optuna.Study, seed: int, task: Task) -> Policy:
        one = sampler(seed)
        return OptunaPolicy(study, lambda _number: one, pruner(task.epochs))

    return make


def random(seed: int) -> BaseSampler:
    """Return Optuna's random sampler."""
    return RandomSampler(seed=seed)


def tpe(seed: int) -> BaseSampler:
    """Return Optuna's default sampler."""
    return TPESampler(seed=seed)


def gp(seed: int) -> BaseSampler:
    """Return Optuna's Gaussian process, of what is chosen in every trial; the rest is random."""
    return GPSampler(seed=seed)


def sha(epochs: int) -> BasePruner:
    """Return successive halving that stops for good, from a ninth of the epochs on; a third goes on."""
    return SuccessiveHalvingPruner(min_resource=max(1, round(epochs / 9)), reduction_factor=3)


def median(_epochs: int) -> BasePruner:
    """Return Optuna's default pruner."""
    return MedianPruner()


def none(_epochs: int) -> BasePruner:
    """Return the pruner that trains every trial to its end."""
    return NopPruner()


def ours(study: optuna.Study, seed: int, task: Task) -> Policy:
    """Return the policy of `cifar-search start`, which knows nothing before its first trial here."""
    return default_policy(study, choose=task.space.suggest, epochs=task.epochs, seed=seed)


def ours_before(study: optuna.Study, seed: int, task: Task) -> Policy:
    """Return the policy of `--pruner promotion`; TPE chooses every other configuration."""
    return promotion_policy(study, epochs=task.epochs, seed=seed)


def ray_tune(study: optuna.Study, seed: int, task: Task) -> Policy:
    """Return the policy of Ray Tune's own classes."""
    from bench.search.ray_tune import RayTune  # an optional package

    return RayTune(study, task.space.suggest, epochs=task.epochs, seed=seed)


def syne_tune(name: str) -> Make:
    """Return the maker of one of Syne Tune's schedulers."""

    def make(study: optuna.Study, seed: int, task: Task) -> Policy:
        from bench.search.syne_tune_policy import SyneTune  # an optional package

        return SyneTune(study, name, task.space, epochs=task.epochs, seed=seed)

    return make


def neps(name: str) -> Make:
    """Return the maker of one of NePS' optimizers."""

    def make(study: optuna.Study, seed: int, task: Task) -> Policy:
        from bench.search.neps_policy import Neps  # an optional package

        return Neps(study, name, task.space, epochs=task.epochs, seed=seed)

    return make


COMMON: Mapping[str, Make] = {
    "ours": ours,
    "ours before": ours_before,
    "random": optunas(random, none),
    "random + SHA": optunas(random, sha),
    "TPE + Median": optunas(tpe, median),
    "TPE + SHA": optunas(tpe, sha),
}
"""Those that are compared if nothing else is asked for."""
_OTHERS: Mapping[str, tuple[Make, str, str]] = {
    # How it is made, the package it needs, and what installs that.
    "Ray ASHA + Optuna": (ray_tune, "ray", "ray[tune]"),
    "Syne Tune MOBSTER": (syne_tune("MOBSTER"), "syne_tune", "syne-tune[gpsearchers]==0.13.0"),
    "Syne Tune HyperTune": (syne_tune("HyperTune"), "syne_tune", "syne-tune[gpsearchers]==0.13.0"),
    "Syne Tune ASHA": (syne_tune("ASHA"), "syne_tune", "syne-tune[gpsearchers]==0.13.0"),
    "NePS PriorBand": (neps("priorband"), "neps", "neural-pipeline-search"),
}
ARMS: Mapping[str, Make] = {
    **COMMON,
    "ours, informed": informed(recipes=True, experience=True),
    "ours, recipes": informed(recipes=True),
    "ours, experience": informed(experience=True),
    "ours, beliefs": informed(beliefs="good"),
    "ours, wrong beliefs": informed(beliefs="wrong"),
    "GP + SHA": optunas(gp, sha),  # takes a second for each configuration
    **{name: make for name, (make, _, _) in _OTHERS.items()},
}


def left_out(arms: list[str]) -> Mapping[str, str]:
    """Return those of the arms that need a package that isn't installed, and what installs it."""
    return {
        arm: f"pip install '{_OTHERS[arm][2]}'"
        for arm in arms
        if arm in _OTHERS and find_spec(_OTHERS[arm][1]) is None
    }
