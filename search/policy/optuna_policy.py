"""The policy of Optuna's own samplers and pruners: trials are stopped for good, and none waits."""

from collections.abc import Callable, Mapping

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import Trial

from search.policy.base import Decision, InvalidParametersError, InvalidTrialError, Policy, Prepare
from search.study.trial_states import writes

__all__ = ["OptunaPolicy"]


class OptunaPolicy(Policy):
    """Asks an Optuna sampler and an Optuna pruner, which see the study as it is.

    Args:
        study: Where trials are written.
        sampler: Makes the sampler for a trial of this number.
        pruner: What stops trials.
        exempt: Whether a trial is trained to its end whatever it is worth. The pruner is asked about it
            all the same, because some learn by that.
    """

    def __init__(
        self,
        study: optuna.Study,
        sampler: Callable[[int], BaseSampler],
        pruner: BasePruner,
        *,
        exempt: Callable[[Trial], bool] = lambda _trial: False,
    ) -> None:
        self._study = study
        self._sampler = sampler
        self._exempt = exempt
        study.pruner = pruner
        # A grid's sampler must be there when a trial is made: it then chooses the trial's cell.
        study.sampler = sampler(0)

    def ask(self, prepare: Prepare) -> Trial:
        """As `Policy` says."""
        return self.complete(self._study.ask(), prepare)

    def complete(self, trial: Trial, prepare: Prepare) -> Trial:
        """As `Policy` says."""
        self._study.sampler = self._sampler(trial.number)
        with writes(trial):
            try:
                notes = prepare(trial, trial.number)
            except InvalidParametersError as error:
                raise InvalidTrialError(trial) from error
            for key, value in notes.items():
                trial.set_user_attr(key, value)
        return trial

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        """As `Policy` says."""
        return "stop" if trial.should_prune() and not self._exempt(trial) else "go on"
