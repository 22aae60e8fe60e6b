"""Messages between coordinator and workers."""

from dataclasses import dataclass
from pathlib import Path

from cifar_core.epoch import Epoch
from cifar_core.lr_range import Ramp, Sweep
from cifar_core.recipe import Recipe
from cifar_core.throughput import Throughput

__all__ = [
    "Beat",
    "Died",
    "EpochsDone",
    "Failed",
    "Finished",
    "Ready",
    "Remark",
    "SpeedDone",
    "SpeedTask",
    "SweepDone",
    "SweepSteps",
    "SweepTask",
    "Task",
    "TrainTask",
    "Unsaved",
    "WorkerMessage",
]


@dataclass(frozen=True)
class TrainTask:
    """Train a trial, from its checkpoint if there is one.

    Attributes:
        number: The trial's number.
        recipe: The recipe to train.
        seed: The trial's seed.
        checkpoint: File of the state, written after every epoch.
        confirms: It is a training of a confirmation; the worker says at its end which images are right.
    """

    number: int
    recipe: Recipe
    seed: int
    checkpoint: Path
    confirms: bool = False


@dataclass(frozen=True)
class SweepTask:
    """Run one sweep of the LR-range test.

    Attributes:
        key: Names the sweep.
        recipe: The recipe to train.
        ramp: The learning rates.
        seed: The sweep's seed.
        subject: Number of the recipe in its test.
        name: The recipe in words.
    """

    key: str
    recipe: Recipe
    ramp: Ramp
    seed: int
    subject: int = 0
    name: str = ""


@dataclass(frozen=True)
class SpeedTask:
    """Measure the speed at which a recipe trains.

    Attributes:
        recipe: The recipe to train.
        seconds: Length of the measurement, after a warm-up.
    """

    recipe: Recipe
    seconds: float


Task = TrainTask | SweepTask | SpeedTask


@dataclass(frozen=True)
class Ready:
    """A worker has the images and waits for a task."""


@dataclass(frozen=True)
class Beat:
    """A sign of life: a worker that sends nothing for long hangs."""


@dataclass(frozen=True)
class Unsaved:
    """The state after an epoch cannot be saved; the worker waits for an answer: retry, or give up.

    Attributes:
        reason: One line for the user.
    """

    reason: str


@dataclass(frozen=True)
class EpochsDone:
    """A trial has finished these epochs, its state is saved, and the worker waits for an answer.

    Attributes:
        epochs: The newest; after a resume all so far, some of which may have been reported before.
    """

    epochs: tuple[Epoch, ...]


@dataclass(frozen=True)
class Finished:
    """A trial has no further epochs, or was told to stop.

    Attributes:
        correct: Which of the confirming images are right, as `packed` writes them; None unless this was
            asked for and no epoch is left.
    """

    correct: str | None = None


@dataclass(frozen=True)
class Remark:
    """Something about a trial that the user should know; the trial continues.

    Attributes:
        text: One sentence.
    """

    text: str


@dataclass(frozen=True)
class SweepSteps:
    """A sweep goes on.

    Attributes:
        losses: The losses since the last of these messages.
    """

    losses: tuple[float, ...]


@dataclass(frozen=True)
class SweepDone:
    """A sweep is done."""

    sweep: Sweep


@dataclass(frozen=True)
class SpeedDone:
    """A speed is measured."""

    throughput: Throughput


@dataclass(frozen=True)
class Failed:
    """A task cannot be done.

    Attributes:
        reason: One line for the user; the worker's log has the rest.
        worker_ends: The error has left the worker without a working device; this is its last message.
    """

    reason: str
    worker_ends: bool = False


@dataclass(frozen=True)
class Died:
    """A worker's process has ended by itself or was killed; sent by the pool.

    Attributes:
        reason: The way it ended, such as ``killed by SIGKILL``.
    """

    reason: str


WorkerMessage = (
    Ready
    | Beat
    | Remark
    | EpochsDone
    | Unsaved
    | Finished
    | SweepSteps
    | SweepDone
    | SpeedDone
    | Failed
    | Died
)
