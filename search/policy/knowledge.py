"""Knowledge that a search may start with: beliefs about parameters, and trainings of older studies.

Both are optional and neither is trusted. A belief shifts where new configurations are looked for, and the
more the search has seen, the less it counts (Hvarfner et al. 2022, "piBO", arXiv 2204.11051, equation
6). An older study is another task to the model, whose likeness to this one is learned from the scores
of both.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["NOTHING", "Belief", "ExperienceRecord", "Knowledge", "Value"]

Value = bool | int | float | str


@dataclass(frozen=True)
class Belief:
    """A guess at where the best value of one parameter lies.

    A number has `value` and `spread`; a parameter with choices has `weights`.

    Attributes:
        value: The most likely value, in the parameter's own unit, such as 0.05 for a learning rate. One
            outside the range that is searched counts as the nearest end of the range.
        spread: Standard deviation of the belief as a share of the searched range, above 0, on a log scale
            where the parameter is searched on one: 0.1 of a range of three decades is 0.3 decades.
        weights: Relative weight of each choice, 0 or more. A choice that is not named has weight 1.
    """

    value: float | None = None
    spread: float | None = None
    weights: Mapping[Value, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is neither kind, with name and value of what is wrong."""
        if (self.value is None) != (self.spread is None) or bool(self.weights) == (
            self.value is not None
        ):
            raise ValueError("A belief needs either `value` and `spread`, or `weights`.")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"`value` must be finite, but got {self.value}.")
        if self.spread is not None and not 0.0 < self.spread < math.inf:
            raise ValueError(f"`spread` must be above 0 and finite, but got {self.spread}.")
        for choice, weight in self.weights.items():
            if not 0.0 <= weight < math.inf:
                raise ValueError(
                    f"`weights` must be 0 or more and finite, but {choice!r} has {weight}."
                )
        if self.weights and not any(self.weights.values()):
            raise ValueError("`weights` must not all be 0.")


@dataclass(frozen=True)
class ExperienceRecord:
    """A training of an older study.

    Attributes:
        task: Name of the study or data set that it belongs to. Only scores of one task are compared.
        values: The parameters it was trained with. Parameters that this search does not have are ignored;
            one that is missing, or lies outside of what is searched now, is handled by the encoding.
        scores: Validation accuracy, 0-1, by epoch, counted from 1. Some epochs may be missing.
        epochs: Epochs of a whole training in that task.
    """

    task: str
    values: Mapping[str, Value]
    scores: Mapping[int, float]
    epochs: int

    def __post_init__(self) -> None:
        """Refuse a training without epochs."""
        if self.epochs < 1:
            raise ValueError(f"`epochs` must be at least 1, but got {self.epochs}.")
        if not self.scores or min(self.scores) < 1 or max(self.scores) > self.epochs:
            raise ValueError(
                f"`scores` must hold epochs from 1 to {self.epochs}, but got {sorted(self.scores)}."
            )


@dataclass(frozen=True)
class Knowledge:
    """All that a search knows before its first trial.

    Attributes:
        beliefs: Beliefs by parameter name. Names that the search does not have are ignored.
        experience: Trainings of older studies, in any order.
    """

    beliefs: Mapping[str, Belief] = field(default_factory=dict)
    experience: tuple[ExperienceRecord, ...] = ()


NOTHING = Knowledge()
