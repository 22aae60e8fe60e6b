"""The coordinator: the only process that talks to the study while a search runs.

It hands trials to workers, receives their epochs, answers whether they go on, and writes everything
that happens into the study before it answers. One writer means that no trial is claimed twice and that
after a kill every trial that is marked as running is one to be continued.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from optuna.trial import Trial, TrialState

from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from search.errors import ServiceError
from search.events import (
    EpochSeen,
    Notice,
    Observer,
    Stopping,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from search.execution.best_checkpoints import BestCheckpoints
from search.execution.epoch_histories import Histories, frozen, reported
from search.execution.prior_knowledge import knowledge_of
from search.execution.save_retries import SaveRetries
from search.execution.trial_queue import TrialQueue
from search.home import StudyFolder
from search.policy.base import InvalidTrialError
from search.policy.factory import policy_of
from search.study import attributes
from search.study.rows import label_of, row_of
from search.study.study import SearchStudy
from search.study.trial_states import give_up, known
from search.workers.messages import (
    Died,
    EpochsDone,
    Failed,
    Finished,
    Remark,
    Task,
    TrainTask,
    Unsaved,
    WorkerMessage,
)
from search.workers.pool import Pool, Worker
from spaces.space import Space

__all__ = ["Coordinator", "Outcome"]

Outcome = Literal["finished", "stopped"]

TICK = 0.25
STOPPED = "stopped early after epoch"
CONTINUATIONS = 2
"""Times a trial goes on after its worker has died."""
FAILURES_IN_A_ROW = 5
"""Failed trials without a good one in between after which the search is given up."""
SECONDS_BETWEEN_NOTES = 15.0


class Coordinator:
    """One run of a search, from where the study stands to its budget or to a stop.

    Args:
        study: The study.
        space: Its space, with the learning-rate bounds it is searched in.
        pool: The workers.
        folder: Where checkpoints are kept.
        observer: Told what happens.
        stop_requested: Whether the search shall stop; asked several times a second.
        clock: Seconds, from any start.
    """

    def __init__(
        self,
        study: SearchStudy,
        space: Space,
        pool: Pool,
        folder: StudyFolder,
        observer: Observer,
        stop_requested: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study = study
        self._pool = pool
        self._folder = folder
        self._observe = observer
        self._stop_requested = stop_requested
        self._clock = clock
        self._started = self._noted = clock()
        self._seconds_before = study.seconds
        self._failures = 0
        self._remarks: set[str] = set()
        self._stopping: Literal["stop", "timeout"] | None = None
        self._shortage = SaveRetries(pool, observer, clock)
        self._pruner = study.settings.pruner
        self._policy = policy_of(
            study.settings,
            study.optuna,
            space=space,
            trials=study.budget.trials,
            knowledge=knowledge_of(study, space),
            seconds_left=self._seconds_left,
            say=self._pass_on,
        )
        self._supply = TrialQueue(study, space, self._policy)
        self._active: dict[int, Trial] = {}
        self._histories = Histories(folder)
        self._reasons: dict[int, str] = {}
        self._pausing: set[int] = set()
        # A cell of a grid that was given up would be missing for good, so those wait for a larger total.
        self._gives_up = study.settings.seeds is None
        self._kept = BestCheckpoints(study.rows(), study.budget.keep)
        # What a killed coordinator has left behind.
        begun = (*self._supply.left(), *self._supply.superfluous)
        wanted = self._kept.numbers | {trial.number for trial in begun}
        for number in folder.checkpoints() - wanted:
            _unlink(folder.checkpoint(number))

    @property
    def seconds(self) -> float:
        """Time the study has been running, over all sessions."""
        return self._seconds_before + self._clock() - self._started

    def _seconds_left(self) -> float | None:
        """Seconds until the time is used up; None where there is no such limit."""
        timeout = self._study.budget.timeout
        return None if timeout is None else max(0.0, timeout - self.seconds)

    def run(self) -> Outcome:
        """Search until the budget is used up or a stop is asked for.

        Raises:
            ServiceError: Nothing works: workers keep dying, or trial after trial fails.
        """
        try:
            for trial in self._supply.superfluous if self._gives_up else ():
                self._tell(trial, TrialState.PRUNED, "the study's total of trials was lowered")
            while True:
                self._check_for_stop()
                if self._stopping is None:
                    self._hand_out()
                if not self._active and (self._stopping or not self._supply):
                    return self._end()
                for worker, task, message in self._pool.poll(TICK):
                    self._handle(worker, task, message)
                self._shortage.answer(stop=self._stopping is not None)
                if self._clock() - self._noted > SECONDS_BETWEEN_NOTES:
                    self._note_seconds()
        finally:
            with suppress(ServiceError):  # the storage does not work, which has been said
                self._note_seconds()

    def _check_for_stop(self) -> None:
        if self._stopping is not None:
            return
        timeout = self._study.budget.timeout
        if self._stop_requested():
            self._stopping = "stop"
            self._observe(Stopping("Stopping: running trials finish their epoch and are saved."))
        elif timeout is not None and self.seconds >= timeout:
            self._stopping = "timeout"
            self._observe(Stopping("The time is used up: running trials finish their epoch."))

    def _hand_out(self) -> None:
        self._let_go()
        for worker in self._pool.workers:
            if not worker.idle:
                continue
            trial = self._next_trial()
            if trial is None:
                return
            notes = known(trial).user_attrs
            checkpoint = self._folder.checkpoint(trial.number)
            recipe = Recipe.read(notes[attributes.RECIPE])
            self._active[trial.number] = trial
            self._pool.assign(
                worker, TrainTask(trial.number, recipe, notes[attributes.SEED], checkpoint)
            )
            label = label_of(known(trial))
            done = len(reported(trial))
            self._observe(TrialStarted(trial.number, label, dict(trial.params), done))

    def _let_go(self) -> None:
        """End paused trials that will not go on any more."""
        for trial in self._policy.hopeless(self._supply.to_come + len(self._active)):
            epoch = max(reported(trial))
            self._tell(trial, TrialState.PRUNED, f"{STOPPED} {epoch} by the {self._pruner} pruner")

    def _next_trial(self) -> Trial | None:
        """The trial that a free worker gets; None if there is none for now."""
        while True:
            try:
                return self._supply.take()
            except InvalidTrialError as error:
                reason = str(error.__cause__)
                self._tell(error.trial, TrialState.FAIL, reason)
                self._give_up_if_all_fail(reason)

    def _handle(self, worker: Worker, task: Task | None, message: WorkerMessage) -> None:
        if not isinstance(task, TrainTask):
            return  # a worker came up, or died before it was given anything
        number = task.number
        trial = self._active[number]
        if isinstance(message, Remark):
            self._pass_on(message.text)
            return
        if isinstance(message, Unsaved):
            self._shortage.add(worker, message.reason)
            return
        self._shortage.remove(worker)
        if isinstance(message, EpochsDone):
            self._pool.answer(worker, self._goes_on(trial, task.recipe.epochs, message.epochs))
            return
        del self._active[number]
        match message:
            case Finished():
                self._finish(trial)
            case Failed(reason):
                self._tell(trial, TrialState.FAIL, reason)
                self._give_up_if_all_fail(reason)
            case Died(reason):
                self._continue_after_death(trial, reason)

    def _pass_on(self, remark: str) -> None:
        """Say what holds for trial after trial only once."""
        if remark not in self._remarks:
            self._remarks.add(remark)
            self._observe(Notice(remark))

    def _goes_on(self, trial: Trial, last_epoch: int, epochs: Sequence[Epoch]) -> bool:
        """Report the epochs that the study doesn't have yet, and decide."""
        there = reported(trial)
        self._histories.add(trial.number, epochs)
        for epoch in epochs:
            if epoch.number not in there:
                trial.report(epoch.validation_accuracy, epoch.number)
                self._observe(EpochSeen(trial.number, epoch))
        newest = epochs[-1]
        verdict = self._policy.verdict(trial, self._histories.scores(trial.number))
        if newest.diverged:
            reason = f"diverged: in epoch {newest.number} the loss was no number any more"
        elif newest.number >= last_epoch or newest.converged:
            return True  # it is complete, and the worker will say so
        elif verdict == "pause":
            self._pausing.add(trial.number)
            return False
        elif verdict == "stop":
            reason = f"{STOPPED} {newest.number} by the {self._pruner} pruner"
        elif self._stopping == "timeout" and self._gives_up:
            reason = f"the study's time was used up after epoch {newest.number}"
        else:
            return self._stopping is None
        self._reasons[trial.number] = reason
        return False

    def _finish(self, trial: Trial) -> None:
        """A worker has stopped training this trial: because of a verdict, a stop, or its last epoch."""
        reason = self._reasons.pop(trial.number, None)
        if reason is not None:
            self._tell(trial, TrialState.PRUNED, reason)
        elif self._is_complete(trial):
            self._tell(trial, TrialState.COMPLETE, None)
        elif trial.number in self._pausing:
            self._pausing.remove(trial.number)
            self._histories.keep(trial)
            self._policy.pause(trial)
            self._let_go()  # this one may be among them: then it has not waited
            if trial.number in self._policy.paused:
                self._observe(TrialPaused(row_of(frozen(trial, TrialState.WAITING))))
        else:
            self._supply.put_back(trial)

    def _is_complete(self, trial: Trial) -> bool:
        recipe = Recipe.read(known(trial).user_attrs[attributes.RECIPE])
        if max(reported(trial), default=0) >= recipe.epochs:
            return True
        return self._histories.converged(trial.number)

    def _tell(self, trial: Trial, state: TrialState, reason: str | None) -> None:
        """Make the trial final. Its notes come first: a finished trial lacks nothing."""
        self._histories.keep(trial)
        if reason is not None:
            trial.set_user_attr(attributes.REASON, reason)
        kept = self._kept.numbers
        if state is TrialState.COMPLETE:
            scores = reported(trial)
            accuracy = scores[max(scores)]
            self._study.optuna.tell(trial, accuracy)
            self._kept.add(trial.number, accuracy)
            self._supply.completed(trial.number, accuracy)
        elif known(trial).state is TrialState.WAITING:
            give_up(trial)
        else:
            self._study.optuna.tell(trial, state=state)
        self._policy.ended(trial.number, state)
        self._failures = self._failures + 1 if state is TrialState.FAIL else 0
        for superfluous in (kept | {trial.number}) - self._kept.numbers:
            _unlink(self._folder.checkpoint(superfluous))
        self._observe(TrialEnded(row_of(frozen(trial, state))))

    def _continue_after_death(self, trial: Trial, reason: str) -> None:
        deaths = trial.user_attrs.get(attributes.INTERRUPTIONS, 0) + 1
        trial.set_user_attr(attributes.INTERRUPTIONS, deaths)
        self._reasons.pop(trial.number, None)
        self._pausing.discard(trial.number)
        if deaths > CONTINUATIONS:
            self._tell(trial, TrialState.FAIL, f"its worker ended {deaths} times, at last {reason}")
            self._give_up_if_all_fail(reason)
            return
        self._supply.put_back(trial, first=True)
        self._observe(
            Notice(
                f"The worker of trial {trial.number} was {reason}; "
                "the trial goes on from its last epoch."
            )
        )

    def _give_up_if_all_fail(self, reason: str) -> None:
        if self._failures >= FAILURES_IN_A_ROW:
            raise ServiceError(
                f"The last {self._failures} trials all failed, at last with: {reason}. The search stops; "
                f"all trials are kept. The workers' logs: {self._folder.logs}"
            )

    def _end(self) -> Outcome:
        if self._stopping == "timeout" and self._gives_up:
            for trial in self._supply.left():
                self._tell(trial, TrialState.PRUNED, "the study's time was used up")
            return "finished"
        if self._supply:
            return "stopped"
        if self._supply.begun < self._study.budget.trials:
            patience = self._study.budget.patience
            self._observe(
                Notice(
                    f"The newest {patience} trials brought nothing better: no more are begun. "
                    "With a higher --patience, cifar-search resume goes on."
                )
            )
        return "finished"

    def _note_seconds(self) -> None:
        self._study.write(attributes.SECONDS, round(self.seconds, 1))
        self._noted = self._clock()


def _unlink(file: Path) -> None:
    """Remove a file that is of no more use; where that cannot be done, it stays."""
    with suppress(OSError):
        file.unlink(missing_ok=True)
