"""What happens in a search, told to whoever shows it."""

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
    """Something that the user should know."""

    text: str


@dataclass(frozen=True)
class SweepsProgress:
    """The LR-range test has `done` of `total` sweeps behind it."""

    done: int
    total: int


@dataclass(frozen=True)
class BoundsFound:
    """The range in which a learning rate will be searched.

    Attributes:
        optimizer: Whose learning rate.
        low: Lower end.
        high: Upper end.
        how: Where the range comes from, in words.
    """

    optimizer: str
    low: float
    high: float
    how: str


@dataclass(frozen=True)
class SearchStarted:
    """Trials begin, or go on.

    Attributes:
        study: The study's name.
        data: What every figure is measured on, in words.
        trials: Trials in all.
        epochs: Epochs of a trial that is not stopped early.
        workers: Worker processes, in words.
        rows: Trials that are there already.
        timeout: Seconds that are left, or None for no limit.
        where: What other commands must be given to find the study's home.
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
    """A worker begins a trial, or goes on with it.

    Attributes:
        number: The trial.
        label: Name of the known configuration it is, or of what suggested it; None otherwise.
        values: Its parameters.
        epochs_done: Epochs it has behind it.
    """

    number: int
    label: str | None
    values: Values
    epochs_done: int


@dataclass(frozen=True)
class EpochSeen:
    """A trial has an epoch behind it."""

    number: int
    epoch: Epoch


@dataclass(frozen=True)
class TrialEnded:
    """A trial is finished, for whatever reason."""

    row: TrialRow


@dataclass(frozen=True)
class TrialPaused:
    """A trial waits at a rung, and goes on when it proves to be among the best."""

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
