"""Events of a search, for its views."""

from collections.abc import Callable
from dataclasses import dataclass

from cifar_core.epoch import Epoch
from search.study.rows import TrialRow
from spaces.space import Values

__all__ = [
    "BoundsFound",
    "EpochSeen",
    "Event",
    "Notice",
    "Observer",
    "SearchStarted",
    "Stopping",
    "SweepsProgress",
    "TrialEnded",
    "TrialPaused",
    "TrialStarted",
]


@dataclass(frozen=True)
class Notice:
    """A message for the user."""

    text: str


@dataclass(frozen=True)
class SweepsProgress:
    """The LR-range test has finished `done` of `total` sweeps."""

    done: int
    total: int


@dataclass(frozen=True)
class BoundsFound:
    """The range in which a learning rate will be searched.

    Attributes:
        optimizer: Name of the optimizer.
        low: Lower end.
        high: Upper end.
        how: Origin of the range, in words.
    """

    optimizer: str
    low: float
    high: float
    how: str


@dataclass(frozen=True)
class SearchStarted:
    """The training of trials starts, or continues.

    Attributes:
        study: The study's name.
        data: The images that every figure is measured on, in words.
        trials: Trials in all.
        epochs: Epochs of a trial that is not stopped early.
        workers: Worker processes, in words.
        rows: Trials that the study has already.
        timeout: Seconds left, or None for no limit.
        where: Options by which other commands find the study.
    """

    study: str
    data: str
    trials: int
    epochs: int
    workers: str
    rows: tuple[TrialRow, ...]
    timeout: float | None
    where: str = ""


@dataclass(frozen=True)
class TrialStarted:
    """A worker starts a trial, or continues it.

    Attributes:
        number: The trial.
        label: Name of the known configuration it is, or of what suggested it; None otherwise.
        values: Its parameters.
        epochs_done: Epochs it has already.
    """

    number: int
    label: str | None
    values: Values
    epochs_done: int


@dataclass(frozen=True)
class EpochSeen:
    """A trial has finished an epoch."""

    number: int
    epoch: Epoch


@dataclass(frozen=True)
class TrialEnded:
    """A trial is over, for whatever reason."""

    row: TrialRow


@dataclass(frozen=True)
class TrialPaused:
    """A trial pauses, and continues if it proves to be among the best."""

    row: TrialRow


@dataclass(frozen=True)
class Stopping:
    """The search was asked to stop, or its time is used up; running trials finish their epoch."""

    reason: str


Event = (
    Notice
    | SweepsProgress
    | BoundsFound
    | SearchStarted
    | TrialStarted
    | EpochSeen
    | TrialEnded
    | TrialPaused
    | Stopping
)
Observer = Callable[[Event], None]
