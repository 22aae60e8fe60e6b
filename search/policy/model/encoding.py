"""Configurations of any Optuna search space as vectors, in which they are drawn, changed and compared.

Every parameter has one coordinate from 0 to 1, in which configurations are drawn and changed. The
features that a model sees are made of them: a number is its coordinate, two choices are 0 and 1, more
choices have a feature each, and choices that are numbers keep their order. A parameter that does not
apply, such as the learning rate of another optimizer, stands in the middle of its range whatever its
coordinate.

Which parameters apply is not declared in a space of Optuna's, where code asks for one after the other.
It is found out by asking for some hundred random configurations: a parameter that is sometimes missing
applies where the discrete parameters before it have values with which it was seen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
)
from optuna.samplers import RandomSampler
from optuna.trial import Trial

from search.policy.draft_study import Drafts
from search.policy.knowledge import Value
from search.policy.model.coordinates import (
    choice_at,
    coordinate_of,
    count_of,
    option_of,
    snapped,
    value_at,
)

__all__ = ["NO_ZEROS", "Encoding"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DRAWS = 128
NO_ZEROS: Mapping[str, float] = MappingProxyType({})
ONE_HOT = 0.5**0.5
"""Two different choices of several are at distance 1."""
MOST_OPTIONS = 16
"""Most values of an integer parameter that may decide which other parameters apply."""


@dataclass(frozen=True)
class _Parameter:
    """One parameter.

    Attributes:
        name: Its name.
        distribution: As it was first asked for.
        conditions: Places of earlier parameters, and the options of theirs with which this one applies.
        zero_until: Coordinate below which all values stand for 0, and are the same; 0 where none do.
    """

    name: str
    distribution: BaseDistribution
    conditions: tuple[tuple[int, frozenset[int]], ...]
    zero_until: float = 0.0

    @property
    def options(self) -> int | None:
        """Number of its values; None for a range without steps, or with very many."""
        one = self.distribution
        if isinstance(one, CategoricalDistribution):
            return len(one.choices)
        count = count_of(one)
        return count if count is not None and count <= MOST_OPTIONS else None

    @property
    def ordered(self) -> bool:
        """Its values have an order: those of a range do, and so do choices that are numbers."""
        one = self.distribution
        if not isinstance(one, CategoricalDistribution):
            return True
        return all(
            isinstance(choice, int | float) and not isinstance(choice, bool)
            for choice in one.choices
        )


class Encoding:
    """The search space of a study, as vectors.

    Args:
        choose: Asks a trial for the value of each parameter, as an objective of Optuna's does.
        zero_below: Numbers below which the value of a parameter stands for 0, by name.

    Attributes:
        names: The parameters with more than one value, in the order in which they are asked for.
        groups: (d,) the place of the parameter that each feature belongs to.
    """

    def __init__(
        self, choose: Callable[[Trial], object], zero_below: Mapping[str, float] = NO_ZEROS
    ) -> None:
        self._parameters = [_with_zeros(one, zero_below) for one in _discovered(choose)]
        self.names = tuple(one.name for one in self._parameters)
        widths = [self._width(one) for one in self._parameters]
        self.groups: Ints = np.repeat(np.arange(len(widths)), widths)

    def __len__(self) -> int:
        return len(self._parameters)

    @staticmethod
    def _width(parameter: _Parameter) -> int:
        one = parameter.distribution
        if isinstance(one, CategoricalDistribution) and not parameter.ordered:
            return len(one.choices) if len(one.choices) > 2 else 1
        return 1

    def distribution(self, name: str) -> BaseDistribution:
        """The distribution of one of `names`."""
        return self._parameters[self.names.index(name)].distribution

    def coordinate(self, name: str, value: Value) -> float:
        """Return the coordinate of a value of one of `names`, from 0 to 1, cut to its range."""
        return coordinate_of(self.distribution(name), value)

    def unit(self, values: Mapping[str, Any]) -> Floats:
        """(p,) coordinates of a configuration.

        What it lacks is in the middle; what lies outside of a range is at its nearest end.
        """
        found = np.full(len(self), 0.5)
        for place, one in enumerate(self._parameters):
            if one.name in values:
                found[place] = coordinate_of(one.distribution, values[one.name])
        return found

    def values(self, unit: Floats) -> dict[str, Value]:
        """The configuration at these coordinates, (p,); only parameters that apply."""
        snapped = self.snap(unit[None])
        applies = self._applying(snapped)[0]
        return {
            one.name: value_at(one.distribution, float(snapped[0, place]))
            for place, one in enumerate(self._parameters)
            if applies[place]
        }

    def snap(self, units: Floats) -> Floats:
        """(n, p) coordinates moved to those of the nearest values that the parameters have."""
        found = np.array(units, dtype=np.float64)
        for place, one in enumerate(self._parameters):
            own = snapped(one.distribution, found[:, place])
            found[:, place] = np.where(own < one.zero_until, 0.0, own)
        return found

    def settle(self, units: Floats) -> Floats:
        """(n, p) the same with what does not apply in the middle; equal rows are trained alike."""
        snapped = self.snap(units)
        return np.where(self._applying(snapped), snapped, 0.5)

    def features(self, units: Floats) -> Floats:
        """(n, d) what a model sees of configurations at (n, p) coordinates."""
        snapped = self.snap(units)
        applies = self._applying(snapped)
        columns: list[Floats] = []
        for place, one in enumerate(self._parameters):
            own, here = snapped[:, place], applies[:, place]
            choices = one.distribution
            if isinstance(choices, CategoricalDistribution):
                index = choice_at(own, len(choices.choices))
                if one.ordered:
                    ranks = np.argsort(np.argsort(np.array(choices.choices, dtype=np.float64)))
                    columns.append(np.where(here, ranks[index] / (len(ranks) - 1), 0.5))
                elif len(choices.choices) == 2:
                    columns.append(np.where(here, index.astype(np.float64), 0.5))
                else:
                    hot = index[:, None] == np.arange(len(choices.choices))
                    columns += list(np.where(here[:, None], ONE_HOT * hot, 0.0).T)
            else:
                columns.append(np.where(here, own, 0.5))
        return np.stack(columns, axis=1) if columns else np.zeros((len(units), 0))

    def _applying(self, snapped: Floats) -> Bools:
        """(n, p) whether each parameter applies."""
        found = np.ones(snapped.shape, dtype=bool)
        for place, one in enumerate(self._parameters):
            for parent, allowed in one.conditions:
                count = self._parameters[parent].options or 1
                table = np.array([option in allowed for option in range(count)])
                index = option_of(self._parameters[parent].distribution, snapped[:, parent])
                found[:, place] &= found[:, parent] & table[index]
        return found

    def log_weights(
        self, units: Floats, of: Callable[[str, BaseDistribution, Floats], Floats]
    ) -> Floats:
        """(n,) the sum over the parameters that apply of a weight of each.

        Args:
            units: (n, p) coordinates.
            of: The weights of one parameter, (n,), by its name, distribution and (n,) coordinates.
        """
        snapped = self.snap(units)
        applies = self._applying(snapped)
        total = np.zeros(len(units))
        for place, one in enumerate(self._parameters):
            weights = of(one.name, one.distribution, snapped[:, place])
            total += np.where(applies[:, place], weights, 0.0)
        return total

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """(count, p) random configurations."""
        return self.snap(rng.random((count, len(self))))


def _discovered(choose: Callable[[Trial], object]) -> list[_Parameter]:
    """The parameters of a search space, and when they apply."""
    drafts, sampler = Drafts(), RandomSampler(seed=0)
    distributions: dict[str, BaseDistribution] = {}
    seen: list[Mapping[str, Any]] = []
    for _ in range(DRAWS):
        trial = drafts.new(sampler, ())
        choose(trial)
        seen.append(trial.params)
        # A parameter is to stand behind those that decide whether it applies.
        distributions |= {k: d for k, d in trial.distributions.items() if k not in distributions}
    found: list[_Parameter] = []
    for name, distribution in distributions.items():
        if distribution.single():
            continue
        with_it = [values for values in seen if name in values]
        conditions = tuple(_conditions(found, seen, with_it)) if len(with_it) < DRAWS else ()
        found.append(_Parameter(name, distribution, conditions))
    return found


def _with_zeros(parameter: _Parameter, zero_below: Mapping[str, float]) -> _Parameter:
    if parameter.name not in zero_below:
        return parameter
    limit = coordinate_of(parameter.distribution, zero_below[parameter.name])
    return replace(parameter, zero_until=limit)


def _conditions(
    before: Sequence[_Parameter],
    seen: Sequence[Mapping[str, Any]],
    with_it: Sequence[Mapping[str, Any]],
) -> list[tuple[int, frozenset[int]]]:
    """Return the conditions under which a parameter applies, without redundant ones."""
    found = []
    for place, parent in enumerate(before):
        if parent.options is not None:
            everywhere, here = (
                frozenset(_place(parent, values) for values in some) for some in (seen, with_it)
            )
            if here < everywhere:
                found.append((place, here - {-1}))

    def met(conditions: Sequence[tuple[int, frozenset[int]]]) -> int:
        return sum(
            all(_place(before[place], values) in allowed for place, allowed in conditions)
            for values in seen
        )

    # Among many options some are missing by chance, so parents with many are doubted first.
    for one in sorted(found, key=lambda one: -(before[one[0]].options or 0)):
        others = [other for other in found if other is not one]
        if met(others) == met(found):
            found = others
    return found


def _place(parent: _Parameter, values: Mapping[str, Any]) -> int:
    """Which of its options a parameter has; -1 where it is missing."""
    if parent.name not in values:
        return -1
    coordinate = np.array([coordinate_of(parent.distribution, values[parent.name])])
    return int(option_of(parent.distribution, coordinate)[0])
