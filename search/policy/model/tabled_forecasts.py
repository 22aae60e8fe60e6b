"""Forecasts of a few candidates, some of which are believed one after the other.

The posterior of the process is computed once, at every epoch that is asked for. Believing a point then is a
rank-one update of the variances there: no Cholesky factor grows.
"""

from collections.abc import Sequence

import numpy as np

from search.policy.model.curve_model import Forecasts
from search.policy.model.gaussian_process import Floats
from search.policy.model.kernel import Ints, covariance_of

__all__ = ["TabledForecasts"]


class TabledForecasts:
    """Forecasts of fixed configurations after some epochs.

    Args:
        forecasts: Of anything.
        features: (n, d) the configurations.
        epochs: Arrays, (n,) each: epochs of the configurations that may be asked for.

    Attributes:
        scores: Those that were observed, as `Forecasts` has them.
    """

    def __init__(self, forecasts: Forecasts, features: Floats, epochs: Sequence[Ints]) -> None:
        self.scores = forecasts.scores
        wanted = np.stack(epochs)  # (k, n)
        self._size = int(wanted.max()) + 1
        rows = np.broadcast_to(np.arange(len(features)), wanted.shape)
        self._pairs = np.unique(rows * self._size + wanted)  # (m,) configuration and epoch
        places, after = np.divmod(self._pairs, self._size)
        self._posterior = forecasts.posterior
        self._points = forecasts.model.points(features[places], after)
        self._solved, self._mean, self._variance = self._posterior.solved(self._points)
        self._updates = np.zeros((0, len(self._pairs)))

    def predict(self, features: Floats, epochs: Ints) -> tuple[Floats, Floats]:
        """Mean and standard deviation of all configurations after (n,) epochs; (n,) each."""
        places = np.searchsorted(self._pairs, np.arange(len(features)) * self._size + epochs)
        return self._mean[places], np.sqrt(np.maximum(self._variance[places], 1e-9))

    def believe(self, row: int, epoch: int) -> None:
        """Take one configuration to come out as predicted; see `Posterior.believing`."""
        place = int(np.searchsorted(self._pairs, row * self._size + epoch))
        one = self._points[np.array([place])]
        prior, values = self._posterior.prior, self._posterior.values
        covariance = covariance_of(self._points, one, prior, values)[:, 0]
        covariance -= self._solved.T @ self._solved[:, place]
        covariance -= self._updates.T @ self._updates[:, place]
        update = covariance / np.sqrt(max(covariance[place], 0.0) + values.noise)
        self._updates = np.vstack([self._updates, update])
        self._variance = self._variance - update**2
