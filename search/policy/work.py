"""The amount that a search may train, and the epochs at which its trials may pause."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Allowance", "looks_of"]

FIRST_OF = 18
"""The first look at a trial comes behind an eighteenth of its epochs: earlier ones mislead, above all
about those whose learning rate still rises."""
DEPTH = 3
"""Successive halving that an allowance is measured by triples the epochs from rung to rung ..."""
KEPT = 2
"""... and lets one of two go on: with 50 trials of 6 epochs, 137 epochs."""


def looks_of(epochs: int) -> tuple[int, ...]:
    """The epochs at which trials may pause: each about half of the next, the last one the end.

    >>> looks_of(6), looks_of(12), looks_of(52)
    ((1, 2, 3, 6), (1, 2, 3, 6, 12), (3, 7, 13, 26, 52))
    """
    first, found, share = max(1, round(epochs / FIRST_OF)), [epochs], 2
    while (look := (2 * epochs + share) // (2 * share)) >= first:
        if look < found[0]:
            found.insert(0, look)
        share *= 2
        if share > epochs * 2:
            break
    return tuple(found)


@dataclass(frozen=True)
class Allowance:
    """The epochs that a search of a given number of trials may train.

    It is what successive halving with these constants would train, so that `trials` stays the measure
    of a search whatever its policy: trials that are trained to their end in any case come on top, and
    one training to its end is always allowed. It depends on nothing but the number of trials, so a
    search that is resumed ends where an undisturbed one does, and one whose number of trials is raised
    goes on.

    Attributes:
        trials: Trials in all.
        epochs: Of a whole training.
        looks: Epochs at which trials may pause, the last a whole training.
    """

    trials: int
    epochs: int
    looks: Sequence[int]

    def total(self, exempt: int) -> int:
        """Return the epochs in all, if `exempt` trials are trained to their end in any case."""
        return max(
            self.epochs, exempt * self.epochs + round((self.trials - exempt) * self.of_a_trial)
        )

    def begun(self, left: int) -> float:
        """Return the number of trials that an even spread has started when `left` epochs remain."""
        return self.trials * max(0.0, 1.0 - left / max(1.0, self.trials * self.of_a_trial))

    @property
    def of_a_trial(self) -> float:
        """Epochs of a trial in the mean."""
        rung, before, share, total = self.looks[0], 0, 1.0, 0.0
        while before < self.epochs:
            rung = min(rung, self.epochs)
            total += share * (rung - before)
            before, rung, share = rung, rung * DEPTH, share / KEPT
        return total
