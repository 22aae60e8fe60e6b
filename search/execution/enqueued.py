"""Checks of what a trial is to be trained with: values that a user's script enqueued, and recipes."""

from difflib import get_close_matches
from typing import Any

from optuna.trial import FrozenTrial

from cifar_core.errors import RecipeError
from cifar_core.recipe import Recipe
from cifar_core.records import shown
from cifar_core.text_files import last_line
from search.policy.base import InvalidParametersError
from search.policy.factory import SEED
from search.study import attributes
from search.study.trial_states import enqueued_values
from spaces.parameter import Parameter
from spaces.space import Space, Values

__all__ = ["MadeByHandError", "check_enqueued", "check_stored", "recipe_of"]


class MadeByHandError(InvalidParametersError):
    """Somebody has enqueued or damaged this trial, which says nothing about others."""


def check_enqueued(space: Space, trial: FrozenTrial) -> None:
    """Refuse an enqueued trial before any of its values is written as a parameter, where samplers see it.

    Args:
        space: The space, with the learning-rate bounds it is searched in.
        trial: A trial whose parameters are to be chosen; one that was not enqueued has no values yet.

    Raises:
        MadeByHandError: A value is outside of its range or choices, or no parameter has its name.
    """
    for name, value in enqueued_values(trial).items():
        if name == SEED and space.grid is not None:
            continue
        parameter = space.parameters.get(name)
        if parameter is None:
            close = get_close_matches(name, space.parameters, n=1)
            hint = (
                f"did you mean {close[0]}?"
                if close
                else f"there are {', '.join(space.parameters)}."
            )
            raise MadeByHandError(f"enqueued with {name}, which is no parameter; {hint}")
        if parameter.zero is not None and not isinstance(value, bool) and value == 0:
            raise MadeByHandError(
                f"enqueued with {name} = 0, which a logarithmic range of Optuna's cannot hold; enqueue "
                f"{parameter.stored(0.0):g}, which stands for it"
            )
        if not _allows(parameter, parameter.value_of(value)):
            raise MadeByHandError(
                f"enqueued with {name} = {shown(value)}, which is not in {parameter.described()}"
            )


def check_stored(trial: FrozenTrial) -> None:
    """Refuse to continue a trial whose recipe or seed another program has damaged.

    Raises:
        MadeByHandError: It cannot be trained with what the study has; the text says why.
    """
    notes = trial.user_attrs
    try:
        Recipe.read(notes.get(attributes.RECIPE))
    except RecipeError as error:
        problem = str(error).splitlines()[1].strip().rstrip(".")
        raise MadeByHandError(f"its recipe was damaged by another program: {problem}") from error
    seed = notes.get(attributes.SEED)
    if not isinstance(seed, int) or seed < 0:
        raise MadeByHandError(
            f"its seed was damaged by another program: must be a number from 0 on, but got {shown(seed)}"
        )


def recipe_of(space: Space, values: Values) -> Recipe:
    """Return the recipe of a trial's values.

    Raises:
        InvalidParametersError: They make no valid recipe; the text names them and what to change.
    """
    try:
        return space.recipe_of(values)
    except RecipeError as error:
        problem = last_line(error).rstrip(".")
        to_blame = {
            name: shown(value)
            for name, value in values.items()
            if any(field.rpartition(".")[2] in problem for field in space.parameters[name].fields())
        }
        chosen = ", ".join(f"{name} = {value}" for name, value in to_blame.items())
        advice = f" (chosen: {chosen}; narrow that in the space)" if to_blame else ""
        raise InvalidParametersError(f"{problem}{advice}") from error


def _allows(parameter: Parameter, value: Any) -> bool:
    """Return whether a value may be enqueued; 1 is as good as 1.0, as it is to Optuna."""
    if parameter.options is None and isinstance(value, float) and parameter.is_integer:
        return value.is_integer() and parameter.contains(int(value))
    return parameter.contains(value)
