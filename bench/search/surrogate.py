"""A stand-in for training: learning curves of any configuration of a space, fitted to recorded ones.

Gaussian processes (Rasmussen & Williams 2006, algorithm 2.1; Matern 5/2, a length scale for each input)
give the mean curve of a configuration, by way of the principal components of the recorded curves. What
they leave unexplained is given back as luck: to each configuration, always the same, the residual curve
of one of the three nearest records, as it was when that record was not among those fitted (equation 5.12
there). So scores are spread as the recorded ones are, more so where trainings are unstable, and early and
late ones disagree as they do. The true quality is the mean: luck does not count.

The residuals are more than luck, because two hundred records leave unexplained what a thousand would
explain. `luck` says how much of them is given back. Trees (extremely randomised, Geurts et al. 2006)
predict records that they have not seen much worse; they are there because a Gaussian process as the judge
may favour searches that have one inside.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold

from bench.search.nearby import place_of
from bench.search.records import Records
from spaces.space import Space

__all__ = ["Kind", "Surrogate", "encoded", "quality"]

Floats = npt.NDArray[np.float64]
Kind = Literal["gp", "trees"]
NEIGHBOURS = 3
EXPLAINED, MOST_COMPONENTS = 0.995, 4
"""Share of the curves' variance that the principal components hold, and how many there are at most."""


class Surrogate:
    """What training a configuration would yield.

    Args:
        records: What it is fitted to.
        luck: Share of the residuals that is given back, 0-1.
        kind: What it is fitted with.

    Attributes:
        records: As given.
        space: What it knows the configurations of.
        epochs: Of a training.
    """

    def __init__(self, records: Records, luck: float = 0.35, kind: Kind = "gp") -> None:
        self.records, self.space, self.epochs = records, records.space, records.epochs
        self._recorded = _features(records.space, records.values)
        target = _targets(records)
        self._model = (_Processes if kind == "gp" else _Trees)(self._recorded, target)
        self._residuals = luck * (target - self._model.left_out)[:, :-1]
        self._known: dict[str, tuple[Floats, float, float]] = {}

    def _of(self, values: Mapping[str, Any]) -> tuple[Floats, float, float]:
        key = json.dumps(values, sort_keys=True)
        if key not in self._known:
            own = _features(self.space, [values])
            row = self._model.predict(own)[0]
            digest = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
            distance = np.abs(self._recorded - own).mean(1)
            chosen = np.argsort(distance)[:NEIGHBOURS][digest % NEIGHBOURS]
            curve = np.clip(row[:-2] + self._residuals[chosen][:-1], 0.0, 1.0)
            self._known[key] = (curve, float(row[-2]), float(np.exp(row[-1])))
        return self._known[key]

    def curve(self, values: Mapping[str, Any]) -> Floats:
        """Return the accuracy after each epoch, (epochs,)."""
        return self._of(values)[0]

    def truth(self, values: Mapping[str, Any]) -> float:
        """Return the accuracy at the end, on images that no score was taken on, without luck."""
        return self._of(values)[1]

    def seconds(self, values: Mapping[str, Any]) -> float:
        """Return the seconds of an epoch."""
        return self._of(values)[2]

    def train(self, values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
        """Yield the curve, epoch by epoch."""
        for index, accuracy in enumerate(self.curve(values)):
            yield index + 1, float(accuracy)

    def described(self) -> str:
        """Return what it stands in for, in words."""
        about = self.records.about
        return (
            f"{len(self.records.values)} recorded trainings of space {about['space']}, "
            f"{self.epochs} epochs; {about['data']}, {about['train']:,} training images"
        )


class _Processes:
    """Independent Gaussian processes over the principal components of the targets."""

    def __init__(self, features: Floats, target: Floats) -> None:
        self._mean, self._scale = target.mean(0), np.r_[np.ones(target.shape[1] - 1), 0.1]
        scaled = (target - self._mean) * self._scale
        _, sizes, axes = np.linalg.svd(scaled, full_matrices=False)
        share = np.cumsum(sizes**2) / np.sum(sizes**2)
        count = min(MOST_COMPONENTS, 1 + int(np.searchsorted(share, EXPLAINED)))
        self._axes = axes[:count]
        fitted = [_process(features, scaled @ axis) for axis in self._axes]
        self._means = [_Mean(one) for one in fitted]
        left_out = np.column_stack([_leave_one_out(one) for one in fitted])
        self.left_out = self._back(left_out)

    def _back(self, components: Floats) -> Floats:
        return np.asarray(self._mean + components @ self._axes / self._scale)

    def predict(self, features: Floats) -> Floats:
        """Return the targets, (N, targets)."""
        return self._back(np.column_stack([mean(features) for mean in self._means]))


def _process(features: Floats, target: Floats) -> GaussianProcessRegressor:
    scales = np.full(features.shape[1], 2.0)
    kernel = ConstantKernel(1.0) * Matern(scales, (0.2, 20.0), nu=2.5) + WhiteKernel(
        0.1, (1e-3, 1.0)
    )
    with warnings.catch_warnings():
        # A length scale at its upper end says that the input hardly matters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianProcessRegressor(kernel, normalize_y=True).fit(features, target)


class _Mean:
    """The posterior mean of a fitted process, ten times as fast for one row as scikit-learn's."""

    def __init__(self, process: GaussianProcessRegressor) -> None:
        signal = process.kernel_.k1
        self._scales = signal.k2.length_scale
        self._rows = process.X_train_ / self._scales
        spread = process._y_train_std  # noqa: SLF001 - what its `predict` scales by
        self._weights = process.alpha_ * signal.k1.constant_value * spread
        self._middle = process._y_train_mean  # noqa: SLF001

    def __call__(self, features: Floats) -> Floats:
        far = np.sqrt(5.0) * cdist(features / self._scales, self._rows)
        return np.asarray(
            self._middle + ((1.0 + far + far**2 / 3.0) * np.exp(-far)) @ self._weights
        )


def _leave_one_out(process: GaussianProcessRegressor) -> Floats:
    """Each target as predicted without itself."""
    inverse = np.linalg.inv(process.L_ @ process.L_.T)
    left = process.alpha_ / np.diag(inverse)
    scale, middle = process._y_train_std, process._y_train_mean  # noqa: SLF001
    return np.asarray((process.y_train_ - left) * scale + middle)


class _Trees:
    """Extremely randomised trees."""

    def __init__(self, features: Floats, target: Floats) -> None:
        self._forest = _forest(features, target)
        self.left_out = np.zeros_like(target)
        for fitted, left in KFold(10, shuffle=True, random_state=0).split(features):
            self.left_out[left] = _forest(features[fitted], target[fitted]).predict(features[left])

    def predict(self, features: Floats) -> Floats:
        """Return the targets, (N, targets)."""
        return np.asarray(self._forest.predict(features))


def _forest(features: Floats, target: Floats) -> ExtraTreesRegressor:
    return ExtraTreesRegressor(100, min_samples_leaf=2, max_features=0.5, random_state=0).fit(
        features, target
    )


def quality(fitted: Records, seen: Records, kind: Kind = "gp") -> dict[str, float]:
    """Return how well a surrogate of `fitted` predicts other records, at the end of training.

    Returns:
        Rank correlation, share of variance explained (R squared), and the standard deviation of what is
        left, in points: over all, and over the better half.
    """
    model = (_Processes if kind == "gp" else _Trees)(
        _features(fitted.space, fitted.values), _targets(fitted)
    )
    predicted = model.predict(_features(seen.space, seen.values))[:, fitted.epochs - 1]
    actual = seen.curves[:, -1]
    left, half = actual - predicted, actual >= np.median(actual)
    return {
        "rank correlation": float(spearmanr(predicted, actual).statistic),
        "R squared": float(1 - np.mean(left**2) / actual.var()),
        "left, points": float(100 * left.std()),
        "rank correlation of the better half": float(
            spearmanr(predicted[half], actual[half]).statistic
        ),
        "left there, points": float(100 * left[half].std()),
    }


def _targets(records: Records) -> Floats:
    return np.column_stack([records.curves, records.check, np.log(records.seconds)])


def _features(space: Space, values: Sequence[Mapping[str, Any]]) -> Floats:
    return np.array([encoded(space, one) for one in values])


def encoded(space: Space, values: Mapping[str, Any]) -> list[float]:
    """Return a configuration as numbers: ranges from 0 to 1, a column a choice, -1 for what is absent."""
    row: list[float] = []
    for name, parameter in space.parameters.items():
        value = values.get(name)
        if parameter.options is not None:
            row += [float(value == one) if value is not None else -1.0 for one in parameter.options]
        elif value is None:
            row.append(-1.0)
        else:
            row.append(place_of(parameter, float(value)))
    return row
