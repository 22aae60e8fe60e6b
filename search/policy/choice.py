"""The one decision of a freeze-thaw search: which paused trial goes on, or which new one begins.

`choose_next` is a function of what was observed and of a seed; it neither reads nor writes a study.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.policy.acquisition import Horizon, next_look
from search.policy.beliefs import Beliefs
from search.policy.candidates import Candidates, candidates, predicted_ends
from search.policy.model.curve_model import Forecasts
from search.policy.model.encoding import Encoding
from search.policy.model.tabled_forecasts import TabledForecasts
from search.policy.situation import Situation

__all__ = ["Choice", "Forecast", "choose_next", "drawn"]

Floats = npt.NDArray[np.float64]

SHORTLIST = 64
"""Candidates that all but the first of several choices are made among."""
MOST_TRAINING = 150
"""Running trials that are taken to come out as predicted, of more that there are."""
INTERVAL = 1.645
"""Standard deviations on either side that hold nine of ten."""


@dataclass(frozen=True)
class Forecast:
    """The reason that a trial goes on: its predicted end.

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
    training = _some_that_train(situation)
    ends = predicted_ends(situation, features, forecasts)
    if len(training):
        until = np.array([one.until for one in situation.trials])
        forecasts = forecasts.believing(features[training], until[training])
    pool = candidates(situation, units, features, ends, encoding, beliefs, rng)
    horizons = [Horizon.drawn(last, rng) for _ in range(count)]
    if not len(pool) or not horizons:
        return []
    value = pool.value(forecasts, horizons[0], situation)
    best = int(np.argmax(value))
    found = [_choice(pool, best, looks, _forecast(forecasts, pool.features[best], last))]
    if count == 1:
        return found
    # All others among the most promising, whose posterior is computed once.
    order = np.argsort(-value, kind="stable")[: max(SHORTLIST, 2 * count)]
    pool = pool.some(order)
    reached = [one.reach(pool.done, looks) for one in horizons]
    ends_of_all = np.full(len(pool), last)
    table = TabledForecasts(
        forecasts, pool.features, [*reached, next_look(pool.done, looks), ends_of_all]
    )
    left = np.ones(len(pool), dtype=np.bool_)
    best = 0
    for horizon in horizons[1:]:
        left[best] = False
        table.believe(best, found[-1].until)
        if not left.any():
            break
        best = int(np.argmax(np.where(left, pool.value(table, horizon, situation), -np.inf)))
        forecast = _forecast(forecasts, pool.features[best], last)
        found.append(_choice(pool, best, looks, forecast))
    return found


def _some_that_train(situation: Situation) -> npt.NDArray[np.intp]:
    """Places of the trials that are being trained; of many the newest, which are where one looks now."""
    places = np.flatnonzero([one.until > one.at for one in situation.trials])
    return places[-MOST_TRAINING:]


def _choice(pool: Candidates, place: int, looks: Sequence[int], forecast: Forecast) -> Choice:
    look = int(next_look(pool.done[place : place + 1], looks)[0])
    number = int(pool.numbers[place])
    return Choice(None if number < 0 else number, pool.units[place], look, forecast)


def _forecast(forecasts: Forecasts, features: Floats, last: int) -> Forecast:
    mean, deviation = forecasts.predict(features[None], np.array([last]))
    low, expected, high = (
        round(forecasts.accuracy(float(mean[0] + sign * INTERVAL * deviation[0])), 4)
        for sign in (-1, 0, 1)
    )
    return Forecast(low, expected, high)
