"""A space: its searched parameters, its fixed fields, and the configurations known to be good."""

from collections.abc import Mapping
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from cifar_core.recipe import Recipe
from cifar_core.records import Record, no_control
from spaces.grid import Grid
from spaces.parameter import Change, Name, Parameter, Title, Value, Values

if TYPE_CHECKING:
    from optuna import Trial

__all__ = ["Known", "LrRange", "Quick", "Space", "Values"]

Corner = Annotated[str, Field(pattern=r"^-?[A-Za-z][A-Za-z0-9_]{0,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(no_control)]


class Known(Record):
    """A configuration that is tried first, so that a search says what it gained over it.

    Attributes:
        name: A short name to show, such as ``reference base``.
        about: Where it comes from.
        values: A value for every parameter that applies.
        published: Test accuracy that was published for it, 0 to 1; `train --final` shows it beside its own.
    """

    name: Title
    about: Text | None = None
    published: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    values: Values


class LrRange(Record):
    """Options of the LR-range test.

    Attributes:
        base: Name of the known configuration that it starts from.
        corners: Groups of parameters; all of a group stand at their lowest or all at their highest
            value, those with a ``-`` before their name at the opposite one. The test runs for every
            combination of the groups.
        seeds: Sweeps for each combination.
        low: Learning rate at which a sweep starts, above 0.
        high: Learning rate at which it ends, if the loss is not back at its start before.
    """

    base: str
    corners: Annotated[list[list[Corner]], Field(max_length=8)] = []
    seeds: Annotated[int, Field(ge=1, le=20)] = 2
    low: Annotated[float, Field(gt=0.0)] = 1e-5
    high: Annotated[float, Field(gt=0.0, le=1000.0)] = 10.0

    def model_post_init(self, _: Any) -> None:
        """Refuse a sweep that would not go upwards."""
        if not self.low < self.high:
            raise ValueError(f"low must be below high, but got {self.low:g} and {self.high:g}.")


class Quick(Record):
    """Smaller sizes for a quick run, on a machine without a GPU.

    Attributes:
        epochs: Epochs of a trial.
        train_images: Images to train on.
        trials: Trials of the study.
        ranges: Parameters whose range or choices are narrowed, and to what.
    """

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    train_images: Annotated[int, Field(ge=10)]
    trials: Annotated[int, Field(ge=1)]
    ranges: dict[Name, dict[str, Any]] = {}


class Space(Record):
    """A search space, as a space file defines it.

    Attributes:
        name: Its name, by which `--space` finds it.
        title: One line for lists.
        about: What it is for.
        recipe: The recipe's fixed fields; those not named have the recipe's defaults.
        parameters: The searched parameters, in the order in which they are chosen.
        known: Configurations tried first, in this order; the strongest first.
        lr_range: Options of the LR-range test; None where no parameter is `measured`.
        quick: Smaller sizes for a quick run, or None if there is no such run.
        grid: How every combination of the choices is trained; None where the space is searched.
        trials: Trials of a study that doesn't say otherwise; a grid has as many as cells times seeds.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    title: Annotated[str, Field(min_length=1, max_length=120), AfterValidator(no_control)]
    about: Text | None = None
    recipe: Change = {}
    parameters: Annotated[dict[Name, Parameter], Field(min_length=1, max_length=100)]
    known: Annotated[list[Known], Field(max_length=100)] = []
    lr_range: LrRange | None = None
    quick: Quick | None = None
    grid: Grid | None = None
    trials: Annotated[int, Field(ge=1)] = 50

    def suggest(self, trial: "Trial") -> Values:
        """Let an Optuna trial choose a value for every parameter that applies."""
        values: Values = {}
        for name, parameter in self.parameters.items():
            if parameter.applies(values):
                values[name] = parameter.suggest(name, trial)
        return values

    def recipe_of(self, values: Mapping[str, Value]) -> Recipe:
        """The recipe that the space's fixed fields and these values make.

        Raises:
            RecipeError: They make no valid recipe.
        """
        return Recipe.read(self.plain_recipe(values), f"the recipe of space {self.name}")

    def with_epochs(self, epochs: int) -> "Space":
        """The same space with another number of epochs."""
        return self.model_copy(update={"recipe": {**self.recipe, "epochs": epochs}})

    def values_of(self, stored: Mapping[str, Value]) -> Values:
        """Return the values that parameters of Optuna's stand for; those of other names are left alone."""
        return {
            name: self.parameters[name].value_of(value) if name in self.parameters else value
            for name, value in stored.items()
        }

    def stored(self, values: Values) -> Values:
        """Return values as Optuna has them: the inverse of `values_of`."""
        return {name: self.parameters[name].stored(value) for name, value in values.items()}

    @property
    def zero_below(self) -> dict[str, float]:
        """For parameters with a share of 0, the number below which a value of Optuna's stands for 0."""
        found = {name: one.zero_below for name, one in self.parameters.items()}
        return {name: limit for name, limit in found.items() if limit is not None}

    @property
    def builders(self) -> set[str]:
        """The builders of networks that its recipes can name: code, which is run only with consent."""
        variants = [
            change for one in self.parameters.values() for change in (one.variants or {}).values()
        ]
        found = {
            network["builder"]
            for network in (change.get("network") for change in (self.recipe, *variants))
            if isinstance(network, Mapping) and "builder" in network
        }
        for parameter in self.parameters.values():
            if parameter.sets == "network.builder":
                found |= {*(parameter.options or [])}
        return {str(one) for one in found}

    def fit(self, values: Values) -> Values:
        """`values` with every number moved into the range of its parameter."""
        return {name: self.parameters[name].clip(value) for name, value in values.items()}

    def measured(self) -> dict[str, Parameter]:
        """The parameters whose range the LR-range test measures."""
        return {name: one for name, one in self.parameters.items() if one.measured}

    @property
    def cell_count(self) -> int:
        """The number of combinations of a grid's choices."""
        return prod(len(one.extremes()) for one in self.parameters.values())

    def cells(self) -> list[Values]:
        """Every combination of the choices of a grid, the last parameter changing fastest."""
        options = [one.extremes() for one in self.parameters.values()]
        return [dict(zip(self.parameters, cell, strict=True)) for cell in product(*options)]

    @property
    def epochs(self) -> int:
        """Epochs of a trial that is not stopped early; the most where a grid has several numbers."""
        found = [self.recipe.get("epochs", Recipe.model_fields["epochs"].default)]
        for parameter in self.parameters.values():
            if parameter.sets == "epochs":
                found = list(parameter.extremes())
            found += [
                one["epochs"] for one in (parameter.variants or {}).values() if "epochs" in one
            ]
        return max(int(one) for one in found)

    def plain_recipe(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """Return the fixed fields and those that these values set, without defaults, for `recipe_of`."""
        plain = _copy(self.recipe)
        changes = [
            variants[str(value)]
            for name, value in values.items()
            if (variants := self.parameters[name].variants) is not None
        ]
        # Kinds first: what another variant changes about a section is to stand in the new kind.
        for names_kind in (True, False):
            for change in changes:
                _merge(plain, {k: v for k, v in change.items() if _names_kind(v) is names_kind})
        for name, value in values.items():
            sets = self.parameters[name].sets
            if sets is None:
                continue
            *sections, field = sets.split(".")
            place = plain
            for section in sections:
                place = place.setdefault(section, {})
            place[field] = value
        return plain


def _copy(section: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _copy(value) if isinstance(value, Mapping) else value for key, value in section.items()
    }


def _merge(recipe: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Make the changes of a variant; a section that becomes another kind loses what the old one had."""
    for key, value in changes.items():
        old = recipe.get(key)
        if not isinstance(value, Mapping):
            recipe[key] = value
        elif not isinstance(old, dict) or _kind(key, {**old, **value}) != _kind(key, old):
            recipe[key] = _copy(value)
        else:
            _merge(old, value)


def _names_kind(section: Any) -> bool:
    return isinstance(section, Mapping) and "name" in section


def _kind(section: str, values: Mapping[str, Any]) -> Any:
    """The kind of a section, which may be the recipe's default one; with its builder, if it has one."""
    field = Recipe.model_fields.get(section)
    name = values.get("name", getattr(field.default, "name", None) if field else None)
    return name, values.get("builder")
