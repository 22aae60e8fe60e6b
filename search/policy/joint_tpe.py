"""TPE that chooses all parameters of a trial together, those that not every trial has among them."""

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

__all__ = ["JointTPESampler"]


class JointTPESampler(TPESampler):
    """Optuna's multivariate TPE, in the space of the newest trial instead of what all trials share.

    Where a parameter depends on another, as each optimizer has its own learning rate, Optuna's chooses it
    by itself, and the others without it. Here the newest finished trial says which parameters are chosen
    together, and who lacks one of them is not looked at. So a search whose trials are partly random
    goes now into the one branch, now into the other, instead of keeping to one. If the trial comes
    to have others after all, they are chosen one by one, as by Optuna's.

    Args:
        seed: Where its random choices start, from 0 to 2**32 - 1.
        n_startup_trials: As long as fewer are finished it chooses at random.
    """

    def __init__(self, seed: int, n_startup_trials: int = 10) -> None:
        super().__init__(seed=seed, n_startup_trials=n_startup_trials, multivariate=True)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters of the newest trial that has a value, but for those of one value only."""
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        newest = finished[-1].distributions if finished else {}
        return {name: one for name, one in sorted(newest.items()) if not one.single()}
