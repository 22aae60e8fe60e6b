"""A sampler for a trial whose values were chosen before it asks for them."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

__all__ = ["GivenSampler"]


class GivenSampler(BaseSampler):
    """Gives a trial the values that were chosen for it, and random ones for what they lack.

    Args:
        values: The values by parameter.
        seed: Of the random ones, from 0 to 2**32 - 1.
    """

    def __init__(self, values: Mapping[str, Any], seed: int) -> None:
        self._values = values
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing is chosen together here: the values were."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing, as there is nothing to be chosen together."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The value that was chosen, if the trial asks for one of that kind."""
        if param_name in self._values:
            value = self._values[param_name]
            try:
                if param_distribution._contains(param_distribution.to_internal_repr(value)):  # noqa: SLF001
                    return value
            except ValueError:
                pass  # a choice that this trial does not have
        return self._random.sample_independent(study, trial, param_name, param_distribution)
