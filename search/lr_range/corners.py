"""Corners of a space: the recipes at which its LR-range test measures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from cifar_core.recipe import Recipe
from spaces.space import Known, Space, Values

if TYPE_CHECKING:
    from cifar_core.lr_range import Finding  # which loads PyTorch

__all__ = ["Corner", "corners_of", "curves_document", "lr_base", "values_for"]


@dataclass(frozen=True)
class Corner:
    """One recipe that the LR-range test measures.

    Attributes:
        parameter: The learning-rate parameter.
        values: The space's parameters at this corner.
        recipe: Their recipe.
    """

    parameter: str
    values: Values
    recipe: Recipe


def corners_of(space: Space) -> list[Corner]:
    """Return all corners of a space."""
    found = []
    for parameter in space.measured():
        base = values_for(space, lr_base(space), parameter)
        found += [
            Corner(parameter, values, space.recipe_of(values)) for values in _corners(space, base)
        ]
    return found


def values_for(space: Space, base: Known, lr_parameter: str, lr: float | None = None) -> Values:
    """Return the values of `base`, with the optimizer that `lr_parameter` belongs to.

    Args:
        space: The space.
        base: A known configuration.
        lr_parameter: The learning-rate parameter.
        lr: Its value; by default the geometric middle of its range.
    """
    wanted = space.parameters[lr_parameter].when
    known = space.fit(base.values)
    values: Values = {}
    for name, parameter in space.parameters.items():
        if not parameter.applies(values):
            continue
        if name == lr_parameter:
            low, high = (float(end) for end in parameter.extremes())
            values[name] = (low * high) ** 0.5 if lr is None else lr
        elif name in wanted:
            values[name] = wanted[name][0]
        else:
            values[name] = known.get(name, parameter.extremes()[0])
    return values


def curves_document(corners: Sequence[Corner], findings: Sequence["Finding"]) -> dict[str, Any]:
    """Return the findings at all corners, including curves, as plain JSON."""
    return {
        "epochs": round(sum(one.epochs for one in findings), 3),
        "corners": [
            {"parameter": corner.parameter, "values": corner.values, **finding.to_dict()}
            for corner, finding in zip(corners, findings, strict=True)
        ],
    }


def lr_base(space: Space) -> Known:
    """Return the known configuration from which the corners are made."""
    assert space.lr_range is not None  # noqa: S101 - for mypy; checked when the space was read
    return next(one for one in space.known if one.name == space.lr_range.base)


def _corners(space: Space, base: Values) -> Iterator[Values]:
    """`base` with each group of parameters at either end of its values."""
    assert space.lr_range is not None  # noqa: S101 - for mypy
    groups = space.lr_range.corners
    for ends in product((False, True), repeat=len(groups)):
        corner = dict(base)
        for group, upper in zip(groups, ends, strict=True):
            for name in group:
                parameter, at_top = name.removeprefix("-"), upper != name.startswith("-")
                if parameter in base:
                    values = space.parameters[parameter].extremes()
                    corner[parameter] = max(values) if at_top else min(values)
        yield corner
