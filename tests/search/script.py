"""Events and rows for tests of what shows a search."""

from cifar_core.epoch import Epoch
from search.events import EpochSeen, SearchStarted, TrialEnded, TrialPaused, TrialStarted
from search.study.rows import State, TrialRow
from spaces.space import Values

VALUES: Values = {
    "optimizer": "adam",
    "adam_lr": 0.00213,
    "batch_size": 64,
    "weight_decay": 5e-4,
    "channels1": 24,
    "channels2": 48,
    "batch_norm": True,
    "init": "kaiming",
    "schedule": "cosine",
}
DATA = "CIFAR-10, 10,000 training / 5,000 validation, split 9f3ab7701c22d4e5"


class HandClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def row(
    number: int,
    state: State = "complete",
    accuracy: float | None = 0.5,
    epochs: int = 6,
    known: str | None = None,
    reason: str | None = None,
    seconds: float = 60.0,
) -> TrialRow:
    return TrialRow(
        number,
        state,
        accuracy,
        epochs,
        VALUES,
        None,
        1,
        known,
        known is not None,
        reason,
        seconds,
        ending="pruner" if (reason or "").startswith("stopped early") else None,
    )


def started(*rows: TrialRow, trials: int = 40, timeout: float | None = None) -> SearchStarted:
    return SearchStarted("mine", DATA, trials, 6, "2 workers on cpu", rows, timeout)


def begins(number: int, epochs_done: int = 0, label: str | None = None) -> TrialStarted:
    return TrialStarted(number, label, VALUES, epochs_done)


def epoch(trial: int, number: int, accuracy: float = 0.3, rate: float = 1000.0) -> EpochSeen:
    return EpochSeen(trial, Epoch(number, 1.0, 0.5, 1.2, accuracy, 0.01, 2.0, rate))


def pauses(
    number: int, accuracy: float = 0.3, epochs: int = 2, seconds: float = 20.0
) -> TrialPaused:
    return TrialPaused(row(number, "paused", accuracy, epochs, seconds=seconds))


def ends(*args: object, **values: object) -> TrialEnded:
    return TrialEnded(row(*args, **values))  # type: ignore[arg-type]
