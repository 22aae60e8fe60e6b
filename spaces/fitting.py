"""A recipe as values of a space: the inverse of `Space.recipe_of`, where there is one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cifar_core.errors import RecipeError
from cifar_core.recipe import Recipe
from cifar_core.records import UNIONS, flatten
from cifar_core.text_files import last_line, one_line
from spaces.errors import MisfitError
from spaces.parameter import Parameter, Value, Values
from spaces.space import Space

__all__ = ["Fit", "fitted"]

SAME_KIND = ("network.name", "network.builder", "optimizer.name")
"""Fields that no recipe may differ in: a learning rate says nothing about another optimizer's, nor a width
about another network's."""
LONGEST = 60


@dataclass(frozen=True)
class Fit:
    """A recipe as a space can make it.

    Attributes:
        values: A value for every parameter that applies, each of its choices or within its range.
        moved: Numbers that lay outside of their range, in words: ``channels1 32 instead of 64``.
        differs: Fields that the space fixes to something else, in words: ``epochs 12 instead of 6``.
    """

    values: Values
    moved: tuple[str, ...]
    differs: tuple[str, ...]


def fitted(space: Space, recipe: Recipe) -> Fit:
    """Return the values with which a space makes a recipe, or the nearest one that it can make.

    Numbers outside of their range are moved to its end, and fixed fields may differ, but for the kinds of
    network and optimizer. Choices must be among those of the space.

    Raises:
        MisfitError: The space cannot make it; the text names the field, what it is, what is allowed.
    """
    target = flatten(recipe.to_dict())
    for field in SAME_KIND:  # first: without it other fields may not be there to be looked at
        here = flatten(space.recipe).get(field, _kind(field))
        is_fixed = all(field not in parameter.fields() for parameter in space.parameters.values())
        if is_fixed and target.get(field) != here:
            raise _misfit(field, target.get(field), _shown(here))
    values: Values = {}
    moved: dict[str, str] = {}
    for name, parameter in space.parameters.items():
        if not parameter.applies(values):
            continue
        if parameter.variants is not None:
            values[name] = _variant(space, values, name, target)
            continue
        found = _value(parameter, target)
        values[name] = parameter.clip(found)
        if values[name] != found:
            moved[str(parameter.sets)] = _instead(name, values[name], found)
    try:
        made = flatten(space.recipe_of(values).to_dict())
    except RecipeError as error:
        raise MisfitError(last_line(error)) from error
    searched = {field for name in values for field in space.parameters[name].fields()}
    differing = [field for field in _differing(made, target) if field not in moved]
    for field in differing:
        if field in searched or field in SAME_KIND:
            raise _misfit(field, target.get(field), _shown(made.get(field)))
    differs = (_instead(field, made.get(field), target.get(field)) for field in differing)
    return Fit(values, tuple(moved.values()), tuple(differs))


def _value(parameter: Parameter, target: Mapping[str, Any]) -> Value:
    """The value of the one field that a parameter sets; numbers are not yet within its range."""
    field = str(parameter.sets)
    if field not in target:
        section = field.partition(".")[0]
        kind = _shown(target[f"{section}.name"])
        raise MisfitError(f"{field}: its {section} is {kind}, which has no such field.")
    value: Value = target[field]
    if parameter.options is not None:
        if value not in parameter.options:
            raise _misfit(field, value, parameter.described())
        return parameter.options[parameter.options.index(value)]  # 0, where a recipe has 0.0
    number = float(value)
    if not parameter.is_integer:
        return number
    if not number.is_integer():
        raise _misfit(field, value, f"whole numbers, {parameter.described()}")
    return int(number)


def _variant(space: Space, values: Values, name: str, target: Mapping[str, Any]) -> str:
    """The variant after which all fields that the parameter can set are those of the recipe."""
    parameter = space.parameters[name]
    defaults = _defaults(target)
    fewest: list[str] | None = None
    for variant in parameter.variants or {}:
        made = defaults | flatten(space.plain_recipe({**values, name: variant}))
        wrong = [one for one in sorted(parameter.fields()) if made.get(one) != target.get(one)]
        if not wrong:
            return variant
        fewest = wrong if fewest is None or len(wrong) < len(fewest) else fewest
    kinds = [one for one in fewest or () if one.endswith(".name")]  # with another, all is another
    found = ", ".join(f"{one} is {_shown(target.get(one))}" for one in kinds or fewest or ())
    raise MisfitError(f"{found}; {name} in this space is one of {parameter.described()}.")


def _defaults(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of all fields, for sections of the same kinds as in `target`."""
    kinds = {section: {"name": target[f"{section}.name"]} for section in UNIONS}
    if "network.builder" in target:
        kinds["network"]["builder"] = target["network.builder"]
    names = {f"{section}.name": _kind(section) for section in UNIONS}
    return flatten(Recipe.read(kinds).to_dict()) | names


def _kind(field: str) -> Any:
    """The kind of a section of a recipe that does not say which."""
    if field == "network.builder":
        return None
    return Recipe.model_fields[field.partition(".")[0]].default.name


def _differing(made: Mapping[str, Any], target: Mapping[str, Any]) -> Iterator[str]:
    """The fields that are not the same; of a section of another kind, its name alone."""
    for field in sorted(made.keys() | target.keys()):
        kind = f"{field.partition('.')[0]}.name"
        comparable = field == kind or made.get(kind) == target.get(kind)
        if comparable and made.get(field) != target.get(field):
            yield field


def _misfit(field: str, found: Any, allowed: str) -> MisfitError:
    return MisfitError(f"{field} is {_shown(found)}; this space has {allowed}.")


def _instead(name: str, here: Any, there: Any) -> str:
    return f"{name} {_shown(here)} instead of {_shown(there)}"


def _shown(value: Any) -> str:
    """A value of a recipe, short and on one line."""
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value).lower() if isinstance(value, bool) else one_line(str(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
