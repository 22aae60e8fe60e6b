"""Spaces made from plain values, checked as a whole; and the same space with other ranges."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from cifar_core.records import explain, listed
from spaces.checks import problems_of
from spaces.errors import SpaceError
from spaces.space import Known, Space

__all__ = ["of_their_fields", "quicker", "read_space", "with_ranges"]


def read_space(values: object, origin: str) -> Space:
    """Make a space from plain values, as they stand in a file, and check every part of it.

    Args:
        values: A mapping, nested as the file is.
        origin: The file, for the error.

    Raises:
        SpaceError: Something is wrong; the text names file and key, what was found, what is allowed.
    """
    try:
        space = Space.model_validate(values)
    except ValidationError as error:
        problems = explain(error, Space)
    else:
        problems = list(problems_of(space)) or _problems_of_quick(space)
    if problems:
        raise SpaceError(f"{origin} is not a valid space:\n{listed(problems)}")
    return space


def with_ranges(space: Space, ranges: Mapping[str, Mapping[str, Any]]) -> Space:
    """Return the space with another `low`, `high`, `choices` or `prior` for some of its parameters.

    The known configurations are moved into the new ranges, and say so; priors are moved too. The space
    returned has no quick version.

    Args:
        space: A valid space.
        ranges: What changes, by the name of the parameter.

    Raises:
        SpaceError: There is no such parameter, or its range is not valid.
    """
    plain = {**space.model_dump(mode="python"), "quick": None}
    for name, changes in ranges.items():
        if name not in space.parameters:
            raise SpaceError(f"Space {space.name} has no parameter {name!r}.")
        plain["parameters"][name] |= changes
    try:
        changed = of_their_fields(Space.model_validate({**plain, "known": []}), ranges)
    except ValidationError as error:
        problems = "; ".join(explain(error, Space))
        raise SpaceError(f"Space {space.name} with other ranges: {problems}") from error
    for name in ranges:
        own = changed.parameters[name]
        plain["parameters"][name] |= {"low": own.low, "high": own.high}
        prior = changed.parameters[name].prior_within()
        plain["parameters"][name]["prior"] = (
            None if prior is None else prior.model_dump(mode="python")
        )
    plain["known"] = [_moved(known, changed) for known in space.known]
    if space.grid is not None:
        # Figures published for cells that the narrower grid does not have are dropped.
        plain["grid"]["published"] = [
            one.model_dump(mode="python")
            for one in space.grid.published
            if all(changed.parameters[name].contains(v) for name, v in one.values.items())
        ]
    return read_space(plain, f"space {space.name} with other ranges")


def of_their_fields(space: Space, names: Iterable[str]) -> Space:
    """Return the space with ranges of fractions for those parameters whose fields hold them.

    Studies keep the space that they were begun with, so it is not for one that comes from a study.
    """
    changed = {name: space.parameters[name].of_its_field() for name in names}
    return space.model_copy(update={"parameters": {**space.parameters, **changed}})


def quicker(space: Space) -> Space:
    """Return the space with the ranges of its quick version; the space itself if it has none."""
    return with_ranges(space, space.quick.ranges) if space.quick else space


def _problems_of_quick(space: Space) -> list[str]:
    for name, changes in (space.quick.ranges if space.quick else {}).items():
        if unknown := changes.keys() - {"low", "high", "choices"}:
            return [f"quick.ranges.{name}.{min(unknown)}: must be `low`, `high` or `choices`."]
        if name not in space.parameters:
            return [f"quick.ranges.{name}: there is no such parameter."]
    if space.quick and space.grid and _sets_epochs(space):
        return ["quick.epochs: this grid sets the epochs of its cells itself."]
    try:
        quicker(space)
    except SpaceError as error:
        return [f"quick.ranges: {line.strip()}" for line in str(error).splitlines()]
    return []


def _sets_epochs(space: Space) -> bool:
    return any("epochs" in parameter.fields() for parameter in space.parameters.values())


def _moved(known: Known, space: Space) -> dict[str, Any]:
    """Return `known` as plain values, those outside the ranges of `space` moved to their nearest end."""
    fitted = {
        name: value if space.parameters[name].measured else space.parameters[name].clip(value)
        for name, value in known.values.items()
    }
    cuts = [f"{n} {v} for {known.values[n]}" for n, v in fitted.items() if v != known.values[n]]
    about = known.about or ""
    if cuts:
        about = f"{about} Cut to this run's ranges: {', '.join(cuts)}.".strip()
    return {"name": known.name, "about": about or None, "values": fitted}
