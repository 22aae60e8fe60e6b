"""What mattered in a study: each parameter's share of the variance of the predicted final accuracy.

The prediction is that of the search's own model of training curves, fitted to this study's trials alone.
It uses every trial with a score, so those that were stopped early count too, where they were stopped.
Functions are drawn from the model; for each, the variance over the whole space is divided among the
parameters (Sobol' 1993; Saltelli et al. 2008, "Global Sensitivity Analysis"). The spread of the shares over
the functions is what the model does not know.

A parameter that applies only beside certain choices, such as one optimizer's learning rate, has the
variance that it causes where it applies, times the share of the space in which it applies. With this
weight, the shares of all parameters alone add up to at most 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution
from scipy.stats import qmc

from cifar_core.seeds import derive
from search.lr_range.bounds import with_bounds
from search.policy.model.coordinates import count_of, value_at
from search.policy.model.curve_model import Curve, CurveModel, Forecasts
from search.policy.model.encoding import Encoding
from search.policy.model.function_samples import draw_functions, draw_hyperparameters
from search.policy.model.gaussian_process import FitError, Floats, Points, Posterior
from search.results.summary import Summary
from search.study.rows import TrialRow
from spaces.parameter import Value
from spaces.space import Space

__all__ = [
    "Importance",
    "Interval",
    "Level",
    "ParameterImportance",
    "Unknown",
    "importance_of",
    "in_words",
    "what_mattered",
]

LEAST_TRIALS = 10
"""Trials with a score without which nothing is said."""
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
LOW, HIGH = 0.05, 0.95
"""Ends of all intervals, as quantiles."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A median with the interval that has 90 % of the probability."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, draws: Floats) -> "Interval":
        """Return the interval of (n,) draws."""
        low, middle, high = np.quantile(draws, [LOW, 0.5, HIGH])
        return cls(float(low), float(middle), float(high))


@dataclass(frozen=True)
class Level:
    """A value of a parameter and the accuracy predicted for it, averaged over all other parameters."""

    value: Value
    accuracy: Interval


@dataclass(frozen=True)
class ParameterImportance:
    """What one parameter did.

    Attributes:
        name: The parameter.
        share: Its own share of the variance of the predicted final accuracy, 0-1.
        total: The same with all interactions that it has a part in.
        applies: Share of the space in which it applies, 0-1.
        verdict: ``yes`` if its own share is at least 5 % with a probability of 90 %, ``no`` if with all
            interactions it is less: where trials say little, a share alone is small for any parameter.
        levels: Its effect, in the order of its values.
    """

    name: str
    share: Interval
    total: Interval
    applies: float
    verdict: Literal["yes", "no", "unclear"]
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Importance:
    """What mattered in a study.

    Attributes:
        parameters: The parameters, the largest share first.
        trials: Trials with a score.
        stopped: Of these, trials that did not reach their last epoch.
        ends: Final accuracy predicted for each of these trials, by number, without the luck of its seed.
    """

    parameters: tuple[ParameterImportance, ...]
    trials: int
    stopped: int
    ends: Mapping[int, Interval]

    @property
    def clear(self) -> list[ParameterImportance]:
        """The parameters that clearly mattered."""
        return [one for one in self.parameters if one.verdict == "yes"]

    def to_dict(self) -> dict[str, Any]:
        """Return the shares as plain JSON."""
        return {
            "trials": self.trials,
            "stopped": self.stopped,
            "parameters": [
                {
                    "name": one.name,
                    "share": asdict(one.share),
                    "with_interactions": asdict(one.total),
                    "verdict": one.verdict,
                }
                for one in self.parameters
            ],
        }


@dataclass(frozen=True)
class Unknown:
    """Nothing can be said, for this reason."""

    reason: str


def importance_of(space: Space, rows: Sequence[TrialRow], seed: int = 0) -> Importance | Unknown:
    """Return what mattered, or why that cannot be said.

    The same trials give the same figures.

    Args:
        space: The space in the ranges that it was searched in.
        rows: The trials.
        seed: Random seed.
    """
    scored = [row for row in sorted(rows, key=lambda row: row.number) if row.scores and row.values]
    if len(scored) < LEAST_TRIALS:
        trials = "trial has" if len(scored) == 1 else "trials have"
        return Unknown(
            f"{len(scored) or 'no'} {trials} a score; at least {LEAST_TRIALS} are needed to tell "
            "parameters apart."
        )
    encoding = Encoding(space.suggest)
    if len(encoding) < 2:
        return Unknown("the space has fewer than two parameters, so there is nothing to compare.")
    model = CurveModel(encoding, space.epochs)
    try:
        forecasts, known = model.observe(
            [Curve(encoding.unit(row.values), row.scores) for row in scored], None
        )
        if forecasts is None or known is None:
            return Unknown("all trials have the same score, so there is nothing to explain.")
        rng = np.random.default_rng(derive(seed, "importance"))
        found = _Decomposition(encoding, model, forecasts, space.epochs, rng)
        return Importance(
            found.parameters(np.array(known.logs)),
            len(scored),
            sum(row.state != "complete" for row in scored),
            found.ends(scored),
        )
    except FitError as error:
        return Unknown(f"the model cannot be fitted ({error}).")


def what_mattered(summary: Summary) -> Importance | Unknown:
    """Return what mattered in a study, in the ranges that it searches."""
    settings = summary.settings
    return importance_of(with_bounds(settings.space, summary.bounds), summary.rows, settings.seed)


def in_words(found: Importance) -> str:
    """Return in a few sentences what mattered."""
    by_verdict = {
        verdict: [one for one in found.parameters if one.verdict == verdict]
        for verdict in ("yes", "unclear", "no")
    }
    clear, unclear, rest = by_verdict["yes"], by_verdict["unclear"], by_verdict["no"]
    words = f"Clearly mattered: {_listed(clear)}." if clear else "No parameter clearly mattered."
    if unclear:
        more = f" and {len(unclear) - 4} more" if len(unclear) > 5 else ""
        words += f" Unclear: {_listed(unclear[: 4 if more else 5])}{more}."
    if rest:
        words += (
            f" {'The other' if clear or unclear else 'All'} {len(rest)} clearly have less than 5 %, "
            "interactions included."
        )
    stopped = f", {found.stopped} of them stopped or unfinished" if found.stopped else ""
    return f"{words} Shares of the variance of the final accuracy, from {found.trials} trials{stopped}."


def _listed(parameters: Sequence[ParameterImportance]) -> str:
    """Parameters with their share in percent and its interval."""
    return ", ".join(
        f"{one.name} {100 * one.share.middle:.0f} % "
        f"({100 * one.share.low:.0f} to {100 * one.share.high:.0f})"
        for one in parameters
    )


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


class _Decomposition:
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
            value, one = value_at(distribution, float(coordinate)), Interval.of(scores)
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
    """Whether a parameter matters, from (S,) draws of its share alone and with interactions."""
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
