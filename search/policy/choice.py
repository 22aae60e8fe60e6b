"""The one decision of a freeze-thaw search: which paused trial goes on, or which new one begins.

`choose_next` is a function of what was observed and of a seed; it neither reads nor writes a study.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.policy.acquisition import Horizon, next_look
from search.policy.beliefs import Beliefs
from search.policy.candidates import candidates, predicted_ends
from search.policy.model.curve_model import Forecasts
from search.policy.model.encoding import Encoding
from search.policy.situation import Situation

__all__ = ["Choice", "Forecast", "choose_next", "drawn"]

Floats = npt.NDArray[np.float64]

SHORTLIST = 64
"""Candidates that all but the first of several choices are made among."""
INTERVAL = 1.645
"""Standard deviations on either side that hold nine of ten."""


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
    ends = predicted_ends(situation, features, forecasts)
    if training.any():
        until = np.array([one.until for one in situation.trials])
        forecasts = forecasts.believing(features[training], until[training])
    pool = candidates(situation, units, features, ends, encoding, beliefs, rng)
    chosen: list[Choice] = []
    while len(pool) and len(chosen) < count:
        horizon = Horizon.drawn(last, rng)
        value = pool.value(forecasts, horizon, situation)
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


def _forecast(forecasts: Forecasts, features: Floats, last: int) -> Forecast:
    mean, deviation = forecasts.predict(features[None], np.array([last]))
    low, expected, high = (
        round(forecasts.accuracy(float(mean[0] + sign * INTERVAL * deviation[0])), 4)
        for sign in (-1, 0, 1)
    )
    return Forecast(low, expected, high)
