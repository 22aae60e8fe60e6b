"""How far a search is: built from its events, drawn by the views."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from cifar_core.epoch import Epoch
from search.events import (
    BoundsFound,
    EpochSeen,
    Event,
    SearchStarted,
    Stopping,
    SweepsProgress,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from search.study.rows import TrialRow, best_rows, gains
from spaces.space import Values

__all__ = ["Clock", "Progress", "RunningTrial"]

Clock = Callable[[], float]

TRIALS_BEFORE_ESTIMATE = 2
"""Trials that have to end in this session before their mean time says anything."""


@dataclass(frozen=True)
class RunningTrial:
    """A trial that a worker trains.

    Attributes:
        number: The trial.
        label: Name of the known configuration it is, or of what suggested it; None otherwise.
        values: Its parameters.
        epochs_done: Epochs behind it.
        validation_accuracy: After the last of them, 0-1; None before the first.
        images_per_second: Of the last epoch of this session; 0 before it.
    """

    number: int
    label: str | None
    values: Values
    epochs_done: int
    validation_accuracy: float | None = None
    images_per_second: float = 0.0


class Progress:
    """What is known of a search, event by event.

    Args:
        clock: Seconds, from any start.

    Attributes:
        search: How the search began, or None while it has not.
        sweeps: How far the LR-range test is; None if there was none.
        bounds: Learning-rate ranges by optimizer.
        running: Running trials by number.
        stopping: Why the search is about to stop; None while it goes on.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.search: SearchStarted | None = None
        self.sweeps: SweepsProgress | None = None
        self.bounds: dict[str, BoundsFound] = {}
        self.running: dict[int, RunningTrial] = {}
        self.stopping: str | None = None
        self._clock = clock
        self._began = clock()
        self._deadline: float | None = None
        self._ended: dict[int, TrialRow] = {}
        self._paused: dict[int, TrialRow] = {}  # of those that were at some time, as they were then
        self._interrupted: dict[int, TrialRow] = {}
        self._seconds: dict[int, float] = {}  # of this session's trials, failed ones left out
        self._most_at_once = 1

    def handle(self, event: Event) -> None:
        """Take in what has happened."""
        match event:
            case SweepsProgress():
                self.sweeps = event
            case BoundsFound():
                self.bounds[event.optimizer] = event
            case SearchStarted():
                self._start(event)
            case TrialStarted():
                self._start_trial(event)
            case EpochSeen(number, epoch):
                self._see(number, epoch)
            case TrialEnded(row):
                self._end_trial(row)
            case TrialPaused(row):
                self._pause_trial(row)
            case Stopping(reason):
                self.stopping = reason

    @property
    def total(self) -> int:
        """Trials in all."""
        return self.search.trials if self.search else 0

    @property
    def done(self) -> int:
        """Trials that are finished or were paused, those of earlier sessions among them."""
        return len(self._ended.keys() | self._paused.keys())

    @property
    def ended(self) -> list[TrialRow]:
        """Finished trials, the last one last."""
        return list(self._ended.values())

    def count(self, state: str) -> int:
        """Finished trials of a state: ``complete``, ``pruned`` or ``failed``."""
        return sum(row.state == state for row in self._ended.values())

    @property
    def waiting(self) -> int:
        """Paused trials: they wait to go on."""
        return len(self._paused.keys() - self._ended.keys() - self.running.keys())

    @property
    def last_calls(self) -> int:
        """Paused trials that may still go on, now that all trials are begun; 0 until then."""
        return self.waiting if self.done == self.total else 0

    @property
    def best(self) -> TrialRow | None:
        """The complete trial with the highest validation accuracy; None before the first."""
        return next(iter(best_rows(self.ended)), None)

    def gains(self) -> list[tuple[str, float]]:
        """What the best trial gained over each other known configuration that is complete, 0-1."""
        return gains(self.ended)

    @property
    def images_per_second(self) -> float:
        """Training images per second, all running trials together."""
        return sum(trial.images_per_second for trial in self.running.values())

    @property
    def elapsed(self) -> float:
        """Seconds since this session began."""
        return self._clock() - self._began

    @property
    def time_left(self) -> float | None:
        """Estimated seconds until the trials or the time are used up; None while nothing tells."""
        if self.search is None or self.stopping is not None:
            return None
        known = [
            left for left in (self._time_for_trials(), self._time_allowed()) if left is not None
        ]
        return min(known, default=None)

    def _time_allowed(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def _time_for_trials(self) -> float | None:
        """Mean time of a trial, times the trials that remain, over the workers that share them."""
        remaining = max(0, self.total - self.done)
        if remaining == 0:
            return 0.0
        if self.search is None or len(self._seconds) < TRIALS_BEFORE_ESTIMATE:
            return None
        # Of those that remain: a trial that goes on after it has waited counts as done.
        new = [trial for number, trial in self.running.items() if number not in self._paused]
        begun = sum(trial.epochs_done for trial in new) / self.search.epochs
        mean = sum(self._seconds.values()) / len(self._seconds)
        return mean * max(0.0, remaining - begun) / min(self._most_at_once, remaining)

    def _start(self, search: SearchStarted) -> None:
        self.search = search
        self._deadline = None if search.timeout is None else self._clock() + search.timeout
        self._ended = {row.number: row for row in search.rows if row.finished}
        self._paused = {row.number: row for row in search.rows if row.state == "paused"}
        self._interrupted = {row.number: row for row in search.rows if row.state == "running"}

    def _start_trial(self, event: TrialStarted) -> None:
        trial = RunningTrial(event.number, event.label, event.values, event.epochs_done)
        earlier = (self.running, self._paused, self._interrupted)
        before = next((one[event.number] for one in earlier if event.number in one), None)
        if before is not None and event.epochs_done > 0:
            trial = replace(trial, validation_accuracy=before.validation_accuracy)
        self.running[event.number] = trial
        self._most_at_once = max(self._most_at_once, len(self.running))

    def _see(self, number: int, epoch: Epoch) -> None:
        if number in self.running:
            self.running[number] = replace(
                self.running[number],
                epochs_done=epoch.number,
                validation_accuracy=epoch.validation_accuracy,
                images_per_second=epoch.images_per_second,
            )

    def _end_trial(self, row: TrialRow) -> None:
        self.running.pop(row.number, None)
        self._ended[row.number] = row
        if row.state != "failed":
            self._seconds[row.number] = row.seconds

    def _pause_trial(self, row: TrialRow) -> None:
        self.running.pop(row.number, None)
        self._paused[row.number] = row
        self._seconds[row.number] = row.seconds
