"""Points at which scores are observed, and their covariance."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Floats",
    "Ints",
    "KernelValues",
    "Points",
    "Prior",
    "covariance_of",
    "matern",
    "matern_slope",
    "values_of",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ROOT_5 = 5.0**0.5


@dataclass(frozen=True)
class Points:
    """Places at which scores are observed, or asked for.

    Attributes:
        configurations: (n, d) features of the configurations, each about 0 to 1.
        progress: (n, m) features of how far they were trained, each about 0 to 1.
        tasks: (n,) the task of each; 0 is the search itself.
    """

    configurations: Floats
    progress: Floats
    tasks: Ints

    def __len__(self) -> int:
        return len(self.configurations)

    def __add__(self, other: "Points") -> "Points":
        """Both, one behind the other."""
        return Points(
            np.concatenate([self.configurations, other.configurations]),
            np.concatenate([self.progress, other.progress]),
            np.concatenate([self.tasks, other.tasks]),
        )

    def __getitem__(self, index: Ints) -> "Points":
        return Points(self.configurations[index], self.progress[index], self.tasks[index])


@dataclass(frozen=True)
class Prior:
    """Means and standard deviations of the logarithms of all hyperparameters, each normally distributed.

    The order is: a length scale for each group of configuration features, one for each progress
    feature, `a1`, `a2`, `a3`, the noise's variance, and the odds of `likeness`.

    Args:
        groups: (d,) the group of each configuration feature, counted from 0; a parameter with choices has
            several features and one length scale.
        progress: Number of progress features.
    """

    groups: Ints
    progress: int

    @property
    def dimensions(self) -> int:
        """Length scales of configurations."""
        return int(self.groups.max()) + 1 if len(self.groups) else 0

    @property
    def mean(self) -> Floats:
        """(h,) where the search for the best hyperparameters begins, too."""
        scales = np.full(self.dimensions, np.log(1.5))
        progress = np.full(self.progress, np.log(0.6))
        return np.concatenate([scales, progress, np.log([0.6, 0.3, 0.5, 1e-2, 0.5])])

    @property
    def deviation(self) -> Floats:
        """(h,) standard deviations."""
        scales = np.full(self.dimensions, 1.0)
        progress = np.full(self.progress, 0.6)
        return np.concatenate([scales, progress, [1.0, 1.0, 1.0, 1.2, 1.5]])


@dataclass(frozen=True)
class KernelValues:
    """Hyperparameters as they enter the kernel."""

    scales: Floats  # (groups,)
    progress: Floats  # (m,)
    amplitudes: Floats  # (3,)
    noise: float
    likeness: float


def values_of(logs: Floats, prior: Prior) -> KernelValues:
    """Return hyperparameters as they enter the kernel, from their logarithms."""
    first, last = prior.dimensions, prior.dimensions + prior.progress
    plain = np.exp(logs)
    return KernelValues(
        plain[:first],
        plain[first:last],
        plain[last : last + 3],
        float(plain[last + 3]),
        float(plain[last + 4] / (1.0 + plain[last + 4])),
    )


def covariance_of(left: Points, right: Points, prior: Prior, values: KernelValues) -> Floats:
    """Return the (n, k) covariance without noise."""
    scales = values.scales[prior.groups]
    a1, a2, a3 = values.amplitudes
    alike = matern(_distances(left.configurations / scales, right.configurations / scales))
    # There are few different epochs, so the kernel of progress is looked up instead of computed.
    ours, row = _distinct(left.progress / values.progress)
    theirs, column = _distinct(right.progress / values.progress)
    when = matern(_distances(ours, theirs))[row.reshape(-1, 1), column.reshape(1, -1)]
    found = (a1 + a2 * when) * alike + a3 * when
    if left.tasks.any() or right.tasks.any():
        other = np.not_equal.outer(left.tasks, right.tasks)
        found = found * np.where(other, values.likeness, 1.0)
    return np.asarray(found)


def matern(distance: Floats) -> Floats:
    """Matern 5/2 (Rasmussen & Williams 2006, equation 4.17)."""
    scaled = _ROOT_5 * distance
    return np.asarray((1.0 + scaled + scaled * scaled / 3.0) * np.exp(-scaled))


def matern_slope(distance: Floats) -> Floats:
    """The derivative by the logarithm of a length scale is this times that dimension's scaled square."""
    scaled = _ROOT_5 * distance
    return np.asarray(5.0 / 3.0 * (1.0 + scaled) * np.exp(-scaled))


def _distinct(progress: Floats) -> tuple[Floats, Ints]:
    """(u, m) the different rows of (n, m), in order, and (n,) which of them each row is."""
    if progress.shape[1] == 1:  # NumPy needs several times as long for rows as for numbers
        found, which = np.unique(progress[:, 0], return_inverse=True)
        return found[:, None], which
    rows, which = np.unique(progress, axis=0, return_inverse=True)
    return rows, which


def _distances(left: Floats, right: Floats) -> Floats:
    """(n, k) Euclidean distances of (n, d) and (k, d)."""
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2.0 * left @ right.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))
