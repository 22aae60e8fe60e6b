"""The events of a search as runs of a tracker: the one place that decides what is tracked."""

from collections.abc import Mapping

from cifar_core.epoch import Epoch
from search.events import (
    ConfirmationEnded,
    ConfirmationTrained,
    EpochSeen,
    Event,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from search.study.confirmation import Confirmation
from search.study.rows import TrialRow
from search.tracking.tracker import End, Run, State, Tracker

__all__ = ["Follower"]

ENDS: Mapping[str, State] = {
    "complete": "complete",
    "pruned": "pruned",
    "failed": "failed",
    "paused": "paused",
}


class Follower:
    """Tells a tracker what happens; an observer.

    Args:
        tracker: The tracker.
        rows: The trials that the study has when the search begins, whose configurations may be confirmed.
    """

    def __init__(self, tracker: Tracker, rows: list[TrialRow]) -> None:
        self._tracker = tracker
        self._trials = {row.number: Run("trial", row.number, row.label, row.values) for row in rows}
        self._begun: dict[str, Run] = {}

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        match event:
            case TrialStarted(number, label, values, _):
                self._trials[number] = Run("trial", number, label, values)
                self._begin(self._trials[number])
            case EpochSeen(number, epoch):
                run = self._begin(self._trials[number])
                self._tracker.log(run, epoch.number, _figures(epoch))
            case TrialEnded(row) | TrialPaused(row):
                run = Run("trial", row.number, row.label, row.values)
                self._trials[row.number] = run
                self._end(run, End(ENDS[row.state], row.reason))
            case ConfirmationTrained():
                self._see_training(event)
            case ConfirmationEnded(conclusion):
                self._conclude(conclusion)

    def close(self) -> None:
        """End the runs that have not ended, which a resumed search continues, and close the tracker."""
        for run in list(self._begun.values()):
            self._end(run, End("stopped"))
        self._tracker.close()

    def _begin(self, run: Run) -> Run:
        if run.name not in self._begun:
            self._begun[run.name] = run
            self._tracker.begin(run)
        return self._begun[run.name]

    def _end(self, run: Run, end: End) -> None:
        self._tracker.end(self._begin(run), end)
        del self._begun[run.name]

    def _confirming(self, trial: int) -> Run:
        found = self._trials[trial]
        return self._begin(Run("confirmation", trial, found.label, found.parameters))

    def _see_training(self, event: ConfirmationTrained) -> None:
        run = self._confirming(event.run.trial)
        if event.run.accuracy is None:
            self._end(run, End("failed", event.run.failure))
        else:
            self._tracker.log(run, event.run.repeat, {"accuracy": event.run.accuracy})

    def _conclude(self, conclusion: Confirmation) -> None:
        for one in conclusion.ranking:
            trial = one.contender.trial
            run = self._confirming(trial)
            figures = {"mean_accuracy": one.mean, "half_width": one.half_width}
            self._tracker.log(run, one.seeds, figures)
            state: State = "tied" if one.tied_with_leader else "behind"
            self._end(run, End("winner" if trial == conclusion.winner else state))


def _figures(epoch: Epoch) -> dict[str, float]:
    return {
        "validation_accuracy": epoch.validation_accuracy,
        "validation_loss": epoch.validation_loss,
        "train_accuracy": epoch.train_accuracy,
        "train_loss": epoch.train_loss,
        "lr": epoch.lr,
    }
