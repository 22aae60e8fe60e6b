"""Beliefs about parameters as a density over configurations, which the search looks at less and less.

A belief about a number is a normal distribution around its most likely value, one about choices their
weights; each is mixed with a share of the uniform distribution, so that nothing is ever ruled out. The
density enters the choice of new configurations as in Hvarfner et al. 2022 (piBO, arXiv 2204.11051,
equation 6): a power of it, which falls with the number of trials, is multiplied to the acquisition.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.policy.knowledge import Belief
from search.policy.model.encoding import Encoding

__all__ = ["Beliefs"]

Floats = npt.NDArray[np.float64]

DOUBT = 0.25
"""Share of the uniform distribution."""
GRID = 101
"""Places at which a parameter's density is tabulated."""


class Beliefs:
    """Beliefs about the best configuration.

    Args:
        encoding: Of the configurations.
        beliefs: By parameter; names that the space does not have are ignored.
    """

    def __init__(self, encoding: Encoding, beliefs: Mapping[str, Belief]) -> None:
        self._encoding = encoding
        self._beliefs = {name: one for name, one in beliefs.items() if name in encoding.names}

    def __bool__(self) -> bool:
        """Return whether there are any beliefs."""
        return bool(self._beliefs)

    def log_density(self, units: Floats) -> Floats:
        """(n,) log density of configurations at (n, p) coordinates, relative to the uniform one."""
        return self._encoding.log_weights(units, self._log_density)

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """(count, p) configurations, as likely as they are believed to be best."""
        units = rng.random((count, len(self._encoding)))
        middles = (np.arange(GRID) + 0.5) / GRID
        for place, name in enumerate(self._encoding.names):
            if name in self._beliefs:
                density = np.exp(
                    self._log_density(name, self._encoding.distribution(name), middles)
                )
                share = np.cumsum(density) / density.sum()
                units[:, place] = middles[np.searchsorted(share, units[:, place])]
        return self._encoding.snap(units)

    def _log_density(
        self, name: str, distribution: BaseDistribution, coordinates: Floats
    ) -> Floats:
        """(n,) of one parameter at (n,) coordinates."""
        if name not in self._beliefs:
            return np.zeros(len(coordinates))
        belief = self._beliefs[name]
        if isinstance(distribution, CategoricalDistribution):
            choices: tuple[Any, ...] = distribution.choices
            weights = np.array([belief.weights.get(one, 1.0) for one in choices])
            index = np.minimum((coordinates * len(weights)).astype(np.int64), len(weights) - 1)
            density = weights[index] / max(weights.mean(), 1e-12)
        elif belief.value is None or belief.spread is None:
            return np.zeros(len(coordinates))
        else:
            value = self._encoding.coordinate(name, belief.value)
            middles = (np.arange(GRID) + 0.5) / GRID
            usual = np.exp(-0.5 * ((middles - value) / belief.spread) ** 2).mean()
            density = np.exp(-0.5 * ((coordinates - value) / belief.spread) ** 2) / max(
                usual, 1e-12
            )
        return np.asarray(np.log(DOUBT + (1.0 - DOUBT) * density))
