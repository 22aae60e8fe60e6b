"""The one decision of a freeze-thaw search: which paused trial goes on, or which new one begins.

`choose_next` is a function of what was observed and of a seed; it neither reads nor writes a study.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.policy.acquisition import Horizon, log_improvement, mutated, next_look
from search.policy.beliefs import Beliefs
from search.policy.cost_model import relative_costs
from search.policy.curve_model import Forecasts
from search.policy.encoding import Encoding

__all__ = ["Choice", "Forecast", "Situation", "Standing", "choose_next", "drawn"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RANDOM, CHANGED = 300, 500
"""New configurations that are considered: random ones, and changes of the best."""
BEST = 3
"""The best so many by their scores, and by what they are predicted to come to, are changed."""
BELIEVED = 1 / 3
"""Share of the random ones that are drawn as beliefs have it."""
TRUST = 3.0
"""Trials that a belief counts as."""
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
        seconds: Mean seconds of its epochs; None where that is not known.
    """

    number: int
    unit: Floats
    at: int
    until: int
    paused: bool
    best: float
    seconds: float | None


@dataclass(frozen=True)
class Situation:
    """What a decision depends on, besides the model.

    Attributes:
        trials: All trials that were begun.
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
    """What is done next.

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
) -> Choice | None:
    """The paused trial that goes on, or the new one that begins; None if there is nothing to choose.

    Args:
        forecasts: What the model predicts from all that was observed.
        situation: The trials, and what may be done.
        encoding: Of their configurations.
        beliefs: What is believed about the best one.
        rng: Where all random choices come from.
    """
    looks, last = situation.looks, situation.looks[-1]
    units = np.array([one.unit for one in situation.trials])
    features = encoding.features(units)
    at = np.array([one.at for one in situation.trials])
    paused = np.array([one.paused and one.at < last for one in situation.trials])
    training = np.array([one.until > one.at for one in situation.trials])
    ends, _ = forecasts.predict(features, np.full(len(units), last))
    if training.any():
        until = np.array([one.until for one in situation.trials])
        forecasts = forecasts.believing(features[training], until[training])
    waiting = np.flatnonzero(paused)
    new = _new(situation, units, ends, encoding, beliefs, rng)
    candidates = np.concatenate([units[waiting], new])
    seen = np.concatenate([features[waiting], encoding.features(new)])
    done = np.concatenate([at[waiting], np.zeros(len(new), dtype=np.int64)])
    target = np.full(len(done), last) if situation.finish else next_look(done, looks)
    allowed = np.ones(len(done), dtype=bool)
    if situation.most is not None:
        allowed = target - done <= situation.most
    if not allowed.any():
        return None
    cost = _costs(situation, features, seen)
    horizon = Horizon.drawn(last, rng)
    reach = target if situation.finish else horizon.reach(done, looks, cost)
    mean, deviation = forecasts.predict(seen, reach)
    best, worst = forecasts.scores.max(), forecasts.scores.min()
    value = log_improvement(mean, deviation, best + horizon.margin * (best - worst))
    if beliefs:
        is_new = np.arange(len(done)) >= len(waiting)
        believed = np.clip(beliefs.log_density(candidates), -3.0, 3.0)
        value = value + np.where(is_new, believed * TRUST / (TRUST + len(units)), 0.0)
    place = int(np.argmax(np.where(allowed, value, -np.inf)))
    forecast = _forecast(forecasts, seen[place], last)
    number = situation.trials[int(waiting[place])].number if place < len(waiting) else None
    look = int(next_look(done[place : place + 1], looks)[0])
    return Choice(number, candidates[place], look, forecast)


def _new(
    situation: Situation,
    units: Floats,
    ends: Floats,
    encoding: Encoding,
    beliefs: Beliefs,
    rng: np.random.Generator,
) -> Floats:
    """(n, p) new configurations to choose among, none of which was begun before."""
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
    """(k,) seconds of an epoch, as multiples of the usual ones."""
    known = [
        (place, one.seconds)
        for place, one in enumerate(situation.trials)
        if one.seconds is not None and one.seconds > 0.0
    ]
    places = np.array([place for place, _ in known], dtype=np.int64)
    return relative_costs(features[places], np.array([s for _, s in known]), asked)


def _forecast(forecasts: Forecasts, features: Floats, last: int) -> Forecast:
    mean, deviation = forecasts.predict(features[None], np.array([last]))
    low, expected, high = (
        round(forecasts.accuracy(float(mean[0] + sign * INTERVAL * deviation[0])), 4)
        for sign in (-1, 0, 1)
    )
    return Forecast(low, expected, high)
