"""A rival: Ray Tune's asynchronous successive halving with its Optuna search, `pip install 'ray[tune]'`.

    policy = RayTune(study, space.suggest, epochs=12, seed=0)
    trace = run_search(policy, study, choose=space.suggest, train=recorded_curve, epochs=12, trials=100)

Ray's own classes decide, `ASHAScheduler` and `OptunaSearch`. Only what runs trials is left out, so no
process starts. They are told what Ray 2.60 tells them, in its order (`_process_trial_result` and
`stop_trial` of its `TuneController`):

1. The scheduler is asked after each epoch. If the trial goes on, the searcher is told the score as well.
2. Otherwise both are told that the trial is complete, the searcher with its last score as its value.
   This is said alike of a trial that was stopped after one epoch and of one that reached the last.
3. The searcher is asked for one configuration more than workers can begin, so each is drawn without what
   the trial begun before it will have shown. With `TuneConfig(max_concurrent_trials=...)` this isn't so.
"""

import warnings
from collections.abc import Callable, Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from bench.search.rival import Given
from search.errors import ServiceError
from search.policy.base import Decision, InvalidParametersError, InvalidTrialError, Prepare
from search.study.trial_states import is_queued

__all__ = ["RayTune"]

TIME, METRIC = "training_iteration", "accuracy"


class RayTune:
    """Asks Ray's scheduler and searcher, both as Ray sets them by default but for the number of epochs.

    So rungs are after epochs 1, 4, 16 and so on, below the last. A trial is stopped at a rung if it is
    worse than the 75th percentile of those that were there before it; the first to come goes on.

    Args:
        study: Where trials are written. Of what is enqueued in it by now, Ray's searcher makes its first
            configurations.
        choose: Asks a trial for the value of each parameter.
        epochs: Epochs of a trial that is trained to its end.
        seed: Of Ray's searcher, from 0 to 2**32 - 1.
        limited: Configurations are drawn when a worker is free for them, not before.

    Raises:
        ServiceError: Ray Tune isn't installed.
    """

    def __init__(
        self,
        study: optuna.Study,
        choose: Callable[[Trial], object],
        *,
        epochs: int,
        seed: int,
        limited: bool = False,
    ) -> None:
        try:
            from ray.tune.schedulers import ASHAScheduler
            from ray.tune.search.optuna import OptunaSearch
        except ImportError as error:
            raise ServiceError(
                f"Ray Tune is not installed ({error}): pip install 'ray[tune]'"
            ) from error

        def space(trial: Trial) -> None:
            choose(trial)

        self._study = study
        study.sampler = Given({})  # which must not draw anything when a trial is made
        self._scheduler = ASHAScheduler(time_attr=TIME, metric=METRIC, mode="max", max_t=epochs)
        self._searcher = OptunaSearch(
            space,
            metric=METRIC,
            mode="max",
            seed=seed,
            points_to_evaluate=[
                trial.system_attrs["fixed_params"]
                for trial in study.get_trials(deepcopy=False)
                if is_queued(trial)
            ],
        )
        self._ids = map(str, count())
        self._ahead = 0 if limited else 1
        self._pending: list[tuple[SimpleNamespace, dict[str, Any]]] = []
        self._trials: dict[int, SimpleNamespace] = {}

    paused: list[int] = []

    def ready(self, *, wait: bool = False) -> bool:
        """Ray's searcher is quick enough to be asked at any time."""
        return True

    def ask(self, prepare: Prepare) -> Trial:
        """As `Policy` says."""
        return self.complete(self._study.ask(), prepare)

    def complete(self, trial: Trial, prepare: Prepare) -> Trial:
        """As `Policy` says; in simulated time nothing is interrupted."""
        self._draw(1)
        self._trials[trial.number], values = self._pending.pop(0)
        self._study.sampler = Given(values)
        try:
            notes = prepare(trial, trial.number)
        except InvalidParametersError as error:
            raise InvalidTrialError(trial) from error
        finally:
            self._draw(self._ahead)
        assert trial.params == values, "enqueued after the policy was made?"
        for key, value in notes.items():
            trial.set_user_attr(key, value)
        return trial

    def promote(self, *, last: bool) -> Trial | None:
        """Nobody waits."""

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        """As `Policy` says."""
        theirs = self._trials[trial.number]
        epoch = max(scores)
        theirs.last_result = {TIME: epoch, METRIC: scores[epoch]}
        decision = self._scheduler.on_trial_result(None, theirs, theirs.last_result)
        if decision == self._scheduler.STOP:
            return "stop"
        self._searcher.on_trial_result(theirs.trial_id, theirs.last_result)
        return "go on"

    def pause(self, trial: Trial) -> None:
        """Nobody waits: no verdict of this policy is to pause."""
        raise AssertionError(f"trial {trial.number} is to pause, which this policy never asks for")

    def hopeless(self, to_come: int) -> list[Trial]:
        """Nobody waits."""
        return []

    def ended(self, number: int, state: TrialState) -> None:
        """As `Policy` says."""
        theirs = self._trials.pop(number)
        if state is TrialState.FAIL:
            self._scheduler.on_trial_error(None, theirs)
            self._searcher.on_trial_complete(theirs.trial_id, error=True)
        else:
            self._scheduler.on_trial_complete(None, theirs, theirs.last_result)
            self._searcher.on_trial_complete(theirs.trial_id, result=theirs.last_result)

    def _draw(self, wanted: int) -> None:
        """Let Ray's searcher draw until so many configurations wait for a worker."""
        while len(self._pending) < wanted:
            theirs = SimpleNamespace(trial_id=next(self._ids))  # what the scheduler asks of a trial
            with warnings.catch_warnings():
                # Ray takes a draw of more than a second, on a busy machine, for a training.
                warnings.filterwarnings("ignore", message="Define-by-run function")
                values = self._searcher.suggest(theirs.trial_id)
            self._pending.append((theirs, values))
            self._scheduler.on_trial_add(None, theirs)
