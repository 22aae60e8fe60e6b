"""The progress of a search, built from its events and drawn by the views."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cifar_core.epoch import Epoch
from search.events import (
    BoundsFound,
    ConfirmationEpoch,
    ConfirmationStarted,
    ConfirmationTrained,
    EpochSeen,
    Event,
    SearchStarted,
    Stopping,
    SweepsProgress,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from search.study.confirmation import Confirmation, Contender
from search.study.rows import TrialRow, best_rows, gains
from search.views.pace import Clock, Pace
from spaces.space import Values

__all__ = ["Clock", "Confirming", "Progress", "RunningTrial"]

TRIALS_BEFORE_ESTIMATE = 2
"""Trials that must end in this session before their mean time is meaningful."""
UNKNOWN_PACE = 0.4
"""By how much the pace of what is left may differ from what was seen, at the start of a search."""


@dataclass(frozen=True)
class RunningTrial:
    """A trial in training.

    Attributes:
        number: The trial.
        label: Name of the known configuration, or of the origin of its parameters; None for others.
        values: Its parameters.
        epochs_done: Finished epochs.
        validation_accuracy: After the last of them, 0-1; None before the first.
        images_per_second: Of the last epoch of this session; 0 before it.
    """

    number: int
    label: str | None
    values: Values
    epochs_done: int
    validation_accuracy: float | None = None
    images_per_second: float = 0.0


@dataclass(frozen=True)
class Confirming:
    """The progress of a confirmation.

    Attributes:
        start: Its start in this session.
        done: Finished trainings.
        so_far: What they say; None before the first.
        running: Finished epochs of the trainings under way, by trial and repeat.
    """

    start: ConfirmationStarted
    done: int
    so_far: Confirmation | None
    running: Mapping[tuple[int, int], int]

    def contender(self, trial: int) -> Contender:
        """Return the contender from a trial."""
        return next(one for one in self.start.plan.contenders if one.trial == trial)


class Progress:
    """The state of a search, updated event by event.

    Args:
        clock: Returns seconds, from any origin.

    Attributes:
        search: The start of the search; None before it.
        sweeps: Progress of the LR-range test; None if there is none.
        bounds: Learning-rate ranges by optimizer.
        running: Running trials by number.
        confirming: Progress of the confirmation; None before it.
        stopping: Reason why the search is about to stop, or None.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.search: SearchStarted | None = None
        self.sweeps: SweepsProgress | None = None
        self.bounds: dict[str, BoundsFound] = {}
        self.running: dict[int, RunningTrial] = {}
        self.confirming: Confirming | None = None
        self.stopping: str | None = None
        self._clock = clock
        self._began = clock()
        self._deadline: float | None = None
        self._ended: dict[int, TrialRow] = {}
        self._paused: dict[int, TrialRow] = {}  # every trial that was ever paused, as it was then
        self._interrupted: dict[int, TrialRow] = {}
        self._seconds: dict[int, float] = {}  # of the trials of this session, without failed ones
        self._most_at_once = 1
        self._pace = Pace(clock)

    def handle(self, event: Event) -> None:
        """Handle an event."""
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
            case ConfirmationStarted():
                self._start_confirming(event)
            case ConfirmationEpoch() | ConfirmationTrained():
                self._confirm(event)
            case Stopping(reason):
                self.stopping = reason

    @property
    def total(self) -> int:
        """Total number of trials."""
        return self.search.trials if self.search else 0

    @property
    def done(self) -> int:
        """Number of trials that are finished or were paused, in all sessions."""
        return len(self._ended.keys() | self._paused.keys())

    @property
    def ended(self) -> list[TrialRow]:
        """Finished trials in the order in which they ended."""
        return list(self._ended.values())

    def count(self, state: str) -> int:
        """Return the number of finished trials in a state: ``complete``, ``pruned`` or ``failed``."""
        return sum(row.state == state for row in self._ended.values())

    @property
    def waiting(self) -> int:
        """Number of trials that are paused now."""
        return len(self._paused.keys() - self._ended.keys() - self.running.keys())

    @property
    def last_calls(self) -> int:
        """Number of paused trials that may still continue once all trials are started; 0 until then."""
        return self.waiting if self.done == self.total else 0

    @property
    def best(self) -> TrialRow | None:
        """The complete trial with the highest validation accuracy; None before the first."""
        return next(iter(best_rows(self.ended)), None)

    def gains(self) -> list[tuple[str, float]]:
        """Return the gain of the best trial over each other complete known configuration, 0-1."""
        return gains(self.ended)

    @property
    def images_per_second(self) -> float:
        """Training images per second of all running trials together."""
        return sum(trial.images_per_second for trial in self.running.values())

    @property
    def elapsed(self) -> float:
        """Seconds since this session started."""
        return self._clock() - self._began

    @property
    def epochs_done(self) -> int:
        """Epochs that were trained, over all trials and sessions."""
        rows = self._interrupted | self._paused | self._ended
        running = {number: trial.epochs_done for number, trial in self.running.items()}
        return sum(({number: row.epochs for number, row in rows.items()} | running).values())

    @property
    def planned_epochs(self) -> int | None:
        """Epochs of the search in all, where its policy has a plan; None where it has none."""
        return None if self.search is None else self.search.planned_epochs

    @property
    def work_done(self) -> str:
        """The progress of the trials in few characters: a share of the planned epochs, or trials of all."""
        planned = self.planned_epochs
        if planned is None:
            return f"{self.done}/{self.total}"
        return f"{100 * min(self.epochs_done, planned) // max(1, planned)} %"

    @property
    def time_left(self) -> tuple[float, float] | None:
        """Fewest and most seconds until everything is done or the time is used up; None while unknown."""
        if self.stopping is not None:
            return None
        allowed = self._time_allowed()
        if self.confirming is not None:
            most = self._time_to_confirm(self.confirming)
            return self._least_to_confirm(self.confirming, most), most
        if self.search is None:
            return None
        trials = self._time_for_trials()
        if trials is None:
            return None if allowed is None else (allowed, allowed)
        low, high = trials
        if allowed is not None:
            low, high = min(low, allowed), min(high, allowed)
        fewest, most_trainings = self.search.confirming
        if fewest and (training := self._seconds_of_a_training()) is not None:
            low, high = low + fewest * training, high + most_trainings * training
        return low, high

    def _time_allowed(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def _time_to_confirm(self, confirming: Confirming) -> float:
        """The longest that it may take: until nothing is left out, or until the time is used up."""
        start = confirming.start
        left = start.most - confirming.done
        most = start.seconds * left / max(1, start.most - start.done)
        allowed = self._time_allowed()
        return most if allowed is None else min(most, allowed)

    def _least_to_confirm(self, confirming: Confirming, most: float) -> float:
        """The shortest that it may take: after the first seeds everything is told apart."""
        start = confirming.start
        first = len(start.plan.contenders) * min(2, start.plan.seeds)
        left = max(0, first - confirming.done) or min(1, start.most - confirming.done)
        return most * left / max(1, start.most - confirming.done)

    def _time_for_trials(self) -> tuple[float, float] | None:
        planned = self.planned_epochs
        if planned is None or self.search is None:
            seconds = self._time_by_trials()
            return None if seconds is None else (seconds, seconds)
        left = max(0, planned - self.epochs_done)
        pace = self._pace.seconds
        if pace is None:
            return None if left else (0.0, 0.0)
        # The wider networks of the end are slower, and the first epochs say little.
        doubt = UNKNOWN_PACE * left / max(1, planned)
        return left * pace * (1.0 - doubt / 2), left * pace * (1.0 + doubt)

    def _seconds_of_a_training(self) -> float | None:
        """A share of the workers' time that one more training of a good configuration takes."""
        assert self.search is not None  # noqa: S101 - for mypy; `time_left` looked
        best = best_rows(self.ended)[:3]
        known = [row.seconds / row.epochs for row in best if row.epochs and row.seconds]
        if known:
            return self.search.epochs * sum(known) / len(known) / self._most_at_once
        return None if self._pace.seconds is None else self.search.epochs * self._pace.seconds

    def _time_by_trials(self) -> float | None:
        """Mean time of a trial, times the trials that remain, over the workers that share them."""
        remaining = max(0, self.total - self.done)
        if remaining == 0:
            return 0.0
        if self.search is None or len(self._seconds) < TRIALS_BEFORE_ESTIMATE:
            return None
        # Only of the remaining ones: a trial that continues after a pause counts as done.
        new = [trial for number, trial in self.running.items() if number not in self._paused]
        started = sum(trial.epochs_done for trial in new) / self.search.epochs
        mean = sum(self._seconds.values()) / len(self._seconds)
        return mean * max(0.0, remaining - started) / min(self._most_at_once, remaining)

    def _start_confirming(self, event: ConfirmationStarted) -> None:
        self.stopping = None  # the time for trials was used up
        self._deadline = None if event.timeout is None else self._clock() + event.timeout
        self.confirming = Confirming(event, event.done, event.so_far, {})

    def _confirm(self, event: ConfirmationEpoch | ConfirmationTrained) -> None:
        if self.confirming is None:
            return
        running = dict(self.confirming.running)
        if isinstance(event, ConfirmationEpoch):
            running[event.contender.trial, event.repeat] = event.epoch
            self.confirming = replace(self.confirming, running=running)
            return
        running.pop((event.run.trial, event.run.repeat), None)
        self.confirming = replace(
            self.confirming,
            done=self.confirming.done + 1,
            so_far=event.so_far,
            running=running,
        )

    def _start(self, search: SearchStarted) -> None:
        self.search = search
        self._pace = Pace(self._clock)
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
        self._pace.note_epoch(self._most_at_once)
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
