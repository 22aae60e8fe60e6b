"""Tasks that are made up: formulas with drawn coefficients, over spaces of 5 to 20 parameters.

What a configuration comes to falls with its distance from a best place, steeply in a few parameters and
hardly in most; some pairs of parameters depend on each other; choices are worth more or less; above some
place of its first parameter nothing is learned at all. How soon a configuration comes to its end depends
on it, too, and so do the seconds of its epochs. Nothing here is CIFAR-10, or trained; no constant of a
policy was chosen on it.

The kinds differ in what makes a search hard:

* ``plain``: five ranges, little luck.
* ``mixed``: twelve parameters: ranges, logarithms, whole numbers, choices.
* ``conditional``: twenty parameters, six of which apply under one choice each.
* ``noisy``: ten parameters; luck of three points, of a training and of each epoch.
* ``crossing``: ten parameters; the better a configuration, the later it comes there, so rankings cross.
* ``slow start``: ten parameters; one choice of three stands still for two fifths of its training, and is
  worth more in the end.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.search.surrogate import encoded
from spaces.space import Space

__all__ = ["KINDS", "Kind", "MadeUp"]

EPOCHS = 18
CHANCE = 0.1

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """What the tasks of a kind have in common.

    Attributes:
        ranges: Number of parameters with a range, the first of which has a cliff.
        choices: Number of parameters with choices.
        conditional: Number of parameters that apply under one choice of the first of those.
        luck: Standard deviation of a training's luck, and of an epoch's, as accuracy.
        crossing: How much later a better configuration comes to its end: the logarithm of the factor
            between the best and the worst.
        stalls: One choice of three of the first of those stands still for two fifths of its epochs.
    """

    ranges: int
    choices: int = 0
    conditional: int = 0
    luck: float = 0.004
    crossing: float = 0.0
    stalls: bool = False


KINDS: Mapping[str, Kind] = {
    "plain": Kind(5),
    "mixed": Kind(8, 4),
    "conditional": Kind(9, 5, 6),
    "noisy": Kind(7, 3, luck=0.03),
    "crossing": Kind(7, 3, crossing=2.5),
    "slow start": Kind(7, 3, stalls=True),
}
OPTIONS = 3
"""Choices of each parameter that has some."""


class MadeUp:
    """One task.

    Args:
        kind: Name of its kind.
        number: Seed of its coefficients.

    Attributes:
        epochs: Epochs of a training.
        space: What it knows the configurations of.
    """

    def __init__(self, kind: str, number: int) -> None:
        self.epochs, self.kind = EPOCHS, KINDS[kind]
        rng = np.random.default_rng([number, list(KINDS).index(kind), 18])
        self.space = _space(kind, rng)
        count = sum(len(one.options or [0]) for one in self.space.parameters.values())
        self._best = rng.uniform(0.15, 0.85, count)
        self._power = rng.choice([1.5, 2.0, 2.5], count)
        self._weight = rng.dirichlet(np.full(count, 0.4)) * rng.uniform(1.0, 2.0)
        self._pairs = rng.integers(count, size=(count // 2, 2))
        self._together = rng.normal(0.0, 0.08, count // 2)
        self._cliff = rng.uniform(0.75, 1.0)
        self._top = rng.uniform(0.75, 0.95)
        self._pace = rng.uniform(0.3, 1.2)
        self._paces = rng.normal(0.0, 0.5, count)
        self._bonus = rng.uniform(0.03, 0.1)
        self._cost = rng.normal(0.0, 1.0, count) * (rng.random(count) < 0.3)
        self._known: dict[str, tuple[Floats, float, float]] = {}

    def _of(self, values: Mapping[str, Any]) -> tuple[Floats, float, float]:
        """The curve (epochs,), the end without luck, and the seconds of an epoch."""
        key = json.dumps(values, sort_keys=True)
        if key not in self._known:
            place = np.array(encoded(self.space, values))
            there = place >= 0  # a parameter that does not apply is worth nothing
            centred = np.where(there, place - 0.5, 0.0)
            end = self._end(values, place, there, centred)
            digest = hashlib.sha256(key.encode()).digest()
            rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
            own, each = rng.normal(0.0, self.kind.luck), rng.normal(0.0, self.kind.luck, EPOCHS)
            curve = self._rising(values, end, centred) + own + each * np.linspace(1.0, 0.5, EPOCHS)
            seconds = float(np.exp(np.clip(self._cost @ centred, -2.0, 2.0)))
            self._known[key] = (np.clip(curve, 0.0, 1.0), end, seconds)
        return self._known[key]

    def _end(
        self,
        values: Mapping[str, Any],
        place: Floats,
        there: npt.NDArray[np.bool_],
        centred: Floats,
    ) -> float:
        """The accuracy at the end, without luck."""
        if place[0] > self._cliff:
            return CHANCE
        far = np.where(there, np.abs(place - self._best) ** self._power, 0.0)
        pairs = centred[self._pairs[:, 0]] * centred[self._pairs[:, 1]]
        end = self._top - self._weight @ far + self._together @ pairs
        if self.kind.stalls and values["choice1"] == "a":
            end += self._bonus
        return float(np.clip(end, CHANCE + 0.02, 0.99))

    def _rising(self, values: Mapping[str, Any], end: float, centred: Floats) -> Floats:
        """The curve without luck, (epochs,); it reaches `end` with the last epoch."""
        pace = self._pace - self._paces @ centred
        pace += self.kind.crossing * ((end - CHANCE) / (self._top - CHANCE) - 0.5)
        stalled = 0.4 * EPOCHS if self.kind.stalls and values["choice1"] == "a" else 0.0
        epochs = np.clip(np.arange(1, EPOCHS + 1) - stalled, 0.0, None)
        left = (1 + epochs / np.exp(pace)) ** -1.2
        return np.asarray(end - (end - CHANCE) * (left - left[-1]) / (1 - left[-1]))

    def curve(self, values: Mapping[str, Any]) -> Floats:
        """Return the accuracy after each epoch, (epochs,)."""
        return self._of(values)[0]

    def train(self, values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
        """Yield the curve, epoch by epoch."""
        for index, accuracy in enumerate(self.curve(values)):
            yield index + 1, float(accuracy)

    def seconds(self, values: Mapping[str, Any]) -> float:
        """Return the seconds of an epoch."""
        return self._of(values)[2]

    def truth(self, values: Mapping[str, Any]) -> float:
        """Return the accuracy at the end without luck."""
        return self._of(values)[1]


def _space(kind: str, rng: np.random.Generator) -> Space:
    """A space of the kind; every third range is logarithmic, every third a whole number."""
    own = KINDS[kind]
    parameters: dict[str, dict[str, Any]] = {}
    for number in range(own.choices):
        options = ["a", "b", "c"][:OPTIONS]
        parameters[f"choice{number + 1}"] = {"sets": f"choice{number + 1}", "choices": options}
    for number in range(own.ranges):
        name = f"range{number + 1}"
        low, high, log = [
            (0.0, 1.0, False),
            (1e-4, float(10 ** rng.uniform(-2, 0)), True),
            (2, 40, False),
        ][number % 3]
        parameters[name] = {"sets": name, "low": low, "high": high, "log": log}
    for number in range(own.conditional):
        name = f"only{number + 1}"
        when = {"choice1": ["abc"[number % OPTIONS]]}
        parameters[name] = {"sets": name, "low": 1e-3, "high": 1.0, "log": True, "when": when}
    # The range with the cliff comes first, as the encoding has it.
    first = {"range1": parameters.pop("range1")}
    return Space.model_validate(
        {"name": kind.replace(" ", "-"), "title": kind, "parameters": {**first, **parameters}}
    )
