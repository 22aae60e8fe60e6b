"""The variance of a model's predictions over a space, divided among its parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.policy.model.coordinates import count_of, value_at
from search.policy.model.curve_model import CurveModel, Forecasts
from search.policy.model.encoding import Encoding
from search.policy.model.function_samples import draw_functions, draw_hyperparameters
from search.policy.model.gaussian_process import Floats, Points, Posterior
from search.results.shares import Interval, Level, ParameterImportance
from search.study.rows import TrialRow

if TYPE_CHECKING:
    from spaces.parameter import Value

__all__ = ["Decomposition"]

MATTERS = 0.05
"""Share of the variance from which a parameter matters."""
SURE = 0.9
"""Probability from which that is called clear."""
HYPERPARAMETERS, FUNCTIONS = 16, 12
"""Draws of the model's hyperparameters, and of functions for each."""
BACKGROUNDS, LEVELS = 48, 8
"""Configurations beside which a parameter takes each of its levels, and the levels of a range."""
MOST_OPTIONS = 12
"""A range of at most so many values has all of them as levels."""
BASE = 1024
"""Configurations among which those are found in which a parameter applies."""
MOST_SCORES = 120
"""Scores that the model is fitted to; its time grows with their cube."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Table:
    """One parameter at each of its levels beside the same configurations.

    Attributes:
        place: The parameter's place among the encoding's.
        levels: (G,) coordinates.
        units: (M * G, p) configurations, the levels changing fastest.
        applies: Share of the space in which the parameter applies.
    """

    place: int
    levels: Floats
    units: Floats
    applies: float


class Decomposition:
    """The model of a study, and the draws from it."""

    def __init__(
        self,
        encoding: Encoding,
        model: CurveModel,
        forecasts: Forecasts,
        epochs: int,
        rng: np.random.Generator,
    ) -> None:
        self._encoding, self._model, self._forecasts = encoding, model, forecasts
        self._epochs, self._rng = epochs, rng

    def ends(self, rows: Sequence[TrialRow]) -> dict[int, Interval]:
        """Return the accuracy predicted for the last epoch of each trial."""
        units = np.array([self._encoding.unit(row.values) for row in rows])
        mean, deviation = self._forecasts.predict(
            self._encoding.features(units), np.full(len(rows), self._epochs)
        )
        accuracy = self._forecasts.accuracy
        return {
            row.number: Interval(*(accuracy(m + z * d) for z in (-1.645, 0.0, 1.645)))
            for row, m, d in zip(rows, mean, deviation, strict=True)
        }

    def parameters(self, logs: Floats) -> tuple[ParameterImportance, ...]:
        """Return the parameters, the largest share first."""
        tables = self._tables()
        draws = self._draws(logs, np.concatenate([one.units for one in tables]))
        ends = np.cumsum([len(one.units) for one in tables])[:-1]
        values = [
            part.reshape(-1, len(one.levels), draws.shape[1])  # (M, G, S)
            for one, part in zip(tables, np.split(draws, ends), strict=True)
        ]
        everywhere = [
            part.reshape(-1, draws.shape[1])
            for one, part in zip(tables, values, strict=True)
            if one.applies == 1.0
        ]
        variance = np.maximum(np.concatenate(everywhere).var(axis=0), 1e-12)  # (S,)
        found = [
            self._parameter(one, part, variance) for one, part in zip(tables, values, strict=True)
        ]
        return tuple(sorted(found, key=lambda one: (-one.share.middle, one.name)))

    def _parameter(self, table: _Table, values: Floats, variance: Floats) -> ParameterImportance:
        encoding = self._encoding
        name = encoding.names[table.place]
        distribution = encoding.distribution(name)
        own, total = _effects(values)
        share = np.minimum(table.applies * own / variance, 1.0)
        both = np.minimum(table.applies * total / variance, 1.0)
        effect = values.mean(axis=0)  # (G, S)
        accuracy = self._forecasts.accuracy
        levels: dict[Value, Level] = {}
        for coordinate, scores in zip(table.levels, effect, strict=True):
            unit = np.full((1, len(encoding)), coordinate)
            value = value_at(distribution, float(encoding.snap(unit)[0, table.place]))
            one = Interval.of(scores)
            levels[value] = Level(value, Interval(*map(accuracy, (one.low, one.middle, one.high))))
        return ParameterImportance(
            name=name,
            share=Interval.of(share),
            total=Interval.of(both),
            applies=table.applies,
            verdict=_verdict(share, both),
            levels=tuple(levels.values()),
        )

    def _tables(self) -> list[_Table]:
        from scipy.stats import qmc  # which takes a second to load

        encoding = self._encoding
        # Evenly spread, so that few configurations stand for the space.
        sobol = qmc.Sobol(len(encoding), scramble=False).random(BASE)
        base = (sobol + self._rng.random(len(encoding))) % 1.0  # (BASE, p)
        found = []
        for place, name in enumerate(encoding.names):
            applies = _applies(encoding, base, place)
            levels = _levels(encoding.distribution(name))
            beside = base[applies][:BACKGROUNDS]
            if len(beside) < 2:
                continue
            units = np.repeat(beside, len(levels), axis=0)
            units[:, place] = np.tile(levels, len(beside))
            found.append(_Table(place, levels, units, float(applies.mean())))
        return found

    def _draws(self, logs: Floats, units: Floats) -> Floats:
        """(k, S) functions at (k, p) configurations after their last epoch."""
        posterior = self._forecasts.posterior
        scores = posterior.factor @ (posterior.factor.T @ posterior.weights)
        some = _some(posterior.points)
        points, scores, prior = posterior.points[some], scores[some], posterior.prior
        at = self._model.points(self._encoding.features(units), np.full(len(units), self._epochs))
        hyperparameters = draw_hyperparameters(points, scores, prior, logs, self._rng)
        return np.concatenate(
            [
                draw_functions(
                    Posterior.condition(points, scores, prior, one),
                    scores,
                    at,
                    FUNCTIONS,
                    self._rng,
                )
                for one in islice(hyperparameters, HYPERPARAMETERS)
            ],
            axis=1,
        )


def _verdict(share: Floats, both: Floats) -> Literal["yes", "no", "unclear"]:
    """Return whether a parameter matters, from (S,) draws of its share alone and with interactions."""
    if float((share >= MATTERS).mean()) >= SURE:
        return "yes"
    return "no" if float((both < MATTERS).mean()) >= SURE else "unclear"


def _effects(values: Floats) -> tuple[Floats, Floats]:
    """Return the variances that a parameter causes alone, and with its interactions; (S,) each.

    Args:
        values: (M, G, S) functions at each of G levels beside the same M configurations.
    """
    configurations, levels, _ = values.shape
    column = values.mean(axis=0)  # (G, S)
    alone = column.var(axis=0)
    rest = values - values.mean(axis=1, keepdims=True) - column + column.mean(axis=0)
    interaction = (rest**2).sum(axis=(0, 1)) / ((configurations - 1) * max(levels - 1, 1))
    # A mean over few configurations varies with the level by chance, too.
    alone -= interaction * (levels - 1) / levels / configurations
    return np.maximum(alone, 0.0), values.var(axis=1).mean(axis=0)


def _levels(distribution: BaseDistribution) -> Floats:
    """(G,) coordinates of a parameter's values, evenly spread and in their order."""
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        middles = (np.arange(count) + 0.5) / count
        if all(isinstance(c, int | float) for c in distribution.choices):
            return np.asarray(middles[np.argsort(np.array(distribution.choices, dtype=float))])
        return middles
    count = count_of(distribution) or LEVELS
    is_even = count <= MOST_OPTIONS and not getattr(distribution, "log", False)
    count = count if is_even else LEVELS
    return np.asarray((np.arange(count) + 0.5) / count)


def _applies(encoding: Encoding, units: Floats, place: int) -> npt.NDArray[np.bool_]:
    """(n,) whether a parameter applies; what does not is settled in the middle."""
    asked = units.copy()
    asked[:, place] = 0.0
    return np.asarray(encoding.settle(asked)[:, place] != 0.5)


def _some(points: Points) -> Ints:
    """Return which scores are used of too many: the last of each configuration, and a spread of others."""
    count = len(points)
    if count <= MOST_SCORES:
        return np.arange(count)
    _, owner = np.unique(points.configurations, axis=0, return_inverse=True)
    order = np.lexsort((-points.progress[:, 0], owner.ravel()))
    last = order[np.unique(owner.ravel()[order], return_index=True)[1]]
    rest = np.setdiff1d(order, last)
    chosen = [
        group[np.linspace(0, len(group) - 1, most).round().astype(np.int64)]
        for group, most in (
            (last, min(len(last), MOST_SCORES)),
            (rest, max(0, MOST_SCORES - len(last))),
        )
        if most
    ]
    return np.sort(np.concatenate(chosen))
