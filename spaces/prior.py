"""A prior: where the best value of a parameter is expected before anything has been tried."""

from typing import Annotated

from pydantic import Field, model_validator

from cifar_core.records import Record

__all__ = ["Prior"]

Finite = Annotated[float, Field(ge=-1e18, le=1e18)]
Spread = Annotated[float, Field(gt=0.0, le=1e18)]
Weight = Annotated[float, Field(gt=0.0, le=1e6)]
Choice = Annotated[str, Field(min_length=1, max_length=60)]


class Prior(Record):
    """A belief about one parameter, which what is observed outweighs in the course of a search.

    A range has `value` and `spread`: a normal distribution of that mean and standard deviation, cut off at
    the ends of the range. Where the parameter has ``log = true`` it is the logarithm that is normal, and
    `spread` is a factor: with ``value = 0.05`` and ``spread = 3.0`` two thirds of the belief lie between
    0.05 / 3 and 0.05 * 3. Choices and variants have `weights`.

    Attributes:
        value: The most likely value of a range.
        spread: One standard deviation: above 0 in the parameter's own unit, or a factor above 1 where it is
            searched on a logarithmic scale.
        weights: How likely each choice is, relative to a choice that is not named, which has weight 1.
            Keys are choices as a space file writes them: ``true``, ``64``, ``sgd``.
    """

    value: Finite | None = None
    spread: Spread | None = None
    weights: Annotated[dict[Choice, Weight], Field(min_length=1, max_length=100)] | None = None

    @model_validator(mode="after")
    def _is_one_of_two_kinds(self) -> "Prior":
        if self.weights is None and (self.value is None or self.spread is None):
            raise ValueError(
                "needs both `value` and `spread` for a range, or `weights` for choices."
            )
        if self.weights is not None and not self.value is self.spread is None:
            raise ValueError("`weights` cannot be combined with `value` or `spread`.")
        return self

    def described(self, *, log: bool) -> str:
        """Return the belief in words.

        Args:
            log: Whether the parameter is searched on a logarithmic scale.
        """
        if self.weights is not None:
            return ", ".join(f"{choice} x{weight:g}" for choice, weight in self.weights.items())
        if log:
            return f"{self.value:g}, within a factor of {self.spread:g}"
        return f"{self.value:g} +- {self.spread:g}"
