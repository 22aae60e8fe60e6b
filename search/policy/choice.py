"""The one decision of a freeze-thaw search: which paused trial goes on, or which new one begins.

`choose_next` is a function of what was observed and of a seed; it neither reads nor writes a study.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.policy.acquisition import Horizon, log_improvement, mutated, next_look
from search.policy.beliefs import Beliefs
from search.policy.model.cost_model import relative_costs
from search.policy.model.curve_model import Forecasts
from search.policy.model.encoding import Encoding

__all__ = ["Choice", "Forecast", "Situation", "Standing", "choose_next", "drawn"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RANDOM, CHANGED = 300, 500
"""New configurations that are considered: random ones, and changes of the best."""
BEST = 3
"""Number of the best configurations, by score and by predicted end, that are mutated."""
PREDICTED = 128
"""Trials with the best scores, whose ends are predicted together with those of the paused ones."""
BELIEVED = 1 / 3
"""Share of the random ones that are drawn as beliefs have it."""
TRUST = 3.0
"""Trials that a belief counts as."""
MOST_BELIEVED = 3.0
"""Largest logarithm of a density that is believed, either way."""
SHORTLIST = 64
"""Candidates that all but the first of several choices are made among."""
INTERVAL = 1.645
"""Standard deviations on either side that hold nine of ten."""


@dataclass(frozen=True)
class Standing:
    """A trial of the search.

    Attributes:
        number: Its number in the study.
        unit: (p,) coordinates of its configuration.
        at: Epochs that it was trained for.
        until: The epoch that it is trained to if it is running, else `at`.
        paused: It may be chosen to go on.
        best: The best of its scores; 0 before the first.
        cost: What one of its epochs costs, in any unit; None where that is not known.
    """

    number: int
    unit: Floats
    at: int
    until: int
    paused: bool
    best: float
    cost: float | None


@dataclass(frozen=True)
class Situation:
    """The circumstances of a decision, apart from the model.

    Attributes:
        trials: All trials that were started.
        looks: Epochs at which trials may pause, the last a whole training.
        may_begin: A new trial is a choice.
        most: Epochs that the chosen trial may be trained for until its next look; None for no limit.
        finish: Only what can be trained to its end within `most` is a choice, and it is judged by its
            end.
    """

    trials: Sequence[Standing]
    looks: Sequence[int]
    may_begin: bool
    most: int | None = None
    finish: bool = False


@dataclass(frozen=True)
class Forecast:
    """Why a trial goes on: what it is predicted to come to at its end.

    Attributes:
        low: Validation accuracy that it will exceed with a probability of 95 %.
        expected: The median.
        high: What it will not exceed, with the same probability.
    """

    low: float
    expected: float
    high: float


@dataclass(frozen=True)
class Choice:
    """The decision: a trial to continue or start.

    Attributes:
        number: The paused trial that goes on; None where a new one begins.
        unit: (p,) coordinates of its configuration.
        until: The epoch of its next look.
        forecast: What it is predicted to come to; None where nothing could be predicted.
    """

    number: int | None
    unit: Floats
    until: int
    forecast: Forecast | None = None


def drawn(
    encoding: Encoding, beliefs: Beliefs, looks: Sequence[int], rng: np.random.Generator
) -> Choice:
    """A new configuration, drawn at random, every other one as beliefs have it."""
    believed = bool(beliefs) and rng.random() < 0.5
    unit = (beliefs.draw(1, rng) if believed else encoding.draw(1, rng))[0]
    return Choice(None, unit, looks[0])


def choose_next(
    forecasts: Forecasts,
    situation: Situation,
    encoding: Encoding,
    beliefs: Beliefs,
    rng: np.random.Generator,
    count: int = 1,
) -> list[Choice]:
    """Choose the paused trials that continue, or the new ones that start.

    Args:
        forecasts: What the model predicts from all that was observed.
        situation: The trials, and what may be done.
        encoding: Of their configurations.
        beliefs: What is believed about the best one.
        rng: Source of all random choices.
        count: How many are wanted. All but the first are chosen among the most promising for the first one.

    Returns:
        The choices, each made as if those before it had turned out as predicted; fewer where nothing is
        left to choose.
    """
    looks, last = situation.looks, situation.looks[-1]
    units = np.array([one.unit for one in situation.trials])
    features = encoding.features(units)
    training = np.array([one.until > one.at for one in situation.trials])
    ends = _ends(situation, features, forecasts)
    if training.any():
        until = np.array([one.until for one in situation.trials])
        forecasts = forecasts.believing(features[training], until[training])
    pool = _candidates(situation, units, features, ends, encoding, beliefs, rng)
    chosen: list[Choice] = []
    while len(pool) and len(chosen) < count:
        horizon = Horizon.drawn(last, rng)
        value = pool.value(forecasts, horizon, looks, finish=situation.finish)
        best = int(np.argmax(value))
        forecast = _forecast(forecasts, pool.features[best], last)
        look = int(next_look(pool.done[best : best + 1], looks)[0])
        number = int(pool.numbers[best])
        chosen.append(Choice(None if number < 0 else number, pool.units[best], look, forecast))
        if len(chosen) < count:
            forecasts = forecasts.believing(pool.features[best : best + 1], np.array([look]))
            order = np.argsort(-value, kind="stable")[1 : SHORTLIST + 1]
            pool = pool.some(order)
    return chosen


@dataclass(frozen=True)
class _Candidates:
    """The paused trials and new configurations that are a choice.

    Attributes:
        numbers: (n,) numbers of the trials; -1 for new ones.
        units: (n, p) coordinates of the configurations.
        features: (n, d) their features.
        done: (n,) epochs trained.
        cost: (n,) what an epoch costs, as multiples of what it usually does.
        bonus: (n,) what beliefs add to the logarithm of the acquisition.
    """

    numbers: Ints
    units: Floats
    features: Floats
    done: Ints
    cost: Floats
    bonus: Floats

    def __len__(self) -> int:
        return len(self.numbers)

    def some(self, places: Ints) -> "_Candidates":
        """Return those at these places."""
        return _Candidates(
            self.numbers[places],
            self.units[places],
            self.features[places],
            self.done[places],
            self.cost[places],
            self.bonus[places],
        )

    def value(
        self, forecasts: Forecasts, horizon: Horizon, looks: Sequence[int], *, finish: bool
    ) -> Floats:
        """Return the logarithm of the acquisition, (n,)."""
        reach = np.full(len(self), looks[-1]) if finish else horizon.reach(self.done, looks)
        mean, deviation = forecasts.predict(self.features, reach)
        best, worst = forecasts.scores.max(), forecasts.scores.min()
        threshold = float(best + horizon.margin * (best - worst))
        return log_improvement(mean, deviation, threshold, self.cost) + self.bonus


def _candidates(
    situation: Situation,
    units: Floats,
    features: Floats,
    ends: Floats,
    encoding: Encoding,
    beliefs: Beliefs,
    rng: np.random.Generator,
) -> _Candidates:
    """Return what may be chosen."""
    last = situation.looks[-1]
    waiting = [place for place, one in enumerate(situation.trials) if one.paused]
    numbers = np.array([situation.trials[place].number for place in waiting], dtype=np.int64)
    at = np.array([situation.trials[place].at for place in waiting], dtype=np.int64)
    new = _new(situation, units, ends, encoding, beliefs, rng)
    seen = np.concatenate([features[waiting], encoding.features(new)])
    done = np.concatenate([at, np.zeros(len(new), dtype=np.int64)])
    bonus = np.zeros(len(done))
    if beliefs and len(new):
        believed = np.clip(beliefs.log_density(new), -MOST_BELIEVED, MOST_BELIEVED)
        bonus[len(waiting) :] = believed * TRUST / (TRUST + len(units))
    found = _Candidates(
        np.concatenate([numbers, np.full(len(new), -1)]),
        np.concatenate([units[waiting], new]),
        seen,
        done,
        _costs(situation, features, seen),
        bonus,
    )
    if situation.most is None:
        return found
    target = np.full(len(done), last) if situation.finish else next_look(done, situation.looks)
    return found.some(np.flatnonzero(target - done <= situation.most))


def _ends(situation: Situation, features: Floats, forecasts: Forecasts) -> Floats:
    """(n,) predicted ends of the trials; minus infinity for those that are surely not among the best."""
    trials = situation.trials
    scores = np.array([one.best for one in trials])
    some = np.zeros(len(trials), dtype=np.bool_)
    some[np.argsort(-scores, kind="stable")[:PREDICTED]] = True
    some |= np.array([one.paused for one in trials])
    ends = np.full(len(trials), -np.inf)
    last = np.full(int(some.sum()), situation.looks[-1])
    ends[some] = forecasts.predict(features[some], last)[0]
    return ends


def _new(
    situation: Situation,
    units: Floats,
    ends: Floats,
    encoding: Encoding,
    beliefs: Beliefs,
    rng: np.random.Generator,
) -> Floats:
    """(n, p) new candidate configurations, none of which was started before."""
    if not situation.may_begin:
        return np.zeros((0, len(encoding)))
    scores = np.array([one.best for one in situation.trials])
    best = np.unique(
        np.concatenate([np.argsort(-one, kind="stable")[:BEST] for one in (scores, ends)])
    )
    believed = round(RANDOM * BELIEVED) if beliefs else 0
    found = [encoding.draw(RANDOM - believed, rng), mutated(units[best], CHANGED, rng)]
    if believed:
        found.append(beliefs.draw(believed, rng))
    new = encoding.settle(np.concatenate(found))
    begun = {one.tobytes() for one in encoding.settle(units)}
    fresh = np.array([one.tobytes() not in begun for one in new])
    # A small space may have nothing left that is new: then anything may be trained once more.
    return new[fresh] if fresh.any() else new


def _costs(situation: Situation, features: Floats, asked: Floats) -> Floats:
    """(k,) what an epoch costs, as multiples of what it usually does."""
    known = [
        (place, one.cost)
        for place, one in enumerate(situation.trials)
        if one.cost is not None and one.cost > 0.0
    ]
    places = np.array([place for place, _ in known], dtype=np.int64)
    return relative_costs(features[places], np.array([cost for _, cost in known]), asked)


def _forecast(forecasts: Forecasts, features: Floats, last: int) -> Forecast:
    mean, deviation = forecasts.predict(features[None], np.array([last]))
    low, expected, high = (
        round(forecasts.accuracy(float(mean[0] + sign * INTERVAL * deviation[0])), 4)
        for sign in (-1, 0, 1)
    )
    return Forecast(low, expected, high)
