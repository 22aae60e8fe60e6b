"""A plain view of a running search, for logs, pipes and terminals that cannot redraw."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import IO

from search.events import (
    BoundsFound,
    ConfirmationStarted,
    ConfirmationTrained,
    Event,
    Notice,
    SearchStarted,
    Stopping,
    SweepsProgress,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from search.formatting import (
    about,
    about_range,
    bounds_line,
    counted,
    cut,
    how_it_ended,
    one_line,
    percent,
    short,
    why,
)
from search.study.confirmation import ConfirmationRun
from search.study.rows import TrialRow
from search.views.progress import Clock, Progress

__all__ = ["PlainView"]

SUMMARY_WIDTH = 72
REASON_WIDTH = 80


def time_of_day() -> str:
    """Return the time of now, to the second."""
    return datetime.now().astimezone().strftime("%H:%M:%S")


class PlainView:
    """Writes a line for each notable event; an observer and a context manager.

    Args:
        stream: Destination of the lines; each is flushed.
        clock: Returns seconds, from any origin.
        stamp: Returns what each line begins with: the time.

    Attributes:
        progress: The progress of the search.
    """

    def __init__(
        self,
        stream: IO[str],
        clock: Clock = time.monotonic,
        stamp: Callable[[], str] = time_of_day,
    ) -> None:
        self.progress = Progress(clock)
        self._stream = stream
        self._stamp = stamp
        self._quarters = -1

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: the terminal was not changed."""

    def __call__(self, event: Event) -> None:
        """Handle an event, and write a line if it is notable."""
        self.progress.handle(event)
        match event:
            case Notice(text):
                self._write(f"note: {text}")
            case SweepsProgress(done, total):
                self._write_sweeps(done, total)
            case BoundsFound():
                self._write(bounds_line(event))
            case SearchStarted():
                self._write_start(event)
            case TrialStarted(number, _, _, epochs_done) if epochs_done:
                self._write(f"trial {number} continues after epoch {epochs_done}")
            case TrialEnded(row) | TrialPaused(row):
                self._write(_trial_line(row, self.progress))
            case ConfirmationStarted():
                self._write_confirmation(event)
            case ConfirmationTrained(run):
                self._write(_training_line(run, self.progress))
            case Stopping(reason):
                self._write(reason)

    def _write_sweeps(self, done: int, total: int) -> None:
        quarters = 4 * done // max(1, total)
        if quarters > self._quarters:
            self._quarters = quarters
            self._write(f"LR-range test: {done}/{total} sweeps")

    def _write_start(self, search: SearchStarted) -> None:
        size = f"{counted(search.trials, 'trial')} of {counted(search.epochs, 'epoch')}"
        self._write(f"study {search.study}: {size}, {search.workers}")
        self._write(f"all figures are validation accuracy on {search.data}")
        if self.progress.done:
            waiting = f", {self.progress.waiting} paused" if self.progress.waiting else ""
            self._write(
                f"{self.progress.done} trials are already done: "
                f"{self.progress.count('complete')} complete, "
                f"{self.progress.count('pruned')} stopped early, "
                f"{self.progress.count('failed')} failed{waiting}{_best(self.progress)}"
            )

    def _write_confirmation(self, start: ConfirmationStarted) -> None:
        names = ", ".join(one.name for one in start.plan.contenders)
        left = f", at most {about(start.seconds)}" if start.seconds else ""
        self._write(
            f"confirming {names} on fresh seeds: at most {start.most} trainings{left}, accuracy on "
            f"{start.plan.images.described()}"
        )
        if start.done:
            many = "training is" if start.done == 1 else "trainings are"
            self._write(f"{start.done} {many} already done")

    def _write(self, text: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        # A study's name must not end a search whose log has an old encoding.
        line = f"{self._stamp()} {one_line(text)}".encode(encoding, "replace").decode(encoding)
        self._stream.write(f"{line}\n")
        self._stream.flush()


def _trial_line(row: TrialRow, progress: Progress) -> str:
    epochs = progress.search.epochs if progress.search else row.epochs
    reason = why(row)
    label = f"{row.label}: " if row.label else ""
    left = progress.time_left
    fields = [
        progress.work_done,
        f"trial {row.number}",
        percent(row.validation_accuracy),
        how_it_ended(row) + (f": {cut(reason, REASON_WIDTH)}" if reason else ""),
        f"epoch {row.epochs}/{epochs}",
        label + short(row.values, SUMMARY_WIDTH),
    ]
    if left and left[1] > 0.0:
        fields.append(f"{about_range(*left)} left")
    elif progress.last_calls:
        fields.append(f"all started; {counted(progress.last_calls, 'paused trial')} may continue")
    return " | ".join(fields) + _best(progress)


def _training_line(run: ConfirmationRun, progress: Progress) -> str:
    confirming = progress.confirming
    if confirming is None:
        return ""
    fields = [
        f"{confirming.done}/{confirming.start.most}",
        f"{confirming.contender(run.trial).name}, seed {run.repeat}",
        percent(run.accuracy)
        if run.failure is None
        else f"failed: {cut(run.failure, REASON_WIDTH)}",
    ]
    if (left := progress.time_left) and left[1] > 0.0:
        fields.append(f"{about_range(*left)} left")
    if confirming.so_far is not None and len(confirming.so_far.ranking) > 1:
        fields.append(confirming.so_far.verdict)
    return " | ".join(fields)


def _best(progress: Progress) -> str:
    best = progress.best
    return f" | best {percent(best.validation_accuracy)} (trial {best.number})" if best else ""
