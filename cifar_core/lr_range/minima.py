"""The local minima of a smoothed curve."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Minimum", "local_minima"]


@dataclass(frozen=True)
class Minimum:
    """A rate at which the loss was lower than around it.

    Attributes:
        lr: The rate.
        loss: The smoothed loss there.
    """

    lr: float
    loss: float


def local_minima(lr: Sequence[float], loss: Sequence[float], depth: float) -> tuple[Minimum, ...]:
    """The lowest points between rises of at least `depth`, by ascending rate.

    Neither end of the curve counts: what lies beyond it was not measured.

    >>> local_minima([1, 2, 3, 4, 5, 6], [2.3, 1.9, 2.1, 2.0, 2.2, 1.5], depth=0.15)
    (Minimum(lr=2, loss=1.9),)
    """
    found = []
    highest = lowest = 0
    falling = False
    for here, value in enumerate(loss):
        if falling and value < loss[lowest]:
            lowest = here
        elif falling and value >= loss[lowest] + depth:
            found.append(Minimum(lr[lowest], loss[lowest]))
            falling, highest = False, here
        elif not falling and value > loss[highest]:
            highest = here
        elif not falling and value <= loss[highest] - depth:
            falling, lowest = True, here
    return tuple(found)
