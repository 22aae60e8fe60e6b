"""The progress of a search, built from its events and drawn by the views."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cifar_core.epoch import Epoch
from search.confirmation.elimination import FIRST_SEEDS
from search.events import (
    BoundsFound,
    ConfirmationEpoch,
    ConfirmationStarted,
    ConfirmationTrained,
    EpochSeen,
    Event,
    SearchStarted,
    Stopping,
    SweepCurve,
    SweepsProgress,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from search.study.confirmation import Confirmation, Contender
from search.study.rows import TrialRow, best_rows, gains
from search.views.confirmation_time import (
    SCORING,
    Candidate,
    candidates_of,
    seconds_to_confirm,
)
from search.views.pace import Clock, Pace
from spaces.space import Values

__all__ = ["Clock", "Confirming", "Progress", "RunningTrial"]

TRIALS_BEFORE_ESTIMATE = 2
"""Trials that must end in this session before their mean time is meaningful."""
SWEEPS_BEFORE_ESTIMATE = 2
UNKNOWN_PACE = 0.3
"""By how much the pace of what is left may differ from what was seen, at the start of a search."""
UNKNOWN_CONFIRMATION = 0.25
"""By how much the time of a confirmation may differ from what is expected, before it starts; half of that
afterwards."""


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
        curves: The newest curves of that test, by recipe.
        bounds: Learning-rate ranges by optimizer.
        running: Running trials by number.
        confirming: Progress of the confirmation; None before it.
        stopping: Reason why the search is about to stop, or None.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.search: SearchStarted | None = None
        self.sweeps: SweepsProgress | None = None
        self.curves: dict[int, SweepCurve] = {}
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
        self._sweeping: tuple[float, float, float] | None = None
        self._trainings: list[float] = []  # seconds of those that confirm, shared by the workers

    def handle(self, event: Event) -> None:
        """Handle an event."""
        match event:
            case SweepsProgress():
                self._see_sweeps(event)
            case SweepCurve():
                self.curves[event.subject] = event
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
            seconds = self._time_to_confirm(self.confirming)
            doubt = UNKNOWN_CONFIRMATION / 2 * seconds
            return _within(seconds, doubt, allowed)
        if self.search is None:
            return self._time_by_sweeps()
        trials = self._time_for_trials()
        if trials is None:
            return self._time_by_sweeps() if allowed is None else (allowed, allowed)
        low, high = _within(*trials, allowed)
        confirmation = self._time_of_confirmation()
        doubt = UNKNOWN_CONFIRMATION * confirmation
        return low + confirmation - doubt, high + confirmation + doubt

    def _time_by_sweeps(self) -> tuple[float, float] | None:
        """The expected time of the LR-range test and of what follows; None before two sweeps."""
        if self.sweeps is None or self._sweeping is None:
            return None
        began, before, latest = self._sweeping
        measured = self.sweeps.share - before
        if measured <= 0.0 or self.sweeps.done < min(SWEEPS_BEFORE_ESTIMATE, self.sweeps.total):
            return None
        pace = (latest - began) / measured
        left = (1.0 - self.sweeps.share + self.sweeps.rest) * pace - (self._clock() - latest)
        return max(0.0, (1 - UNKNOWN_PACE) * left), max(0.0, (1 + UNKNOWN_PACE) * left)

    def _see_sweeps(self, event: SweepsProgress) -> None:
        """Note the time and the share at the start of the test in this session, and the time now."""
        now = self._clock()
        before = (now, event.share) if self._sweeping is None else self._sweeping[:2]
        self._sweeping, self.sweeps = (*before, now), event

    def _time_allowed(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def _time_to_confirm(self, confirming: Confirming) -> float:
        """The expected time of the confirmation under way."""
        start, so_far = confirming.start, confirming.so_far
        # By what the trials took, and more and more by what these trainings take.
        share = start.seconds / max(1, start.most - start.done)
        expected = share * (1 + len(self._trainings))
        seconds = SCORING * share * (share + sum(self._trainings)) / expected if expected else 0.0
        candidates = []
        for one in start.plan.contenders:
            found = so_far.of(one.trial) if so_far else None
            done = 0 if found is None else found.seeds
            tied = None if found is None else found.tied_with_leader
            shares = sum(
                epoch / one.epochs
                for (trial, _), epoch in confirming.running.items()
                if trial == one.trial
            )
            candidates.append(Candidate(one.search_accuracy, seconds, done + shares, tied))
        return seconds_to_confirm(candidates, start.plan.seeds, 1)

    def _time_for_trials(self) -> tuple[float, float] | None:
        """The expected time of the trials, and by how much it may be off; None while unknown."""
        planned = self.planned_epochs
        if planned is None or self.search is None:
            seconds = self._time_by_trials()
            return None if seconds is None else (seconds, 0.0)
        left = max(0, planned - self.epochs_done)
        pace = self._pace.seconds
        if pace is None:
            return None if left else (0.0, 0.0)
        # The first epochs say little.
        return left * pace, UNKNOWN_PACE * left / max(1, planned) * left * pace

    def _time_of_confirmation(self) -> float:
        """The expected time of the confirmation to come, as far as the trials tell who takes part."""
        assert self.search is not None  # noqa: S101 - for mypy; `time_left` looked
        fewest, most = self.search.confirming
        if not fewest:
            return 0.0
        # Of every contender the fewest are the first trainings; with one seed they are all.
        first = FIRST_SEEDS if most > fewest or fewest % FIRST_SEEDS == 0 else 1
        contenders = fewest // first
        seeds, known = most // contenders, any(row.known for row in self._ended.values())
        found = candidates_of(self.ended, contenders - known, self.search.epochs)
        if not found:
            seconds = self.search.epochs * (self._pace.seconds or 0.0) * self._most_at_once
            found = [Candidate(0.0, seconds)] * contenders
        return seconds_to_confirm(found, seeds, self._most_at_once)

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
        self._trainings = []

    def _confirm(self, event: ConfirmationEpoch | ConfirmationTrained) -> None:
        if self.confirming is None:
            return
        running = dict(self.confirming.running)
        if isinstance(event, ConfirmationEpoch):
            running[event.contender.trial, event.repeat] = event.epoch
            self._most_at_once = max(self._most_at_once, len(running))
            self.confirming = replace(self.confirming, running=running)
            return
        running.pop((event.run.trial, event.run.repeat), None)
        if event.run.failure is None:
            self._trainings.append(event.run.seconds / self._most_at_once)
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


def _within(seconds: float, doubt: float, allowed: float | None) -> tuple[float, float]:
    """Return the ends of an estimated time, at least 0 and at most what is allowed."""
    low, high = max(0.0, seconds - doubt), seconds + doubt
    return (low, high) if allowed is None else (min(low, allowed), min(high, allowed))
