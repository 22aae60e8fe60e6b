"""An exact Gaussian process over configurations and how far they were trained.

The covariance of two scores is

    k = b * (a1 * C + a2 * C * P + a3 * P) + noise

where C is a Matern 5/2 kernel of the configurations and P one of the progress of their trainings, each
with a length scale for each of its dimensions: `a1` is what a configuration is worth at every epoch,
`a2` how that changes as it is trained, `a3` what all configurations have in common at an epoch. `b` is
1 between scores of one task and `likeness` between those of two (Swersky et al. 2013, "Multi-Task
Bayesian Optimization"). The sum of such terms is the covariance of a training curve in Swersky et al.
2014, "Freeze-Thaw Bayesian Optimization" (arXiv 1406.3896), with a Matern kernel in the place of their
exponential decay, as curves of this field are not monotone.

Hyperparameters are those of the highest posterior density under log-normal priors (Hvarfner et al.
2024, arXiv 2402.02229, argue for informative priors on length scales; these are narrower and fixed),
found by L-BFGS with analytic gradients.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.optimize import minimize

from search.policy.model.kernel import (
    Floats,
    KernelValues,
    Points,
    Prior,
    covariance_of,
    matern,
    matern_slope,
    values_of,
)

__all__ = ["FitError", "Floats", "Points", "Posterior", "Prior", "fit", "log_density"]


JITTERS = (1e-8, 1e-6, 1e-4, 1e-2)
"""Jitter added to the diagonal until the covariance has a Cholesky factor; all scores have variance
1."""
SIGMAS = 4.0
"""Bound on hyperparameters, in standard deviations from their prior's mean."""
LARGEST_DENSITY = 1e10


class FitError(ArithmeticError):
    """A covariance has no Cholesky factor, however much is added to its diagonal."""


def fit(points: Points, scores: Floats, prior: Prior, start: Floats, iterations: int) -> Floats:
    """Hyperparameters of the highest posterior density, as logarithms.

    Args:
        points: Where the scores were observed.
        scores: (n,) of about mean 0 and variance 1.
        prior: Of the hyperparameters.
        start: (h,) where to begin.
        iterations: Of L-BFGS, at most.
    """
    low = prior.mean - SIGMAS * prior.deviation
    high = prior.mean + SIGMAS * prior.deviation
    target = _Target(points, scores, prior)
    found = minimize(
        target,
        np.clip(start, low, high),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": iterations},
    )
    return np.asarray(found.x, dtype=np.float64)


def log_density(logs: Floats, points: Points, scores: Floats, prior: Prior) -> tuple[float, Floats]:
    """The negative log posterior density of hyperparameters but for a constant, and its gradient."""
    return _Target(points, scores, prior)(logs)


class _Target:
    """The function that `fit` minimises; distances are computed once."""

    def __init__(self, points: Points, scores: Floats, prior: Prior) -> None:
        n = len(points)
        x, t = points.configurations, points.progress
        squares = np.zeros((prior.dimensions, n, n))
        for column, group in enumerate(prior.groups):
            squares[group] += np.subtract.outer(x[:, column], x[:, column]) ** 2
        self._squares = squares.reshape(prior.dimensions, n * n)  # (groups, n * n)
        self._steps = np.array(
            [np.subtract.outer(one, one).ravel() ** 2 for one in t.T]
        )  # (m, n * n)
        self._other = np.not_equal.outer(points.tasks, points.tasks)
        self._scores, self._prior, self._n = scores, prior, n

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        """Value and gradient (Rasmussen & Williams 2006, equation 5.9, and the log prior)."""
        prior, n, scores = self._prior, self._n, self._scores
        values = values_of(logs, prior)
        a1, a2, a3 = values.amplitudes
        far = np.sqrt(values.scales**-2 @ self._squares).reshape(n, n)
        later = np.sqrt(values.progress**-2 @ self._steps).reshape(n, n)
        alike, when = matern(far), matern(later)
        shared = np.where(self._other, values.likeness, 1.0)
        both = alike * when
        covariance = shared * (a1 * alike + a2 * both + a3 * when)
        noisy = covariance.copy()
        noisy.flat[:: n + 1] += values.noise + JITTERS[1]
        factor, failed = dpotrf(noisy, lower=1)
        if failed:
            return LARGEST_DENSITY, np.zeros_like(logs)
        inverse, _ = dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        weights = inverse @ scores
        off = (logs - prior.mean) / prior.deviation
        density = 0.5 * scores @ weights + np.log(np.diag(factor)).sum() + 0.5 * off @ off
        # d density / d covariance
        slope = 0.5 * (inverse - np.outer(weights, weights))
        seen = slope * shared
        by_far = (seen * (a1 + a2 * when) * matern_slope(far)).ravel()
        by_later = (seen * (a2 * alike + a3) * matern_slope(later)).ravel()
        gradient = np.concatenate(
            [
                self._squares @ by_far * values.scales**-2,
                self._steps @ by_later * values.progress**-2,
                [a1 * (seen * alike).sum(), a2 * (seen * both).sum(), a3 * (seen * when).sum()],
                [values.noise * np.trace(slope)],
                [(1.0 - values.likeness) * (slope * covariance)[self._other].sum()],
            ]
        )
        return float(density), gradient + off / prior.deviation


@dataclass(frozen=True)
class Posterior:
    """The process, given scores and hyperparameters; `condition` makes it.

    Attributes:
        points: Where scores were observed, or are believed.
        prior: Of the hyperparameters; its groups say which features share a length scale.
        values: The hyperparameters.
        factor: (n, n) lower Cholesky factor of the covariance of the scores.
        weights: (n,) the inverse of that covariance times the scores.
    """

    points: Points
    prior: Prior
    values: KernelValues
    factor: Floats
    weights: Floats

    @classmethod
    def condition(cls, points: Points, scores: Floats, prior: Prior, logs: Floats) -> "Posterior":
        """Condition the process on scores.

        Args:
            points: Where they were observed.
            scores: (n,) the scores.
            prior: Of the hyperparameters.
            logs: (h,) logarithms of the hyperparameters.

        Raises:
            FitError: The covariance of these points has no Cholesky factor.
        """
        values = values_of(logs, prior)
        covariance = covariance_of(points, points, prior, values)
        covariance.flat[:: len(points) + 1] += values.noise
        factor = _cholesky(covariance)
        return cls(points, prior, values, factor, cho_solve((factor, True), scores))

    def predict(self, points: Points) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the score at each point, without noise; (k,) each."""
        _, mean, variance = self.solved(points)
        return mean, np.sqrt(np.maximum(variance, 1e-9))

    def solved(self, points: Points) -> tuple[Floats, Floats, Floats]:
        """Return what further predictions follow from.

        Returns:
            (n, k) the covariance of the observed scores with the points, divided by the factor; and (k,)
            mean and variance at the points, without noise.
        """
        between = covariance_of(self.points, points, self.prior, self.values)  # (n, k)
        solved = solve_triangular(self.factor, between, lower=True, check_finite=False)
        variance = self.values.amplitudes.sum() - np.einsum("nk,nk->k", solved, solved)
        return solved, between.T @ self.weights, variance

    def believing(self, points: Points) -> "Posterior":
        """Return the process as if each of these points had turned out as predicted.

        A trial that is being trained then no longer looks uncertain, and others are chosen beside it: the
        "kriging believer" of Ginsbourger et al. 2010, "Kriging Is Well-Suited to Parallelize Optimization".
        No mean changes by it, so only the Cholesky factor grows, which takes O(n^2) for each point.
        """
        n, more = len(self.points), len(points)
        between = covariance_of(self.points, points, self.prior, self.values)  # (n, k)
        side = solve_triangular(self.factor, between, lower=True, check_finite=False)
        corner = covariance_of(points, points, self.prior, self.values) - side.T @ side
        corner.flat[:: more + 1] += self.values.noise
        factor = np.zeros((n + more, n + more))
        factor[:n, :n] = self.factor
        factor[n:, :n] = side.T
        factor[n:, n:] = _cholesky(corner)
        weights = np.concatenate([self.weights, np.zeros(more)])
        return Posterior(self.points + points, self.prior, self.values, factor, weights)


def _cholesky(covariance: Floats) -> Floats:
    n = len(covariance)
    for jitter in JITTERS:
        raised = covariance.copy()
        raised.flat[:: n + 1] += jitter
        factor, failed = dpotrf(raised, lower=1)
        if not failed and np.isfinite(factor).all():
            return np.asarray(np.tril(factor))
    raise FitError("the covariance of the scores is not positive definite")
