"""The values of one parameter as coordinates from 0 to 1, on the scale that it is searched on.

Choices and whole numbers divide the coordinates among themselves evenly, so that all are as likely.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.policy.knowledge import Value

__all__ = ["choice_at", "coordinate_of", "count_of", "option_of", "snapped", "value_at"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def count_of(distribution: BaseDistribution) -> int | None:
    """Return the number of values of a range; None where it has no steps."""
    if isinstance(distribution, IntDistribution):
        return int((distribution.high - distribution.low) // distribution.step) + 1
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        return round((distribution.high - distribution.low) / distribution.step) + 1
    return None


def _ends(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Return what coordinates 0 and 1 stand for: half a step beyond the first and the last value."""
    half = 0.0 if distribution.step is None else distribution.step / 2
    low, high = distribution.low - half, distribution.high + half
    return (float(np.log(low)), float(np.log(high))) if distribution.log else (low, high)


def coordinate_of(distribution: BaseDistribution, value: Any) -> float:
    """Return where a value lies: at the nearest end if outside, in the middle if unknown."""
    if isinstance(distribution, CategoricalDistribution):
        if value not in distribution.choices:
            return 0.5
        return (distribution.to_internal_repr(value) + 0.5) / len(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)  # noqa: S101 - for mypy
    if isinstance(value, bool | str):
        return 0.5
    low, high = _ends(distribution)
    own = min(max(float(value), distribution.low), distribution.high)
    return ((float(np.log(own)) if distribution.log else own) - low) / (high - low)


def value_at(distribution: BaseDistribution, coordinate: float) -> Value:
    """Return the value that is nearest to a coordinate."""
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        chosen: Any = distribution.choices[min(int(coordinate * count), count - 1)]
        return chosen  # type: ignore[no-any-return]
    assert isinstance(distribution, FloatDistribution | IntDistribution)  # noqa: S101 - for mypy
    low, high = _ends(distribution)
    raw = low + coordinate * (high - low)
    raw = float(np.exp(raw)) if distribution.log else raw
    if distribution.step is not None:
        steps = round((raw - distribution.low) / distribution.step)
        raw = distribution.low + steps * distribution.step
    raw = min(max(raw, distribution.low), distribution.high)
    return int(raw) if isinstance(distribution, IntDistribution) else raw


def snapped(distribution: BaseDistribution, coordinates: Floats) -> Floats:
    """Return the (n,) coordinates of the values that are nearest to (n,) coordinates."""
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        return (choice_at(coordinates, count) + 0.5) / count
    assert isinstance(distribution, FloatDistribution | IntDistribution)  # noqa: S101 - for mypy
    clipped = np.clip(coordinates, 0.0, 1.0)
    if distribution.step is None:
        return clipped
    low, high = _ends(distribution)
    raw = low + clipped * (high - low)
    raw = np.exp(raw) if distribution.log else raw
    steps = np.round((raw - distribution.low) / distribution.step)
    raw = np.clip(distribution.low + steps * distribution.step, distribution.low, distribution.high)
    return np.asarray(((np.log(raw) if distribution.log else raw) - low) / (high - low))


def choice_at(coordinates: Floats, count: int) -> Ints:
    """Return the index of the choice that each coordinate stands for, (n,), counted from 0."""
    return np.clip((coordinates * count).astype(np.int64), 0, count - 1)


def option_of(distribution: BaseDistribution, coordinates: Floats) -> Ints:
    """(n,) which of the values of a discrete parameter these are."""
    if isinstance(distribution, CategoricalDistribution):
        return choice_at(coordinates, len(distribution.choices))
    assert isinstance(distribution, FloatDistribution | IntDistribution)  # noqa: S101 - for mypy
    low, high = _ends(distribution)
    raw = low + coordinates * (high - low)
    raw = np.exp(raw) if distribution.log else raw
    step = distribution.step or 1.0
    return np.asarray(np.round((raw - distribution.low) / step)).astype(np.int64)
