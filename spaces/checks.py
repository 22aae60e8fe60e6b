"""Checks of a space as a whole: do its parts fit each other, and make valid recipes?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cifar_core.errors import RecipeError
from spaces.parameter import Parameter, Value, Values

if TYPE_CHECKING:
    from spaces.space import Known, Space

__all__ = ["problems_of"]


def problems_of(space: "Space") -> Iterator[str]:
    """What is wrong with a space that a look at each key alone does not show, a sentence each."""
    yield from _problems_of_conditions(space)
    yield from _problems_of_recipes(space)
    for index, known in enumerate(space.known):
        yield from _problems_of_known(space, index, known)
    yield from _problems_of_lr_range(space)
    yield from _problems_of_quick(space)


def _problems_of_conditions(space: "Space") -> Iterator[str]:
    earlier: dict[str, Parameter] = {}
    for name, parameter in space.parameters.items():
        for other, wanted in parameter.when.items():
            key = f"parameters.{name}.when.{other}"
            if other not in earlier:
                yield f"{key}: must name a parameter that stands before {name}, one of {list(earlier)}."
                continue
            for value in wanted:
                if not earlier[other].contains(value):
                    yield f"{key}: must be among {earlier[other].described()}, but got {value!r}."
        earlier[name] = parameter


def _problems_of_recipes(space: "Space") -> Iterator[str]:
    """Each value that is an extreme of its parameter must make a valid recipe."""
    seen: set[str] = set()
    for values, changed in _extreme_values(space):
        setters = [space.parameters[name].sets for name in values]
        twice = {field for field in setters if setters.count(field) > 1}
        if twice:
            problem = f"parameters: {min(twice)} is set by two parameters at once."
            if problem not in seen:
                seen.add(problem)
                yield problem
            continue
        try:
            space.recipe_of(values)
        except RecipeError as error:
            for line in str(error).splitlines()[1:]:
                if line not in seen:
                    seen.add(line)
                    where = f"with parameters.{changed} = {values[changed]!r}, " if changed else ""
                    yield f"{where}recipe field {line.strip()}"
        except (AttributeError, TypeError):
            yield f"recipe: {changed or 'a parameter'} sets a field inside of something that has none."


def _extreme_values(space: "Space") -> Iterator[tuple[Values, str | None]]:
    """Values for all parameters: the first of each, then each parameter through its extremes."""
    for varied in [None, *space.parameters]:
        options = space.parameters[varied].extremes() if varied else [None]
        for option in options:
            # A conditional parameter is seen only where its condition holds.
            values: Values = {}
            wanted = space.parameters[varied].when if varied else {}
            for name, parameter in space.parameters.items():
                if not parameter.applies(values):
                    continue
                first = wanted[name][0] if wanted.get(name) else parameter.extremes()[0]
                values[name] = option if name == varied and option is not None else first
            yield values, varied if varied in values else None


def _problems_of_known(space: "Space", index: int, known: "Known") -> Iterator[str]:
    key = f"known.{index} ({known.name})"
    if [one.name for one in space.known].index(known.name) != index:
        yield f"{key}: the name stands twice."
    expected: Values = {}
    for name, parameter in space.parameters.items():
        if not parameter.applies(expected):
            continue
        if name not in known.values:
            yield f"{key}.values.{name}: is missing."
            return
        value = known.values[name]
        # A learning rate may lie outside: its range is measured and then widened to hold it.
        if not parameter.contains(value) and not (parameter.measured and _is_positive(value)):
            yield f"{key}.values.{name}: must be in {parameter.described()}, but got {value!r}."
        expected[name] = value
    for name in known.values.keys() - expected.keys():
        yield f"{key}.values.{name}: is not a parameter that applies here."


def _problems_of_lr_range(space: "Space") -> Iterator[str]:
    for name, parameter in space.measured().items():
        if parameter.sets != "optimizer.lr" or parameter.is_integer or not parameter.log:
            yield (
                f"parameters.{name}.measured: only a float parameter with `log = true` that sets "
                "optimizer.lr can be measured."
            )
    if space.measured() and space.lr_range is None:
        yield "lr_range: is missing, although a parameter is `measured`."
    if space.lr_range is None:
        return
    if space.lr_range.base not in [one.name for one in space.known]:
        yield f"lr_range.base: must name a known configuration, but got {space.lr_range.base!r}."
    for group in space.lr_range.corners:
        for name in group:
            if name not in space.parameters:
                yield f"lr_range.corners: there is no parameter {name!r}."


def _problems_of_quick(space: "Space") -> Iterator[str]:
    if space.quick is None:
        return
    for name, changes in space.quick.ranges.items():
        if name not in space.parameters:
            yield f"quick.ranges.{name}: there is no such parameter."
        elif unknown := changes.keys() - {"low", "high", "choices"}:
            yield f"quick.ranges.{name}.{min(unknown)}: must be `low`, `high` or `choices`."


def _is_positive(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
