"""The ends of trials: notes, final state, and the removal of checkpoints that are of no more use."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from optuna.trial import Trial, TrialState

from search.errors import ServiceError
from search.events import Observer, TrialEnded
from search.execution.best_checkpoints import BestCheckpoints
from search.execution.enqueued import MadeByHandError
from search.execution.epoch_histories import Histories, frozen, reported
from search.execution.trial_queue import TrialQueue
from search.home import StudyFolder
from search.policy.base import InvalidTrialError, Policy
from search.study import attributes
from search.study.endings import CHANGED_OUTSIDE, ENDED_OUTSIDE, Ending
from search.study.gathering import Gathering
from search.study.rows import row_of
from search.study.study import SearchStudy
from search.study.trial_states import (
    LostTrialError,
    attach,
    check_unchanged,
    forget_deleted,
    give_up,
    snapshot,
    stored_state,
    writes,
)

__all__ = ["Finalizer"]

FAILURES_IN_A_ROW = 5
"""Failed trials without a good one in between after which the search is given up."""


class Finalizer:
    """Makes trials final, and keeps the checkpoints of the best.

    Args:
        study: The study.
        folder: The study's files.
        policy: Told of each end.
        queue: Told of each complete trial.
        histories: The epochs of the trials under way.
        gathering: Writes that are done at once.
        observe: Told of each trial that ends.
    """

    def __init__(
        self,
        study: SearchStudy,
        folder: StudyFolder,
        policy: Policy,
        queue: TrialQueue,
        histories: Histories,
        gathering: Gathering,
        observe: Observer,
    ) -> None:
        self._study = study
        self._folder = folder
        self._policy = policy
        self._queue = queue
        self._histories = histories
        self._gathering = gathering
        self._observe = observe
        self._kept = BestCheckpoints(study.rows(), study.budget.keep)
        self._failures = 0

    def remove_leftovers(self, unfinished: set[int]) -> None:
        """Remove the checkpoints that a killed process has left of trials that do not need them.

        Args:
            unfinished: The trials that can continue.
        """
        for number in self._folder.checkpoints() - self._kept.numbers - unfinished:
            _unlink(self._folder.checkpoint(number))

    def complete(self, trial: Trial) -> None:
        """End a trial that has reached its last epoch.

        Raises:
            LostTrialError: Another process has ended or changed the trial.
        """
        scores = reported(trial)
        accuracy = scores[max(scores)]
        check_unchanged(trial)
        with writes(trial):
            self._histories.keep(trial)
            self._study.optuna.tell(trial, accuracy)
        self._gathering.write()
        if self._gathering.has_lost(trial):
            raise LostTrialError(trial.number)
        before = self._kept.numbers
        self._kept.add(trial.number, accuracy)
        self._queue.completed(trial.number, accuracy)
        self._failures = 0
        self._close(trial, TrialState.COMPLETE, (before | {trial.number}) - self._kept.numbers)

    def prune(
        self, trials: Sequence[Trial], ending: Ending, reason: str | Callable[[Trial], str]
    ) -> None:
        """End trials that are not worth continuing, or that there is no time for.

        Args:
            trials: The trials, running or paused.
            ending: The kind of their end.
            reason: The reason in words, or what says it of each.
        """
        if trials:
            self._end(trials, TrialState.PRUNED, ending, reason)
            self._failures = 0

    def refuse(self, error: InvalidTrialError) -> None:
        """End a trial that is not trained, or not further.

        Raises:
            ServiceError: As `fail` does. A trial that somebody has enqueued or damaged says nothing about
                others, and is not counted.
        """
        if isinstance(error.__cause__, MadeByHandError):
            self._end([error.trial], TrialState.FAIL, "error", str(error.__cause__))
        else:
            self.fail(error.trial, str(error.__cause__))

    def fail(self, trial: Trial, reason: str) -> None:
        """End a trial that cannot be trained; give the search up if none can.

        Args:
            trial: The trial.
            reason: The reason in words.

        Raises:
            ServiceError: It is the last of several that failed in a row.
        """
        self._end([trial], TrialState.FAIL, "error", reason)
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            raise ServiceError(
                f"The last {self._failures} trials all failed, the newest with: {reason}. The search "
                f"stops; all trials are kept. The workers' logs: {self._folder.logs}"
            )

    def lose(self, number: int, trial: Trial | None = None) -> None:
        """Close a trial that another process has ended, removed or changed.

        Args:
            number: The trial.
            trial: The same, if this process has trained it.
        """
        with suppress(LostTrialError):  # it was removed: there is nothing to read
            trial = trial or attach(self._study.optuna, number)
        state = None if trial is None else stored_state(trial)
        if state is None:
            self._queue.started -= 1
            forget_deleted(self._study.optuna)
        if trial is None:
            _unlink(self._folder.checkpoint(number))
        elif state is TrialState.RUNNING and snapshot(trial).state is state:
            self._end([trial], TrialState.FAIL, "outside", CHANGED_OUTSIDE)
        else:
            self._histories.forget(number)
            notes = snapshot(trial).user_attrs
            notes |= {attributes.ENDING: "outside", attributes.REASON: ENDED_OUTSIDE}
            self._close(trial, TrialState.FAIL, {number})

    def _end(
        self,
        trials: Sequence[Trial],
        state: TrialState,
        ending: Ending,
        reason: str | Callable[[Trial], str],
    ) -> None:
        ended: list[Trial] = []
        for trial in trials:
            try:
                self._write_end(
                    trial, state, ending, reason if isinstance(reason, str) else reason(trial)
                )
            except LostTrialError:
                self.lose(trial.number, trial)
            else:
                ended.append(trial)
        self._gathering.write()  # before their checkpoints are removed
        for trial in ended:
            if self._gathering.has_lost(trial):
                self.lose(trial.number, trial)
            else:
                self._close(trial, state, {trial.number})

    def _write_end(self, trial: Trial, state: TrialState, ending: Ending, reason: str) -> None:
        """Write the notes first: a finished trial lacks nothing."""
        with writes(trial):
            self._histories.keep(trial)
            trial.set_user_attr(attributes.ENDING, ending)
            trial.set_user_attr(attributes.REASON, reason)
            if snapshot(trial).state is TrialState.WAITING:
                give_up(trial)
            else:
                self._study.optuna.tell(trial, state=state)

    def _close(self, trial: Trial, state: TrialState, superfluous: set[int]) -> None:
        with suppress(LostTrialError):  # a policy may read the trial, which may have been removed
            self._policy.ended(trial.number, state)
        for number in superfluous:
            _unlink(self._folder.checkpoint(number))
        self._observe(TrialEnded(row_of(frozen(trial, state), self._study.settings.space)))


def _unlink(file: Path) -> None:
    """Remove a file that is of no more use; where that fails, it stays."""
    with suppress(OSError):
        file.unlink(missing_ok=True)
