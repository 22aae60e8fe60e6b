"""The circumstances of a decision of a freeze-thaw search: its trials, and what may be done."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Situation", "Standing"]

Floats = npt.NDArray[np.float64]

LATE = 6.0
"""Whole trainings' worth of epochs after which a search is late."""


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

    @property
    def late(self) -> bool:
        """So much was trained that the best score is probably that of a finished training."""
        return sum(one.at for one in self.trials) >= LATE * self.looks[-1]
