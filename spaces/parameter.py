"""One searched parameter: its range or choices, what of the recipe it sets, and when it applies."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from cifar_core.recipe import current_name, takes_fractions, with_current_names
from cifar_core.records import Record, no_control, shown
from spaces.prior import Prior

if TYPE_CHECKING:
    from optuna import Trial

__all__ = ["Change", "Name", "Parameter", "Title", "Value", "Values"]

LARGEST = 1e18
ROUNDING = 1e-5
"""Part of a value that a database may round."""
STEP_TOLERANCE = 1e-6
"""Of a number of steps, for what a decimal fraction loses in binary."""


def _number(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) <= LARGEST:  # type: ignore[arg-type] # also refuses NaN
        raise PydanticCustomError("number", "must be a number from -1e18 to 1e18")
    return value


def _value(value: object) -> object:
    if isinstance(value, str):
        return no_control(value)
    return value if isinstance(value, bool) else _number(value)


# One validator each, so that a wrong value is one problem and not one for each type of a union.
Number = Annotated[int | float, PlainValidator(_number)]
Value = Annotated[bool | int | float | str, PlainValidator(_value)]
Values = dict[str, Value]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Title = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(no_control)]


def _with_current_names(change: dict[str, Any]) -> dict[str, Any]:
    """Return a change with the current names of its fields, and the name of a user's own network."""
    found = {section: with_current_names(values) for section, values in change.items()}
    network = found.get("network")
    if isinstance(network, dict) and "builder" in network:
        found["network"] = {"name": "own", **network}
    return found


Change = Annotated[dict[str, Any], AfterValidator(_with_current_names)]
"""A part of a recipe: sections with some of their fields, and fields that stand in no section."""


class Parameter(Record):
    """One searched parameter. It has either `choices`, or `low` and `high`, or `variants`.

    Attributes:
        sets: The recipe's field that it sets, such as ``network.channels1``; variants set several.
        choices: The values to choose from.
        variants: Named changes to the recipe to choose from, each a part of a recipe.
        low: Smallest value. Where it, `high` and `step` are whole numbers and the recipe's field holds
            whole numbers, so are all values.
        high: Largest value.
        log: Search the logarithm.
        zero: Share, 0.01 to 0.9, of random configurations in which the value is 0, which no logarithmic
            range has: with ``zero = 0.2`` one in five goes without. Only for fractions with ``log = true``.
            Optuna's own views show such a value as a number below `low`.
        step: Distance of neighbouring values, from `low` on; None for every value in between. `high` must
            be one of them.
        measured: The LR-range test replaces `low` and `high`, which are what is searched without it.
        when: Other parameters and the values of theirs for which this one applies.
        prior: Where its best value is expected; None if it is not given.
    """

    sets: (
        Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$"), AfterValidator(current_name)]
        | None
    ) = None
    choices: Annotated[list[Value], Field(min_length=1, max_length=100)] | None = None
    variants: Annotated[dict[Title, Change], Field(min_length=1, max_length=100)] | None = None
    low: Number | None = None
    high: Number | None = None
    log: bool = False
    zero: Annotated[float, Field(ge=0.01, le=0.9)] | None = None
    step: Number | None = None
    measured: bool = False
    when: dict[Name, Annotated[list[Value], Field(min_length=1)]] = {}
    prior: Prior | None = None

    @model_validator(mode="after")
    def _is_one_of_three_kinds(self) -> "Parameter":
        if self.variants is not None:
            if self.sets is not None or self.choices is not None or self._has_range:
                raise ValueError("`variants` cannot be combined with `sets`, `choices` or a range.")
            return self
        if self.sets is None:
            raise ValueError("needs `sets`, the recipe's field that it sets, or `variants`.")
        if self.choices is not None:
            if self._has_range:
                raise ValueError(
                    "`choices` cannot be combined with `low`, `high`, `log`, `zero`, `step` or "
                    "`measured`."
                )
            # Optuna takes 1, 1.0 and true for the same choice, as `==` and sets do.
            if len(set(self.choices)) != len(self.choices):
                raise ValueError(f"`choices` names a value twice: {shown(self.choices)}.")
            return self
        if self.low is None or self.high is None:
            raise ValueError("needs either `choices`, or both `low` and `high`, or `variants`.")
        if self.low > self.high:
            raise ValueError(f"`low` must be at most `high`, but got {self.low} and {self.high}.")
        if self.log and self.low <= 0:
            raise ValueError(f"`low` must be above 0 where `log` is true, but got {self.low}.")
        if self.step is not None:
            self._check_step(float(self.low), float(self.high), float(self.step))
        if self.zero is not None:
            self._check_zero(float(self.low), float(self.high))
        return self

    def _check_zero(self, low: float, high: float) -> None:
        if (
            not self.log
            or self.measured
            or (isinstance(self.low, int) and isinstance(self.high, int))
        ):
            raise ValueError(
                "`zero` is for a range of fractions with `log` true, such as 1e-5 to 1e-2, that is not "
                "`measured`."
            )
        if low == high or self._lowest <= 0.0:
            raise ValueError(
                f"`zero` needs a range of a few decades at most, but got {low:g} to {high:g}."
            )

    def _check_step(self, low: float, high: float, step: float) -> None:
        if self.log or self.measured:
            raise ValueError("`step` cannot be combined with `log` or `measured`.")
        if step <= 0.0:
            raise ValueError(f"`step` must be above 0, but got {self.step}.")
        if self.is_integer and not isinstance(self.step, int):
            raise ValueError(
                f"`step` must be a whole number, as the range's ends are, but got {self.step}."
            )
        steps = (high - low) / step
        if abs(steps - round(steps)) > STEP_TOLERANCE:
            last = low + math.floor(steps) * step
            raise ValueError(
                f"`high` must lie a whole number of steps above `low`, such as {last:g} or "
                f"{last + step:g}, but got {self.high}."
            )

    @property
    def _has_range(self) -> bool:
        limits = (self.low, self.high, self.step, self.zero)
        return self.log or self.measured or any(one is not None for one in limits)

    @property
    def _lowest(self) -> float:
        """The lower end of Optuna's range: what lies between it and `low` stands for 0.

        A share of a logarithmic range stays a share whichever way Optuna draws from it, and the numbers
        that stand for 0 are neighbours of the smallest ones that don't, as they should be to a model.
        """
        low, high = (float(end) for end in self.extremes())
        if self.zero is None:
            return low
        return float(low * (low / high) ** (self.zero / (1.0 - self.zero)))

    @property
    def zero_below(self) -> float | None:
        """The number below which a value of Optuna's stands for 0; None where nothing does."""
        if self.zero is None:
            return None
        return float(self.extremes()[0]) * (1.0 - ROUNDING)

    def value_of(self, stored: Value) -> Value:
        """Return the value that a value of Optuna's stands for."""
        limit = self.zero_below
        is_number = isinstance(stored, int | float) and not isinstance(stored, bool)
        return 0.0 if limit is not None and is_number and stored < limit else stored  # type: ignore[operator]

    def stored(self, value: Value) -> Value:
        """Return the value by which Optuna knows this one: the inverse of `value_of`."""
        return self._lowest if self._is_zero(value) else value

    def _is_zero(self, value: object) -> bool:
        """`value` is 0, and a share of configurations has that."""
        return self.zero is not None and not isinstance(value, bool) and value == 0

    @property
    def span(self) -> float:
        """The length of the searched range on the scale that it is searched on, the share of 0 included."""
        high = float(self.extremes()[1])
        return math.log(high / self._lowest) if self.log else high - self._lowest

    @property
    def options(self) -> list[Value] | None:
        """The choices, or the names of the variants; None for a range."""
        return list(self.variants) if self.variants is not None else self.choices

    @property
    def choice_names(self) -> list[str]:
        """The choices as a space file writes them; empty for a range."""
        return [_as_in_file(choice) for choice in self.options or []]

    def fields(self) -> set[str]:
        """The recipe's fields that it can set, such as ``optimizer.lr``."""
        if self.variants is None:
            return {self.sets or ""}
        return {field for changes in self.variants.values() for field in _leaves(changes)}

    @property
    def is_integer(self) -> bool:
        """Both ends of its range, and its step if it has one, are whole numbers."""
        ends = (self.low, self.high, 1 if self.step is None else self.step)
        return all(isinstance(one, int) for one in ends)

    def of_its_field(self) -> "Parameter":
        """Return the parameter with a range of fractions if that is what its field of the recipe holds.

        A file may say 0 and 1 where it means every number in between.
        """
        if self.low is None or self.high is None or not takes_fractions(self.sets or ""):
            return self
        return self.model_copy(update={"low": float(self.low), "high": float(self.high)})

    def extremes(self) -> list[Value]:
        """Every choice, or both ends of the range."""
        if self.options is not None:
            return list(self.options)
        assert self.low is not None  # noqa: S101 - for mypy; checked when the record was made
        assert self.high is not None  # noqa: S101
        return [self.low, self.high]

    def tried(self) -> list[Value]:
        """Every value at which a recipe may be refused: the extremes, and 0 if there is a share of it."""
        return self.extremes() if self.zero is None else [*self.extremes(), 0.0]

    def contains(self, value: object) -> bool:
        """`value` is one of the choices, or of the right type and in the range."""
        if self.options is not None:
            return any(type(value) is type(choice) and value == choice for choice in self.options)
        if self._is_zero(value):
            return True
        low, high = self.extremes()
        kinds = (int,) if self.is_integer else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return False
        inside = low <= value <= high  # type: ignore[operator] # both are numbers here
        if not inside or self.step is None:
            return inside
        steps = (value - float(low)) / float(self.step)
        return abs(steps - round(steps)) <= STEP_TOLERANCE

    def clip(self, value: Value) -> Value:
        """The nearest value of the range; a choice is left as it is."""
        if self.options is not None or isinstance(value, str):
            return value
        if self._is_zero(value):
            return 0.0
        low, high = self.extremes()
        nearest = min(max(value, low), high)
        if self.step is None or self.contains(nearest):
            return nearest
        count = round((float(nearest) - float(low)) / float(self.step))
        stepped = low + count * self.step  # type: ignore[operator] # both are numbers here
        return stepped if self.is_integer else float(stepped)

    def prior_within(self) -> Prior | None:
        """The prior cut to the range or the choices: its value moved inside, other weights left out."""
        if self.prior is None:
            return None
        if self.prior.weights is not None:
            weights = {k: v for k, v in self.prior.weights.items() if k in self.choice_names}
            return Prior(weights=weights) if weights else None
        value = self.prior.value
        assert value is not None  # noqa: S101 - for mypy; checked when the record was made
        return self.prior.model_copy(update={"value": float(self.clip(value))})

    def applies(self, values: Values) -> bool:
        """The values of the parameters before it are those that `when` asks for."""
        return all(name in values and values[name] in wanted for name, wanted in self.when.items())

    def suggest(self, name: str, trial: "Trial") -> Value:
        """Let an Optuna trial choose a value."""
        if self.options is not None:
            chosen: Any = trial.suggest_categorical(name, self.options)
            return chosen  # type: ignore[no-any-return]
        low, high = self.extremes()
        if self.is_integer:
            return trial.suggest_int(
                name, int(low), int(high), step=int(self.step or 1), log=self.log
            )
        step = None if self.step is None else float(self.step)
        found = trial.suggest_float(name, self._lowest, float(high), step=step, log=self.log)
        return self.value_of(found)

    def described(self) -> str:
        """The range or the choices in a few words, such as ``0.001 to 0.1, log``."""
        if self.variants is not None:
            return ", ".join(self.variants)
        if self.choices is not None:
            return ", ".join(self.choice_names)
        words = f"{self.low:g} to {self.high:g}"
        if self.step is not None:
            return f"{words}, step {self.step:g}"
        words = f"{words}, log" if self.log else words
        return words if self.zero is None else f"{words}, or 0 ({100 * self.zero:g} %)"


def _as_in_file(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _leaves(changes: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in changes.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
