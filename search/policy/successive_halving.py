"""Successive halving that asks nothing but the study what it has decided."""

from collections.abc import Sequence
from math import isnan

from optuna import Study
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from search.policy.rungs import check_rungs

__all__ = ["HalvingPruner"]


class HalvingPruner(BasePruner):
    """Asynchronous successive halving in its stopping form (Li et al. 2018, arXiv 1810.05934, section 3).

    At each rung a trial goes on if it is among the best share of all trials that have come as far. Unlike
    Optuna's, this pruner keeps no notes of its own: asked twice about the same epoch, as happens when
    the coordinator was killed in between, it answers twice the same; and while fewer trials have reached a
    rung than one of which would be kept, all of them go on, where Optuna's stops all but the best.

    Args:
        rungs: The epochs at which trials are compared, ascending, from 1.
        reduction_factor: One of this many trials at a rung continues; at least 2.
    """

    def __init__(self, rungs: Sequence[int], reduction_factor: int) -> None:
        check_rungs(rungs, reduction_factor)
        self._rungs = tuple(rungs)
        self._reduction_factor = reduction_factor

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether the trial ends after its newest epoch."""
        rung = trial.last_step
        if rung not in self._rungs:
            return False
        sign = 1.0 if study.direction is StudyDirection.MAXIMIZE else -1.0
        own = sign * trial.intermediate_values[rung]
        if isnan(own):
            return True
        others = [
            sign * other.intermediate_values[rung]
            for other in study.get_trials(deepcopy=False)
            if rung in other.intermediate_values and other.number != trial.number
        ]
        kept = (len(others) + 1) // self._reduction_factor
        better = sum(value > own for value in others)
        return kept > 0 and better >= kept
