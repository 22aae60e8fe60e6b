"""Checks of a space as a whole: its parts must fit each other and make valid recipes."""

from collections.abc import Iterator, Mapping
from itertools import combinations

from cifar_core.errors import RecipeError
from cifar_core.recipe import Recipe
from cifar_core.records import UNIONS, shown
from spaces.grid import MOST_CELLS, Grid
from spaces.parameter import Parameter, Value, Values
from spaces.prior import Prior
from spaces.space import Known, Space

__all__ = ["problems_of", "tried_recipes"]

SECTIONS = [*sorted(UNIONS), "augmentation"]


def problems_of(space: Space) -> Iterator[str]:
    """Yield what is wrong with a space beyond its single keys, a sentence each."""
    changes = {
        f"parameters.{name}.variants.{variant}": change
        for name, parameter in space.parameters.items()
        for variant, change in (parameter.variants or {}).items()
    }
    no_tables = [
        f"{place}.{key}: must be a table, but got {shown(values[key])}."
        for place, values in {"recipe": space.recipe, **changes}.items()
        for key in SECTIONS
        if not isinstance(values.get(key, {}), Mapping)
    ]
    if no_tables:
        yield from no_tables
        return
    conditions = list(_problems_of_conditions(space))
    yield from conditions
    whole = [
        f"parameters.{name}.sets: must name a single field, such as optimizer.lr."
        for name, parameter in space.parameters.items()
        if parameter.sets in SECTIONS
    ]
    yield from whole
    if conditions or whole:
        return  # these decide which parameters meet and what they set
    yield from _problems_of_setters(space)
    if space.grid is not None:
        problems = list(_problems_of_grid(space, space.grid))
        yield from problems
        if problems:
            return  # there may be more cells than can be looked at
    yield from _problems_of_recipes(space)
    for index, known in enumerate(space.known):
        yield from _problems_of_known(space, index, known)
    yield from _problems_of_lr_range(space)
    for name, parameter in space.parameters.items():
        if parameter.prior is not None:
            key = f"parameters.{name}.prior"
            yield from (
                f"{key}{problem}" for problem in _problems_of_prior(parameter, parameter.prior)
            )


def _problems_of_conditions(space: Space) -> Iterator[str]:
    earlier: dict[str, Parameter] = {}
    for name, parameter in space.parameters.items():
        for other, wanted in parameter.when.items():
            key = f"parameters.{name}.when.{other}"
            if other not in earlier:
                names = ", ".join(earlier) or "none"
                yield f"{key}: must name a parameter that is defined before {name} ({names})."
                continue
            for value in wanted:
                if not earlier[other].contains(value):
                    allowed = earlier[other].described()
                    yield f"{key}: must be among {allowed}, but got {value!r}."
        earlier[name] = parameter


def _problems_of_setters(space: Space) -> Iterator[str]:
    """Two parameters may set one field only if their conditions never hold together."""
    conditions = _conditions(space)
    for (one, first), (other, second) in combinations(space.parameters.items(), 2):
        for field in sorted(first.fields() & second.fields()):
            wanted, others = conditions[one], conditions[other]
            if all(set(wanted[key]) & set(others[key]) for key in wanted.keys() & others.keys()):
                yield f"parameters: {field} is set by two parameters at once, {one} and {other}."
    for name, parameter in space.parameters.items():
        if "epochs" in parameter.fields() and space.grid is None:
            yield f"parameters.{name}.sets: epochs are what trials are compared by; fix them in recipe."


def _problems_of_recipes(space: Space) -> Iterator[str]:
    """Each value that is an extreme of its parameter, and each cell of a grid, must make a recipe."""
    seen: set[str] = set()
    cells = [(cell, None) for cell in space.cells()] if space.grid is not None else []
    for values, changed in [*_extreme_values(space), *cells]:
        try:
            space.recipe_of(values)
        except RecipeError as error:
            for line in str(error).splitlines()[1:]:
                if line not in seen:
                    seen.add(line)
                    where = f"with parameters.{changed} = {values[changed]!r}, " if changed else ""
                    if space.grid is not None:
                        where = f"in the cell {_described(values)}, "
                    yield f"{where}recipe field {line.strip()}"
        except (AttributeError, TypeError):
            name = f"parameters.{changed}.sets" if changed else "parameters: each `sets`"
            yield f"{name}: must name a single field, such as optimizer.lr."


def tried_recipes(space: Space) -> Iterator[Recipe]:
    """Yield the recipes of a space that is valid at the ends of its parameters, and its known ones."""
    for values, _ in _extreme_values(space):
        yield space.recipe_of(values)
    for known in space.known:
        yield space.recipe_of(known.values)


def _extreme_values(space: Space) -> Iterator[tuple[Values, str | None]]:
    """Values for all parameters: the first of each, then each parameter through its extremes."""
    every = _conditions(space)
    for varied in [None, *space.parameters]:
        # A conditional parameter is seen only where its conditions hold, and theirs.
        conditions = every[varied] if varied else {}
        options = space.parameters[varied].tried() if varied else [None]
        for option in options:
            values: Values = {}
            for name, parameter in space.parameters.items():
                if not parameter.applies(values):
                    continue
                if name == varied and option is not None:
                    values[name] = option
                else:
                    values[name] = conditions.get(name, parameter.extremes())[0]
            yield values, varied if varied in values else None


def _conditions(space: Space) -> dict[str, dict[str, list[Value]]]:
    """Return the conditions of each parameter, and the conditions of the parameters that they name."""
    found: dict[str, dict[str, list[Value]]] = {}
    for name, parameter in space.parameters.items():
        found[name] = {}
        for other, wanted in parameter.when.items():  # it is defined earlier: its own are known
            found[name] |= found[other]
            found[name][other] = wanted
    return found


def _problems_of_known(space: Space, index: int, known: Known) -> Iterator[str]:
    key = f"known.{index} ({known.name})"
    if [one.name for one in space.known].index(known.name) != index:
        yield f"{key}: the name is used twice."
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
            if parameter.variants is not None:
                return  # its changes are unknown
        expected[name] = value
    for name in known.values.keys() - expected.keys():
        yield f"{key}.values.{name}: is not a parameter that applies here."
    try:
        space.recipe_of(expected)
    except RecipeError as error:
        for line in str(error).splitlines()[1:]:
            yield f"{key}: recipe field {line.strip()}"
    except (AttributeError, TypeError):
        return  # a `sets` that is not a single field has been reported already


def _problems_of_lr_range(space: Space) -> Iterator[str]:
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
    deciding = {other for parameter in space.parameters.values() for other in parameter.when}
    for group in space.lr_range.corners:
        for name in (one.removeprefix("-") for one in group):
            if name not in space.parameters:
                yield f"lr_range.corners: there is no parameter {name!r}."
            elif space.parameters[name].measured or name in deciding:
                yield (
                    f"lr_range.corners: {name} cannot vary: it is measured, or other parameters "
                    "depend on it."
                )


def _problems_of_prior(parameter: Parameter, prior: Prior) -> Iterator[str]:
    """Yield what is wrong with a parameter's prior, to follow the prior's key."""
    if parameter.options is not None:
        if prior.weights is None:
            yield ".value: is for a range; choices have `weights`."
        for choice in prior.weights or {}:
            if choice not in parameter.choice_names:
                names = ", ".join(parameter.choice_names)
                yield f".weights.{choice}: must be among {names}."
        return
    if prior.weights is not None or prior.value is None or prior.spread is None:
        yield ".weights: is for choices; a range has `value` and `spread`."
        return
    low, high = (float(end) for end in parameter.extremes())
    if prior.value == 0.0 and parameter.zero is not None:
        low = 0.0
    # The range of a learning rate may be measured, and the belief is then cut to it.
    if not (low <= prior.value <= high or (parameter.measured and prior.value > 0)):
        yield f".value: must be in {parameter.described()}, but got {prior.value:g}."
    if parameter.log and prior.spread <= 1:
        yield (
            f".spread: must be above 1 where `log` is true, for it is a factor, but got {prior.spread:g}."
        )


def _described(values: Values) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())


def _problems_of_grid(space: Space, grid: Grid) -> Iterator[str]:
    if space.cell_count > MOST_CELLS:
        yield f"grid: has {space.cell_count:,} cells; at most {MOST_CELLS:,} are possible."
    for name, parameter in space.parameters.items():
        if parameter.options is None:
            yield f"parameters.{name}: a grid needs `choices` or `variants`, not a range."
        if parameter.when:
            yield f"parameters.{name}.when: a grid has every combination; it has no conditions."
        if parameter.prior is not None:
            yield f"parameters.{name}.prior: a grid trains every combination, whatever is believed."
        if name == "seed":
            yield "parameters.seed: this name is taken: a grid is run over several seeds."
    if space.known or space.lr_range is not None:
        yield "grid: cannot be combined with `known` or `lr_range`: all its cells are given."
    seen = set()
    for index, published in enumerate(grid.published):
        key = f"grid.published.{index}.values"
        for name, value in published.values.items():
            if name not in space.parameters:
                yield f"{key}.{name}: there is no such parameter."
            elif not space.parameters[name].contains(value):
                allowed = space.parameters[name].described()
                yield f"{key}.{name}: must be among {allowed}, but got {value!r}."
        for name in sorted(space.parameters.keys() - published.values.keys()):
            yield f"{key}.{name}: is missing."
        cell = frozenset(published.values.items())
        if cell in seen:
            yield f"{key}: this cell is listed twice."
        seen.add(cell)
        if isinstance(published.accuracy, list) and published.accuracy != sorted(
            published.accuracy
        ):
            yield f"grid.published.{index}.accuracy: the lower end of a range must come first."


def _is_positive(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
