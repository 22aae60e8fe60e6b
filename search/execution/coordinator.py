"""The coordinator: the only process that writes into the study while a search runs.

It hands trials to workers, receives their epochs, answers whether they continue, and writes everything
that happens into the study before it answers. What several workers have said is written at once, and they
are answered before others get new trials. One writer means that no trial is claimed twice and that after a
kill every trial marked as running is one to continue. Other processes may still end or change a trial, such
as a user in the dashboard: that trial is over, and its worker gets another.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from optuna.trial import Trial, TrialState

from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from search.events import EpochSeen, Notice, Observer, Stopping, TrialPaused, TrialStarted
from search.execution.epoch_histories import Histories, frozen, reported
from search.execution.finalizer import Finalizer
from search.execution.prior_knowledge import knowledge_of
from search.execution.save_retries import SaveRetries
from search.execution.stopwatch import Stopwatch
from search.execution.trial_queue import TrialQueue
from search.home import StudyFolder
from search.policy.base import InvalidTrialError
from search.policy.beside.thinking import Beside
from search.policy.factory import policy_of
from search.study import attributes
from search.study.endings import Ending
from search.study.gathering import Gathering
from search.study.rows import label_of, row_of
from search.study.study import SearchStudy
from search.study.trial_states import LostTrialError, snapshot, writes
from search.workers.limits import CONTINUATIONS, TICK
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
EarlyEnd = tuple[Ending, str]
"""The kind of an end before the last epoch, and the reason in words."""
SOON = 0.004
"""Seconds to wait for the workers where more is to be done meanwhile."""
AT_ONCE = 8
"""Trials that are handed out before those workers are answered that have finished an epoch meanwhile."""


class Coordinator:
    """One run of a search, from where the study stands to its budget or to a stop.

    Args:
        study: The study.
        space: Its space, with the learning-rate bounds it is searched in.
        pool: The workers.
        folder: The study's files, for checkpoints.
        observer: Told what happens.
        stop_requested: Returns whether the search shall stop; asked several times a second.
        stopwatch: The time of the study; by default it starts here.
        beside: Finds the policy's choices while this answers many workers; only some policies use it.
    """

    def __init__(
        self,
        study: SearchStudy,
        space: Space,
        pool: Pool,
        folder: StudyFolder,
        observer: Observer,
        stop_requested: Callable[[], bool],
        stopwatch: Stopwatch | None = None,
        beside: Beside | None = None,
    ) -> None:
        self._study = study
        self._pool = pool
        self._folder = folder
        self._space = space
        self._observe = observer
        self._stop_requested = stop_requested
        self._stopwatch = stopwatch or Stopwatch(study)
        self._remarks: set[str] = set()
        self._stopping: Literal["stop", "timeout"] | None = None
        self._save_retries = SaveRetries(pool, observer, self._stopwatch.clock)
        self._pruner = study.settings.pruner
        self._policy = policy_of(
            study.settings,
            study.optuna,
            space=space,
            trials=study.budget.trials,
            knowledge=knowledge_of(study, space),
            seconds_left=self._stopwatch.seconds_left,
            say=self._pass_on,
            beside=beside,
        )
        self._queue = TrialQueue(study, space, self._policy)
        self._active: dict[int, Trial] = {}
        self._tasks: dict[int, TrainTask] = {}
        self._histories = Histories(folder)
        self._gathering = Gathering(study.optuna)
        self._finalizer = Finalizer(
            study, folder, self._policy, self._queue, self._histories, self._gathering, observer
        )
        self._written: dict[int, Trial] = {}  # since the last transaction
        self._answers: list[tuple[Worker, Trial, bool]] = []
        self._endings: dict[int, EarlyEnd] = {}
        self._pausing: set[int] = set()
        # A cell of a grid that was given up would be missing for good, so those wait for a larger total.
        self._gives_up = study.settings.seeds is None
        started = (*self._queue.left(), *self._queue.superfluous)
        self._finalizer.remove_leftovers({trial.number for trial in started})

    def run(self) -> Outcome:
        """Search until the budget is used up or a stop is asked for.

        Raises:
            ServiceError: Nothing works: workers keep dying, or trial after trial fails.
        """
        with self._gathering:
            if self._gives_up:
                words = "the study's total of trials was lowered"
                self._finalizer.prune(self._queue.superfluous, "lowered total", words)
            while True:
                self._check_for_stop()
                is_more = self._stopping is None and self._hand_out()
                if not self._active and (self._stopping or not self._queue):
                    return self._end()
                for worker, task, message in self._pool.poll(SOON if is_more else TICK):
                    self._handle(worker, task, message)
                self._write()
                self._save_retries.answer(stop=self._stopping is not None)
                self._stopwatch.note_now_and_then()

    def _write(self) -> None:
        """Write what was said, and only then answer."""
        self._gathering.write()
        written, self._written = self._written, {}
        for trial in written.values():
            if self._gathering.has_lost(trial) and self._is_known(trial):
                self._lose(trial.number)
        answers, self._answers = self._answers, []
        for worker, trial, continues in answers:
            self._pool.answer(worker, continues and self._active.get(trial.number) is trial)

    def _is_known(self, trial: Trial) -> bool:
        """Return whether a trial is under way or waits: it was not given up meanwhile."""
        number = trial.number
        return self._active.get(number) is trial or number in self._policy.paused

    def _check_for_stop(self) -> None:
        if self._stopping is not None:
            return
        if self._stop_requested():
            self._stopping = "stop"
            self._observe(Stopping("Stopping: running trials finish their epoch and are saved."))
        elif self._stopwatch.seconds_left() == 0.0:
            self._stopping = "timeout"
            self._observe(Stopping("The time is used up: running trials finish their epoch."))

    def _hand_out(self) -> bool:
        """Give trials to some of the workers that wait; return whether there may be more of both."""
        self._let_go()
        idle = [worker for worker in self._pool.workers if worker.idle]
        tasks: list[tuple[Worker, Trial, TrainTask]] = []
        is_ready = True
        for worker in idle[:AT_ONCE]:
            if not (is_ready := self._queue.ready):
                break
            trial = self._next_trial()
            if trial is None:
                break
            notes = snapshot(trial).user_attrs
            checkpoint = self._folder.checkpoint(trial.number)
            recipe = Recipe.read(notes[attributes.RECIPE])
            if trial.number in self._active:  # somebody has deleted that one
                self._forget(trial.number)
                self._histories.forget(trial.number)
                self._queue.started -= 1
            task = TrainTask(trial.number, recipe, notes[attributes.SEED], checkpoint)
            self._active[trial.number], self._tasks[trial.number] = trial, task
            self._written[trial.number] = trial
            tasks.append((worker, trial, task))
        self._write()
        for worker, trial, task in tasks:
            if self._active.get(trial.number) is trial:
                self._pool.assign(worker, task)
                self._observe(self._started(trial))
        return not is_ready or len(tasks) == AT_ONCE < len(idle)

    def _started(self, trial: Trial) -> TrialStarted:
        known = snapshot(trial)
        values = self._space.values_of(known.params)
        return TrialStarted(trial.number, label_of(known), values, len(reported(trial)))

    def _let_go(self) -> None:
        """End paused trials that will not continue."""
        try:
            hopeless = self._policy.hopeless(self._queue.to_come + len(self._active))
        except LostTrialError as error:
            self._lose(error.number)
            return
        self._finalizer.prune(hopeless, "pruner", self._stopped_early)

    def _next_trial(self) -> Trial | None:
        """Return the trial that a free worker gets; None if there is none for now."""
        while True:
            try:
                return self._queue.take()
            except InvalidTrialError as error:
                self._finalizer.refuse(error)
            except LostTrialError as error:
                self._lose(error.number)

    def _handle(self, worker: Worker, task: Task | None, message: WorkerMessage) -> None:
        if not isinstance(task, TrainTask):
            return  # a worker came up, or died before it was given anything
        # SQLite gives the number of a trial that somebody has deleted to the next one.
        trial = self._active.get(task.number) if self._tasks[task.number] is task else None
        if isinstance(message, Remark):
            self._pass_on(message.text)
        elif trial is None:  # it is over although its worker has not heard of it yet
            if isinstance(message, EpochsDone | Unsaved):
                self._pool.answer(worker, False)
        elif isinstance(message, Unsaved):
            self._save_retries.add(worker, message.reason)
        else:
            self._save_retries.remove(worker)
            self._written[trial.number] = trial
            continues = False
            try:
                if isinstance(message, EpochsDone):
                    continues = self._continues(trial, task.recipe.epochs, message.epochs)
                else:
                    del self._active[task.number]
                    self._react(trial, task.recipe.epochs, message)
            except LostTrialError as error:
                self._lose(error.number)
            if isinstance(message, EpochsDone):
                self._answers.append((worker, trial, continues))

    def _react(self, trial: Trial, epochs: int, message: WorkerMessage) -> None:
        """Decide about a trial that no worker trains any more."""
        match message:
            case Finished():
                self._finish(trial, epochs)
            case Failed(reason):
                self._finalizer.fail(trial, reason)
            case Died(reason):
                self._continue_after_death(trial, reason)

    def _pass_on(self, remark: str) -> None:
        """Say what holds for trial after trial only once."""
        if remark not in self._remarks:
            self._remarks.add(remark)
            self._observe(Notice(remark))

    def _continues(self, trial: Trial, last_epoch: int, epochs: Sequence[Epoch]) -> bool:
        """Report the epochs that the study does not have yet, and decide."""
        there = reported(trial)
        self._histories.add(trial.number, epochs)
        with writes(trial):
            for epoch in epochs:
                if epoch.number not in there:
                    trial.report(epoch.validation_accuracy, epoch.number)
                    self._observe(EpochSeen(trial.number, epoch))
            verdict = self._policy.verdict(trial, self._histories.scores(trial.number))
        newest = epochs[-1]
        ending: EarlyEnd
        if newest.diverged:
            ending = "diverged", f"diverged: the loss became non-finite in epoch {newest.number}"
        elif newest.number >= last_epoch or newest.converged:
            return True  # it is complete, and the worker will say so
        elif verdict == "pause":
            self._pausing.add(trial.number)
            return False
        elif verdict == "stop":
            ending = "pruner", self._stopped_early(trial)
        elif self._stopping == "timeout" and self._gives_up:
            ending = "timeout", f"the study's time was used up after epoch {newest.number}"
        else:
            return self._stopping is None
        self._endings[trial.number] = ending
        return False

    def _stopped_early(self, trial: Trial) -> str:
        return f"stopped early after epoch {max(reported(trial))} by the {self._pruner} pruner"

    def _finish(self, trial: Trial, epochs: int) -> None:
        """Deal with a trial that its worker has left: for a verdict, a stop, or after its last epoch."""
        if ending := self._endings.pop(trial.number, None):
            self._finalizer.prune([trial], *ending)
        elif self._histories.is_complete(trial, epochs):
            self._finalizer.complete(trial)
        elif trial.number in self._pausing:
            self._pausing.remove(trial.number)
            with writes(trial):
                self._histories.keep(trial)
                self._policy.pause(trial)
            self._let_go()  # this one may be among them: then it has not waited
            if trial.number in self._policy.paused:
                self._observe(TrialPaused(row_of(frozen(trial, TrialState.WAITING), self._space)))
        else:
            self._queue.put_back(trial)

    def _forget(self, number: int) -> None:
        self._endings.pop(number, None)
        self._pausing.discard(number)

    def _lose(self, number: int) -> None:
        """Forget a trial that another process has ended, removed or changed."""
        self._forget(number)
        self._finalizer.lose(number, self._active.pop(number, None))

    def _continue_after_death(self, trial: Trial, reason: str) -> None:
        deaths = trial.user_attrs.get(attributes.INTERRUPTIONS, 0) + 1
        with writes(trial):
            trial.set_user_attr(attributes.INTERRUPTIONS, deaths)
        self._gathering.write()
        if self._gathering.has_lost(trial):
            raise LostTrialError(trial.number)
        self._forget(trial.number)
        if deaths > CONTINUATIONS:
            self._finalizer.fail(trial, f"its worker ended {deaths} times, at last {reason}")
            return
        self._queue.put_back(trial, first=True)
        words = f"The worker of trial {trial.number} was {reason}; the trial continues from its last epoch."
        self._observe(Notice(words))

    def _end(self) -> Outcome:
        if self._stopping == "timeout" and self._gives_up:
            self._finalizer.prune(
                list(self._queue.left()), "timeout", "the study's time was used up"
            )
            return "finished"
        if self._queue:
            return "stopped"
        if self._queue.started < self._study.budget.trials:
            patience = self._study.budget.patience
            words = f"No further trial is started: {patience} in a row brought no improvement. "
            words += "With a higher --patience, cifar-search resume continues."
            self._observe(Notice(words))
        return "finished"
