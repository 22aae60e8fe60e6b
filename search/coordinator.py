"""The coordinator: the only process that talks to the study while a search runs.

It hands trials to workers, receives their epochs, answers whether they go on, and writes everything
that happens into the study before it answers. One writer means that no trial is claimed twice and that
after a kill every trial that is marked as running is one to be continued.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Literal

from optuna.trial import FrozenTrial, Trial, TrialState

from cifar_core.checkpoint import load_state
from cifar_core.epoch import Epoch
from cifar_core.errors import CheckpointError, RecipeError
from cifar_core.recipe import Recipe
from cifar_core.seeds import derive
from search import attributes
from search.errors import ServiceError
from search.events import EpochSeen, Notice, Observer, Stopping, TrialEnded, TrialStarted
from search.home import StudyFolder
from search.kept import Kept
from search.messages import (
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
from search.policy import SEED, pruner_of, sampler_of, seeds_of
from search.pool import Pool, Worker
from search.rows import row_of
from search.shortage import Shortage
from search.study import SearchStudy
from spaces.space import Space

__all__ = ["Coordinator", "Outcome"]

Outcome = Literal["finished", "stopped"]

TICK = 0.25
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
        self._space = space
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
        self._shortage = Shortage(pool, observer, clock)
        self._pruner = study.settings.pruner
        study.optuna.pruner = pruner_of(self._pruner, space.epochs)
        # A grid's sampler must be there when a trial is made: it then chooses the trial's cell.
        study.optuna.sampler = sampler_of(study.settings, 0)
        unfinished = study.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        # With one writer, whatever is marked as running was interrupted.
        self._interrupted = [self._attach(trial) for trial in unfinished]
        self._active: dict[int, Trial] = {}
        self._epochs: dict[int, dict[int, Epoch]] = {}
        self._verdicts: dict[int, str] = {}
        finished = study.optuna.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        )
        self._begun = len(finished) + len(unfinished)
        # Where the total was lowered, there may be no room left for what was interrupted.
        room = max(0, study.budget.trials - len(finished))
        self._superfluous, self._interrupted = self._interrupted[room:], self._interrupted[:room]
        # A cell of a grid that was given up would be missing for good, so those wait for a larger total.
        self._gives_up = study.settings.seeds is None
        self._kept = Kept(study.rows(), study.budget.keep)
        # What a killed coordinator has left behind.
        for number in (
            folder.checkpoints() - self._kept.numbers - {one.number for one in unfinished}
        ):
            _unlink(folder.checkpoint(number))

    @property
    def seconds(self) -> float:
        """Time the study has been running, over all sessions."""
        return self._seconds_before + self._clock() - self._started

    def run(self) -> Outcome:
        """Search until the budget is used up or a stop is asked for.

        Raises:
            ServiceError: Nothing works: workers keep dying, or trial after trial fails.
        """
        try:
            for trial in self._superfluous if self._gives_up else ():
                self._tell(trial, TrialState.PRUNED, "the study's total of trials was lowered")
            while True:
                self._check_for_stop()
                if self._stopping is None:
                    self._hand_out()
                if not self._active and (self._stopping or not self._has_more()):
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
        for worker in self._pool.workers:
            if not worker.idle:
                continue
            trial = self._next_trial()
            if trial is None:
                return
            notes = trial.user_attrs
            checkpoint = self._folder.checkpoint(trial.number)
            recipe = Recipe.read(notes[attributes.RECIPE])
            self._active[trial.number] = trial
            self._pool.assign(
                worker, TrainTask(trial.number, recipe, notes[attributes.SEED], checkpoint)
            )
            label = notes.get(attributes.KNOWN) or notes.get(attributes.SUGGESTED)
            done = len(_reported(trial))
            self._observe(TrialStarted(trial.number, label, dict(trial.params), done))

    def _next_trial(self) -> Trial | None:
        """An interrupted trial, else a new one; None if the budget has no more."""
        while True:
            if self._interrupted:
                trial = self._interrupted.pop(0)
            elif self._begun < self._study.budget.trials:
                trial = self._study.optuna.ask()
                self._begun += 1
            else:
                return None
            try:
                self._choose(trial)
            except RecipeError as error:
                reason = str(error).splitlines()[-1].strip()
                self._tell(trial, TrialState.FAIL, reason)
                self._give_up_if_all_fail(reason)
                continue
            return trial

    def _has_more(self) -> bool:
        return bool(self._interrupted) or self._begun < self._study.budget.trials

    def _choose(self, trial: Trial) -> None:
        """Give the trial its parameters, recipe and seed; what it has already, it keeps."""
        if attributes.RECIPE in trial.user_attrs:
            return
        settings = self._study.settings
        sampler_seed = derive(settings.seed, "sampler", trial.number)
        self._study.optuna.sampler = sampler_of(settings, sampler_seed)
        recipe = self._space.recipe_of(self._space.suggest(trial))
        if seeds := seeds_of(settings):
            # Every cell is trained from the same seeds: what differs between cells is the cell.
            seed = trial.suggest_int(SEED, seeds[0], seeds[-1])
        else:
            seed = derive(settings.seed, "trial", trial.number)
        trial.set_user_attr(attributes.SEED, seed)
        # The recipe comes last: a trial that has it can be trained.
        trial.set_user_attr(attributes.RECIPE, recipe.plain())

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
        reported = _reported(trial)
        history = self._epochs.setdefault(trial.number, {})
        for epoch in epochs:
            history[epoch.number] = epoch
            if epoch.number not in reported:
                trial.report(epoch.validation_accuracy, epoch.number)
                self._observe(EpochSeen(trial.number, epoch))
        newest = epochs[-1]
        if newest.diverged:
            verdict = f"diverged: in epoch {newest.number} the loss was no number any more"
        elif newest.number >= last_epoch or newest.converged:
            return True  # it is complete, and the worker will say so
        elif _prunes(trial):
            verdict = f"stopped early after epoch {newest.number} by the {self._pruner} pruner"
        elif self._stopping == "timeout" and self._gives_up:
            verdict = f"the study's time was used up after epoch {newest.number}"
        else:
            return self._stopping is None
        self._verdicts[trial.number] = verdict
        return False

    def _finish(self, trial: Trial) -> None:
        """A worker has stopped training this trial: because of a verdict, a stop, or its last epoch."""
        verdict = self._verdicts.pop(trial.number, None)
        if verdict is not None:
            self._tell(trial, TrialState.PRUNED, verdict)
        elif self._is_complete(trial):
            self._tell(trial, TrialState.COMPLETE, None)
        else:
            self._interrupted.append(trial)

    def _is_complete(self, trial: Trial) -> bool:
        recipe = Recipe.read(trial.user_attrs[attributes.RECIPE])
        if max(_reported(trial), default=0) >= recipe.epochs:
            return True
        history = self._epochs.get(trial.number, {})
        return bool(history) and history[max(history)].converged

    def _tell(self, trial: Trial, state: TrialState, reason: str | None) -> None:
        """Make the trial final. Its notes come first: a finished trial lacks nothing."""
        history = self._epochs.pop(trial.number, None) or self._saved_epochs(trial)
        epochs = [asdict(history[number]) for number in sorted(history)]
        trial.set_user_attr(attributes.EPOCHS, [_rounded(epoch) for epoch in epochs])
        trial.set_user_attr(
            attributes.TRIAL_SECONDS, round(sum(epoch["seconds"] for epoch in epochs), 3)
        )
        if reason is not None:
            trial.set_user_attr(attributes.REASON, reason)
        kept = self._kept.numbers
        if state is TrialState.COMPLETE:
            reported = _reported(trial)
            accuracy = reported[max(reported)]
            self._study.optuna.tell(trial, accuracy)
            self._kept.add(trial.number, accuracy)
        else:
            self._study.optuna.tell(trial, state=state)
        self._failures = self._failures + 1 if state is TrialState.FAIL else 0
        for superfluous in (kept | {trial.number}) - self._kept.numbers:
            _unlink(self._folder.checkpoint(superfluous))
        self._observe(TrialEnded(row_of(_frozen(trial))))

    def _saved_epochs(self, trial: Trial) -> dict[int, Epoch]:
        """The epochs of a trial that no worker of this session has taken up."""
        try:
            state = load_state(self._folder.checkpoint(trial.number))
            epochs = [Epoch(**values) for values in state["history"]]
        except (CheckpointError, KeyError, TypeError):
            return {}
        return {epoch.number: epoch for epoch in epochs}

    def _continue_after_death(self, trial: Trial, reason: str) -> None:
        deaths = trial.user_attrs.get(attributes.INTERRUPTIONS, 0) + 1
        trial.set_user_attr(attributes.INTERRUPTIONS, deaths)
        self._verdicts.pop(trial.number, None)
        if deaths > CONTINUATIONS:
            self._tell(trial, TrialState.FAIL, f"its worker ended {deaths} times, at last {reason}")
            self._give_up_if_all_fail(reason)
            return
        self._interrupted.insert(0, trial)
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
            for trial in self._interrupted:
                self._tell(trial, TrialState.PRUNED, "the study's time was used up")
            return "finished"
        return "stopped" if self._has_more() else "finished"

    def _attach(self, trial: FrozenTrial) -> Trial:
        # Optuna has no public way to take up a trial that another process has begun.
        return Trial(self._study.optuna, trial._trial_id)  # noqa: SLF001

    def _note_seconds(self) -> None:
        self._study.write(attributes.SECONDS, round(self.seconds, 1))
        self._noted = self._clock()


def _unlink(file: Path) -> None:
    """Remove a file that is of no more use; where that cannot be done, it stays."""
    with suppress(OSError):
        file.unlink(missing_ok=True)


def _reported(trial: Trial) -> dict[int, float]:
    """The validation accuracy of each epoch that the study has."""
    return _frozen(trial).intermediate_values


def _frozen(trial: Trial) -> FrozenTrial:
    return trial.storage.get_trial(trial._trial_id)  # noqa: SLF001


def _prunes(trial: Trial) -> bool:
    """The pruner stops this trial.

    It is asked about every trial, because it learns by that; but the known configurations are what gains
    are measured against, and are always trained to the end.
    """
    return trial.should_prune() and attributes.KNOWN not in trial.user_attrs


def _rounded(epoch: dict[str, float | None]) -> dict[str, float | None]:
    """With six digits; what is no number is null, as JSON has none for it."""
    return {
        key: float(f"{value:.6g}")
        if isinstance(value, float) and isfinite(value)
        # Numbers of epochs, and whether it converged, stay what they are.
        else value
        if isinstance(value, int)
        else None
        for key, value in epoch.items()
    }
