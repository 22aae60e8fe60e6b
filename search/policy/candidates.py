"""The paused trials and new configurations that a decision is made among, and what each is worth."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.policy.acquisition import COST_POWER, Horizon, log_improvement, mutated, next_look
from search.policy.beliefs import Beliefs
from search.policy.model.cost_model import relative_costs
from search.policy.model.curve_model import Forecasts
from search.policy.model.encoding import Encoding
from search.policy.model.tabled_forecasts import TabledForecasts
from search.policy.situation import Situation

__all__ = ["Candidates", "candidates", "predicted_ends"]

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
LEAST_GAIN = 0.05
"""Where nothing is expected to better the best by this many standard deviations of all scores within the
horizon, nothing has a chance there."""


@dataclass(frozen=True)
class Candidates:
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

    def some(self, places: Ints) -> "Candidates":
        """Return those at these places."""
        return Candidates(
            self.numbers[places],
            self.units[places],
            self.features[places],
            self.done[places],
            self.cost[places],
            self.bonus[places],
        )

    def value(
        self, forecasts: Forecasts | TabledForecasts, horizon: Horizon, situation: Situation
    ) -> Floats:
        """Return the logarithm of the acquisition, (n,).

        Where nothing has a chance within the horizon, the most uncertain is worth most, however poor it is.
        Early in a search that is a welcome look around. Late, the best score is usually that of a finished
        training, so it would go on and on: then the improvement at the end counts, per epoch until there.
        """
        looks, finish = situation.looks, situation.finish
        ends = np.full(len(self), looks[-1])
        best, worst = forecasts.scores.max(), forecasts.scores.min()
        threshold = float(best + horizon.margin * (best - worst))
        reach = ends if finish else horizon.reach(self.done, looks)
        found = log_improvement(*forecasts.predict(self.features, reach), threshold)
        if situation.late and not finish and found.max() < np.log(LEAST_GAIN):
            found = log_improvement(*forecasts.predict(self.features, ends), threshold)
            found -= np.log(ends - self.done)
        return found - COST_POWER * np.log(self.cost) + self.bonus


def candidates(
    situation: Situation,
    units: Floats,
    features: Floats,
    ends: Floats,
    encoding: Encoding,
    beliefs: Beliefs,
    rng: np.random.Generator,
) -> Candidates:
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
    found = Candidates(
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


def predicted_ends(situation: Situation, features: Floats, forecasts: Forecasts) -> Floats:
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
