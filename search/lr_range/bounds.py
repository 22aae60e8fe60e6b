"""Learning-rate bounds of a study: measured at the corners of its space, given, or the space's own."""

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from search.lr_range.corners import Corner, lr_base, values_for
from search.study.bounds import Bounds
from search.study.settings import given_range
from spaces.parameter import Parameter
from spaces.reading import with_ranges
from spaces.space import Space

if TYPE_CHECKING:
    from cifar_core.lr_range import Finding  # which loads PyTorch

__all__ = ["OFF", "changes_of", "combine", "combine_all", "unmeasured", "with_bounds"]

OFF = 0.35
"""Decades, one standard deviation, by which a suggested rate is off the best one. See docs/LR_RANGE.md."""


def with_bounds(space: Space, bounds: Sequence[Bounds]) -> Space:
    """Return the space in the learning-rate ranges that a study searches."""
    return with_ranges(
        space, {one.parameter: changes_of(one, space.parameters[one.parameter]) for one in bounds}
    )


def changes_of(bounds: Bounds, parameter: Parameter) -> dict[str, Any]:
    """Return the changes that a range makes to its parameter, for `Space.with_ranges`.

    The suggested rate becomes its prior, unless the space's file has one of its own.
    """
    changes: dict[str, Any] = {"low": bounds.low, "high": bounds.high}
    if parameter.prior is None and bounds.suggested is not None and bounds.spread is not None:
        changes["prior"] = {"value": bounds.suggested, "spread": bounds.spread}
    return changes


def combine_all(
    space: Space, corners: Sequence[Corner], findings: Sequence["Finding"]
) -> list[Bounds]:
    """Return a range for each measured parameter, from the findings at the corners, in their order."""
    return [
        combine(
            space,
            parameter,
            [
                one
                for one, corner in zip(findings, corners, strict=True)
                if corner.parameter == parameter
            ],
        )
        for parameter in space.measured()
    ]


def combine(space: Space, parameter: str, findings: list["Finding"]) -> Bounds:
    """Return one range that includes the corners' ranges and every known configuration's rate.

    An inconclusive corner counts with the range of the space's file.
    """
    found = [one for one in findings if one.conclusive]
    reasons = [one.reason for one in findings if not one.conclusive]
    own_low, own_high = (float(end) for end in space.parameters[parameter].extremes())
    lows = [own_low] * bool(reasons) + [one.low for one in found if one.low is not None]
    highs = [own_high] * bool(reasons) + [one.high for one in found if one.high is not None]
    corners = f"{len(findings)} corner{'s' if len(findings) > 1 else ''} of the space"
    if not reasons:
        how = f"measured by an LR-range test at {corners}"
    elif found:
        how = (
            f"measured by an LR-range test at {len(found)} of {corners}, with the space's own range "
            f"because it was inconclusive at the rest: {reasons[0]}"
        )
    else:
        how = f"the space's own range, because the LR-range test was inconclusive: {reasons[0]}"
    suggested = [one.suggested for one in found if one.suggested is not None]
    mean = statistics.geometric_mean(suggested) if suggested else None
    return _bounds(space, parameter, min(lows), max(highs), how, mean, _spread(suggested))


def _spread(suggested: Sequence[float]) -> float | None:
    """The factor by which the best rate may be off the mean of these.

    Two errors add up: that of the test where it measured, and that of one rate for the whole space.
    """
    if not suggested:
        return None
    return float(10 ** math.hypot(OFF, statistics.pstdev(math.log10(one) for one in suggested)))


def unmeasured(space: Space, wish: str) -> list[Bounds]:
    """Return bounds that are not measured: the user's, or the space's own.

    Args:
        space: The space.
        wish: The value of ``--lr-bounds``.
    """
    found = []
    for name, parameter in space.measured().items():
        given = given_range(wish)
        low, high = given or (float(end) for end in parameter.extremes())
        how = "given with --lr-bounds" if given else "the space's own range"
        found.append(_bounds(space, name, low, high, how))
    return found


def _bounds(
    space: Space,
    parameter: str,
    low: float,
    high: float,
    how: str,
    suggested: float | None = None,
    spread: float | None = None,
) -> Bounds:
    """A range, widened to include the rates of all known configurations."""
    for known in space.known:
        rate = known.values.get(parameter)
        if isinstance(rate, int | float) and not low <= rate <= high:
            low, high = min(low, rate), max(high, rate)
            how += f", widened to include {known.name}'s {rate:g}"
    optimizer = space.recipe_of(values_for(space, lr_base(space), parameter)).optimizer.name
    conclusive = suggested is not None
    return Bounds(parameter, optimizer, low, high, suggested, conclusive, how, spread)
