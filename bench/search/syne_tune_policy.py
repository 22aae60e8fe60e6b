"""A rival: Syne Tune's asynchronous schedulers, `pip install 'syne-tune[gpsearchers]==0.13.0'`.

Version 0.13 is the last that has MOBSTER (Klein et al. 2020, arXiv 2003.10865) and HyperTune (Li et al.
2022, arXiv 2201.06834). Both are run in their form that pauses and promotes, with rungs from a ninth of
the epochs on, each three times as high as the one before. They are told what Syne Tune's `Tuner` tells
them, in its order. Conditions are not known to them: all parameters are chosen, and those that do not
apply are dropped.
"""

import datetime
import logging
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import Trial as OptunaTrial
from optuna.trial import TrialState

from bench.search.rival import Rival
from search.policy import Decision
from spaces.parameter import Parameter
from spaces.space import Space

__all__ = ["SyneTune"]

EPOCH, METRIC = "epoch", "accuracy"


class SyneTune(Rival):
    """Asks one of Syne Tune's schedulers.

    Args:
        study: Where trials are written.
        name: Class of the scheduler, in `syne_tune.optimizer.baselines`.
        space: What is searched.
        epochs: Epochs of a trial that is trained to its end.
        seed: Of the scheduler.
    """

    def __init__(
        self, study: optuna.Study, name: str, space: Space, *, epochs: int, seed: int
    ) -> None:
        super().__init__(study, space)
        logging.disable(logging.INFO)  # Syne Tune's, of every step
        from syne_tune.optimizer import baselines

        options = {"debug_log": False}
        self._scheduler = getattr(baselines, name)(
            {key: _domain(one) for key, one in space.parameters.items()},
            metric=METRIC,
            resource_attr=EPOCH,
            mode="max",
            type="promotion",
            max_t=epochs,
            grace_period=max(1, round(epochs / 9)),
            reduction_factor=3,
            random_seed=seed,
            search_options=options,
        )
        self._trials: dict[int, Any] = {}
        self._last: dict[int, dict[str, Any]] = {}
        self._config: Mapping[str, Any] = {}

    def suggest(self) -> int | Mapping[str, Any]:
        """Ask the scheduler."""
        suggestion = self._scheduler.suggest(len(self._trials))
        if not suggestion.spawn_new_trial_id:
            return int(suggestion.checkpoint_trial_id)
        self._config = suggestion.config
        return {
            name: _own(self._space.parameters[name], value)
            for name, value in self._config.items()
            if name in self._space.parameters
        }

    def begun(self, number: int) -> None:
        """Tell the scheduler of the new trial."""
        from syne_tune.backend.trial_status import Trial

        assert number == len(self._trials)
        now = datetime.datetime.now(datetime.UTC)
        self._trials[number] = Trial(number, dict(self._config), now)
        self._scheduler.on_trial_add(self._trials[number])

    def verdict(self, trial: OptunaTrial, scores: Mapping[int, float]) -> Decision:
        """Ask the scheduler after an epoch."""
        epoch = max(scores)
        result = self._last[trial.number] = {EPOCH: epoch, METRIC: scores[epoch]}
        decision = self._scheduler.on_trial_result(self._trials[trial.number], result)
        verdicts: dict[str, Decision] = {"CONTINUE": "go on", "PAUSE": "pause", "STOP": "stop"}
        return verdicts[decision]

    def ended(self, number: int, state: TrialState) -> None:
        """Tell the scheduler that a trial is complete."""
        if state is TrialState.COMPLETE:
            self._scheduler.on_trial_complete(self._trials[number], self._last[number])


def _domain(parameter: Parameter) -> Any:
    """The range or choices as Syne Tune has them; choices by their names."""
    from syne_tune import config_space

    if parameter.options is not None:
        return config_space.choice([str(one) for one in parameter.options])
    low, high = parameter.extremes()
    if parameter.is_integer:
        return (config_space.lograndint if parameter.log else config_space.randint)(low, high)
    return (config_space.loguniform if parameter.log else config_space.uniform)(low, high)


def _own(parameter: Parameter, value: Any) -> Any:
    if parameter.options is None:
        return parameter.clip(value)
    return next(one for one in parameter.options if str(one) == value)
