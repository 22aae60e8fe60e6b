"""Configurations near a given one: local changes of some of its parameters."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spaces.parameter import Parameter
from spaces.space import Space

__all__ = ["nearby", "place_of", "uniform", "value_at"]

SHARES = (0.1, 0.25, 0.5)
"""Shares of the parameters that a configuration may have changed."""
STEPS = (0.05, 0.1, 0.25, 0.5)
"""Standard deviations of a change, as shares of the parameter's range."""


def nearby(space: Space, origin: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return `origin` with some parameters changed, at least one if a whole number does not round back.

    A range is left by a normal step, reflected at its ends; a choice becomes any other choice. Where the
    change makes another parameter apply, such as another optimizer's learning rate, that one is uniform.

    Args:
        space: The space that `origin` is a configuration of.
        origin: A value for every parameter that applies.
        rng: Source of the changes.
    """
    share, step = rng.choice(SHARES), rng.choice(STEPS)
    changed = {name for name in space.parameters if rng.random() < share}
    changed.add(str(rng.choice([name for name in space.parameters if name in origin])))
    values: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        if not parameter.applies(values):
            continue
        if name not in origin:
            values[name] = value_at(parameter, rng.random())
        elif name not in changed:
            values[name] = origin[name]
        elif parameter.options is not None:
            others = [one for one in parameter.options if one != origin[name]]
            values[name] = others[rng.integers(len(others))] if others else origin[name]
        else:
            place = abs(place_of(parameter, origin[name]) + rng.normal(0.0, step))
            values[name] = value_at(
                parameter, float(np.clip(2.0 - place if place > 1.0 else place, 0.0, 1.0))
            )
    return values


def uniform(space: Space, rng: np.random.Generator) -> dict[str, Any]:
    """Return a random configuration: as Optuna's random sampler draws, but a hundred times as fast."""
    values: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        if parameter.applies(values):
            values[name] = value_at(parameter, rng.random())
    return values


def place_of(parameter: Parameter, value: float) -> float:
    """Return where `value` lies in a range, from 0 to 1, on the scale that is searched."""
    low, high = _ends(parameter)
    own = float(np.log(value)) if parameter.log else float(value)
    return (own - low) / (high - low)


def value_at(parameter: Parameter, place: float) -> Any:
    """Return the value at `place`, from 0 to 1: the inverse of `place_of`; each choice is as wide."""
    if parameter.options is not None:
        return parameter.options[
            min(int(place * len(parameter.options)), len(parameter.options) - 1)
        ]
    low, high = _ends(parameter)
    own = low + place * (high - low)
    own = float(np.exp(own)) if parameter.log else own
    return parameter.clip(round(own) if parameter.is_integer else own)


def _ends(parameter: Parameter) -> tuple[float, float]:
    low, high = (float(end) for end in parameter.extremes())
    return (float(np.log(low)), float(np.log(high))) if parameter.log else (low, high)
