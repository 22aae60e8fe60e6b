"""Events of a search, for its views."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cifar_core.epoch import Epoch
from search.study.confirmation import Confirmation, ConfirmationPlan, ConfirmationRun, Contender
from search.study.rows import TrialRow
from spaces.space import Values

__all__ = [
    "BoundsFound",
    "ConfirmationEnded",
    "ConfirmationEpoch",
    "ConfirmationStarted",
    "ConfirmationTrained",
    "EpochSeen",
    "Event",
    "Notice",
    "Observer",
    "SearchStarted",
    "SessionStarted",
    "Stopping",
    "SweepCurve",
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
class SessionStarted:
    """This process has the study from here on.

    Attributes:
        study: The study's name.
        log: File of the study's log, in an existing folder.
    """

    study: str
    log: Path


@dataclass(frozen=True)
class SweepsProgress:
    """The LR-range test has finished `done` of `total` sweeps.

    Attributes:
        done: Finished sweeps.
        total: Sweeps in all.
        share: Share of the test's work that is done, 0 to 1.
        rest: Expected work of everything after the test, against that of the test.
    """

    done: int
    total: int
    share: float = 0.0
    rest: float = 0.0


@dataclass(frozen=True)
class SweepCurve:
    """The newest sweep of a recipe has come this far.

    Attributes:
        subject: Number of the recipe.
        name: The recipe in words.
        lr: Rates of the whole sweep, ascending.
        loss: Smoothed training loss at the first of them, in nats.
        done: The sweep is done.
    """

    subject: int
    name: str
    lr: tuple[float, ...]
    loss: tuple[float, ...]
    done: bool = False


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
        planned_epochs: Epochs that the policy trains over all trials; None where nobody can know.
        confirming: Fewest and most trainings of the confirmation that follows.
    """

    study: str
    data: str
    trials: int
    epochs: int
    workers: str
    rows: tuple[TrialRow, ...]
    timeout: float | None
    where: str = ""
    planned_epochs: int | None = None
    confirming: tuple[int, int] = (0, 0)


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
class ConfirmationStarted:
    """The confirmation starts, or continues.

    Attributes:
        study: The study's name.
        plan: Who is trained anew, and how often at most.
        done: Trainings that are finished already.
        most: Trainings in all, if no contender is left out before the end.
        seconds: Estimated time of the rest of these.
        timeout: Seconds left, or None for no limit.
        so_far: What the finished trainings say; None before the first.
    """

    study: str
    plan: ConfirmationPlan
    done: int
    most: int
    seconds: float
    timeout: float | None
    so_far: Confirmation | None


@dataclass(frozen=True)
class ConfirmationEpoch:
    """A training of the confirmation has begun (`epoch` is 0), or has finished an epoch.

    Attributes:
        contender: What is trained.
        repeat: Which of its trainings it is, from 1 on.
        epoch: The epoch.
    """

    contender: Contender
    repeat: int
    epoch: int


@dataclass(frozen=True)
class ConfirmationTrained:
    """A training of the confirmation is over.

    Attributes:
        run: The training.
        so_far: What all finished trainings say; None if each has failed.
    """

    run: ConfirmationRun
    so_far: Confirmation | None


@dataclass(frozen=True)
class ConfirmationEnded:
    """The confirmation is over, and at least one of its trainings was finished."""

    conclusion: Confirmation


@dataclass(frozen=True)
class Stopping:
    """The search was asked to stop, or its time is used up; running trials finish their epoch."""

    reason: str


Event = (
    Notice
    | SessionStarted
    | SweepsProgress
    | SweepCurve
    | BoundsFound
    | SearchStarted
    | TrialStarted
    | EpochSeen
    | TrialEnded
    | TrialPaused
    | ConfirmationStarted
    | ConfirmationEpoch
    | ConfirmationTrained
    | ConfirmationEnded
    | Stopping
)
Observer = Callable[[Event], None]
