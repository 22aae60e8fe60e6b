"""A rival: NePS' optimizers over fidelities, `pip install neural-pipeline-search`.

`priorband` (Mallik et al. 2023, arXiv 2306.12370) is given no prior, as no arm is: it then mixes uniform
configurations with ones near the best. Conditions are not known to it: all parameters are chosen, and
those that do not apply are dropped.
"""

import logging
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import Trial

from bench.search.rival import Rival
from search.policy import Decision
from spaces.parameter import Parameter
from spaces.space import Space

__all__ = ["Neps"]

EPOCH = "epoch"


class Neps(Rival):
    """Asks one of NePS' optimizers.

    Args:
        study: Where trials are written.
        name: Its function in `neps.algorithms`.
        space: What is searched.
        epochs: Epochs of a trial that is trained to its end.
        seed: Of the process's generators, which NePS draws from.
    """

    def __init__(
        self, study: optuna.Study, name: str, space: Space, *, epochs: int, seed: int
    ) -> None:
        super().__init__(study, space)
        logging.disable(logging.WARNING)  # NePS': no prior is given
        import neps

        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - what NePS draws from
        torch.manual_seed(seed)
        domains = {key: _domain(one) for key, one in space.parameters.items()}
        fidelity = neps.IntegerFidelity(lower=max(1, round(epochs / 9)), upper=epochs)
        own = type("Searched", (neps.PipelineSpace,), {**domains, EPOCH: fidelity})()
        self._optimizer = neps.AskAndTell(getattr(neps.algorithms, name)(own))
        self._numbers: dict[str, int] = {}  # by NePS' number of a configuration
        # By the trial's number: NePS' id of what was asked for, and the epoch to train to.
        self._asked: dict[int, tuple[str, int]] = {}
        self._trial: Any = None

    def suggest(self) -> int | Mapping[str, Any]:
        """Ask the optimizer."""
        self._trial = self._optimizer.ask()
        before = self._trial.metadata.previous_trial_id
        if before is not None:
            number = self._numbers[before.rsplit("_", 1)[0]]
            self._take_note(number)
            return number
        return {
            name: _own(parameter, self._trial.config[name])
            for name, parameter in self._space.parameters.items()
        }

    def begun(self, number: int) -> None:
        """Note which configuration of NePS' the new trial is."""
        self._numbers[self._trial.metadata.id.rsplit("_", 1)[0]] = number
        self._take_note(number)

    def _take_note(self, number: int) -> None:
        self._asked[number] = (self._trial.metadata.id, int(self._trial.config[EPOCH]))

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        """Train to the epoch that was asked for, and tell the score."""
        epoch = max(scores)
        asked, until = self._asked[trial.number]
        if epoch < until:
            return "go on"
        self._optimizer.tell(asked, 1.0 - scores[epoch])
        return "pause"


def _domain(parameter: Parameter) -> Any:
    """The range or choices as NePS has them; choices by their place."""
    import neps

    if parameter.options is not None:
        return neps.Categorical(choices=tuple(str(one) for one in parameter.options))
    low, high = parameter.extremes()
    make = neps.Integer if parameter.is_integer else neps.Float
    return make(lower=low, upper=high, log=parameter.log)


def _own(parameter: Parameter, value: Any) -> Any:
    if parameter.options is None:
        return parameter.clip(int(value) if parameter.is_integer else float(value))
    return next(one for one in parameter.options if str(one) == value)
