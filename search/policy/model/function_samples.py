"""Functions drawn from a Gaussian process of training curves, with its hyperparameters drawn as well.

A prediction of the process has a mean and a deviation for each point by itself. What is said about a whole
space, such as the share of the variance that a parameter has, needs functions that are drawn whole.
Each is a draw from the prior, of random Fourier features, plus the update that makes it agree with the
scores (Wilson et al. 2020, "Efficiently Sampling Functions from Gaussian Process Posteriors", arXiv
2002.09309). The hyperparameters are drawn from their own posterior, as one best guess at the length scales
would make every share look certain: by elliptical slice sampling (Murray et al. 2010, arXiv 1001.0175),
which fits their normal prior and has nothing to tune.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from scipy.linalg.lapack import dpotrf

from search.policy.model.gaussian_process import Floats, Points, Posterior, Prior
from search.policy.model.kernel import KernelValues, covariance_of, matern, values_of

__all__ = ["draw_functions", "draw_hyperparameters"]

Singles = npt.NDArray[np.float32]

BURN_IN, THINNING = 30, 6
"""Draws of hyperparameters before the first that is used, and of how many one is used."""
FEATURES = 256
"""Random features of each of the kernel's three terms."""
JITTER = 1e-6
"""Added to the diagonal of covariances."""
FREEDOM = 5.0
"""A Matern kernel of smoothness 5/2 has Student's t with 5 degrees of freedom as its spectral density."""


def draw_hyperparameters(
    points: Points, scores: Floats, prior: Prior, start: Floats, rng: np.random.Generator
) -> Iterator[Floats]:
    """Draw hyperparameters from their posterior, without end.

    Args:
        points: Where the scores were observed.
        scores: (n,) of about mean 0 and variance 1.
        prior: Of the hyperparameters.
        start: (h,) where to begin: their most likely values.
        rng: Random numbers.

    Yields:
        (h,) logarithms of hyperparameters.
    """
    likelihood = _Likelihood(points, scores, prior)
    now = start - prior.mean
    height = likelihood(prior.mean + now)
    drawn = 0
    while True:
        other = rng.normal(size=len(now)) * prior.deviation
        floor = height + np.log(rng.random())
        angle = rng.random() * 2.0 * np.pi
        low, high = angle - 2.0 * np.pi, angle
        while True:
            tried = now * np.cos(angle) + other * np.sin(angle)
            reached = likelihood(prior.mean + tried)
            if reached > floor:
                break
            low, high = (angle, high) if angle < 0.0 else (low, angle)
            angle = low + rng.random() * (high - low)
        now, height, drawn = tried, reached, drawn + 1
        if drawn > BURN_IN and (drawn - BURN_IN) % THINNING == 0:
            yield prior.mean + now


def draw_functions(
    posterior: Posterior, scores: Floats, at: Points, count: int, rng: np.random.Generator
) -> Floats:
    """Draw functions from the process, without the noise of a single training.

    Args:
        posterior: The process.
        scores: (n,) what it was conditioned on.
        at: (k,) points at which the functions are wanted.
        count: Number of functions.
        rng: Random numbers.

    Returns:
        (k, count) their values.
    """
    both = posterior.points + at
    features = _features(both, posterior.prior, posterior.values, rng)
    drawn = rng.normal(size=(3 * FEATURES, count)).astype(np.float32)
    before = (features @ drawn).astype(np.float64)  # (n + k, count)
    seen = len(posterior.points)
    noise = rng.normal(size=(seen, count)) * np.sqrt(posterior.values.noise)
    missing = scores[:, None] - before[:seen] - noise
    weights = cho_solve((posterior.factor, True), missing)  # (n, count)
    between = covariance_of(at, posterior.points, posterior.prior, posterior.values)  # (k, n)
    return np.asarray(before[seen:] + between @ weights)


class _Likelihood:
    """The log likelihood of hyperparameters but for a constant; distances are computed once."""

    def __init__(self, points: Points, scores: Floats, prior: Prior) -> None:
        n, x, t = len(points), points.configurations, points.progress
        squares = np.zeros((prior.dimensions, n, n))
        for column, group in enumerate(prior.groups):
            squares[group] += np.subtract.outer(x[:, column], x[:, column]) ** 2
        self._squares = squares.reshape(prior.dimensions, n * n)
        self._steps = np.array([np.subtract.outer(one, one).ravel() ** 2 for one in t.T])
        self._scores, self._prior = scores, prior

    def __call__(self, logs: Floats) -> float:
        values, n = values_of(logs, self._prior), len(self._scores)
        a1, a2, a3 = values.amplitudes
        alike = matern(np.sqrt(values.scales**-2 @ self._squares).reshape(n, n))
        when = matern(np.sqrt(values.progress**-2 @ self._steps).reshape(n, n))
        covariance = (a1 + a2 * when) * alike + a3 * when
        covariance.flat[:: n + 1] += values.noise + JITTER
        factor, failed = dpotrf(covariance, lower=1)
        if failed:
            return -np.inf
        solved = solve_triangular(factor, self._scores, lower=True, check_finite=False)
        return -float(0.5 * solved @ solved + np.log(np.diag(factor)).sum())


def _features(
    points: Points, prior: Prior, values: KernelValues, rng: np.random.Generator
) -> Singles:
    """(n, 3 * FEATURES) of which the products are about the kernel between points of one task."""
    # In single precision, which is several times as fast: its rounding is far below the error of so few
    # features.
    x = (points.configurations / values.scales[prior.groups]).astype(np.float32)
    t = (points.progress / values.progress).astype(np.float32)
    none = np.zeros((len(points), 1), dtype=np.float32)
    terms = ((x, none), (x, t), (none, t))
    columns = [
        np.float32(np.sqrt(2.0 * amplitude / FEATURES))
        * np.cos(left @ _frequencies(left, rng) + right @ _frequencies(right, rng) + _phases(rng))
        for amplitude, (left, right) in zip(values.amplitudes, terms, strict=True)
    ]
    return np.concatenate(columns, axis=1)


def _frequencies(coordinates: Singles, rng: np.random.Generator) -> Singles:
    normal = rng.normal(size=(coordinates.shape[1], FEATURES))
    return np.asarray(normal * np.sqrt(FREEDOM / rng.chisquare(FREEDOM, FEATURES)), np.float32)


def _phases(rng: np.random.Generator) -> Singles:
    return np.asarray(rng.random(FEATURES) * 2.0 * np.pi, dtype=np.float32)
