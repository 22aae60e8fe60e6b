"""The confirmation of a study: trainings on the pool's workers, each noted with the study at its end."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from cifar_core.recipe import Recipe
from cifar_core.seeds import derive
from cifar_core.text_files import one_line
from search.confirmation.conclusion import conclude
from search.confirmation.elimination import most_trainings, needed, runs_of
from search.confirmation.planning import plan_for, read_runs
from search.events import (
    ConfirmationEnded,
    ConfirmationEpoch,
    ConfirmationStarted,
    ConfirmationTrained,
    Notice,
    Observer,
    Stopping,
)
from search.execution.save_retries import SaveRetries
from search.home import StudyFolder
from search.study import attributes
from search.study.confirmation import (
    ConfirmationRun,
    Contender,
    run_key,
    unpacked,
)
from search.study.study import SearchStudy
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

__all__ = ["Confirmer"]


@dataclass
class _Training:
    """A training that was begun in this session."""

    contender: Contender
    repeat: int
    deaths: int = 0
    epochs: int = 0
    seconds: float = 0.0


class Confirmer:
    """One run of a confirmation, from where the study stands to its end or to a stop.

    The plan follows from the study's trials, and what is needed next from the plan and the finished
    trainings, each of which is a note of the study: a resumed confirmation ends as an undisturbed one does.

    Args:
        study: The study, which this process holds.
        pool: The workers.
        folder: The study's files, for checkpoints.
        observe: Told what happens.
        stop_requested: Returns whether to stop; asked several times a second.
        seconds_left: Returns the seconds left for the study; None without a limit.
        note_time: Called now and then, to note the time that the study has been running.
    """

    def __init__(
        self,
        study: SearchStudy,
        pool: Pool,
        folder: StudyFolder,
        observe: Observer,
        stop_requested: Callable[[], bool],
        *,
        seconds_left: Callable[[], float | None],
        clock: Callable[[], float],
        note_time: Callable[[], None] = lambda: None,
    ) -> None:
        self._study = study
        self._pool = pool
        self._folder = folder
        self._observe = observe
        self._stop_requested = stop_requested
        self._seconds_left = seconds_left
        self._note_time = note_time
        self._save_retries = SaveRetries(pool, observe, clock)
        self._stopping: Literal["stop", "timeout"] | None = None
        self._remarks: set[str] = set()
        self._plan = plan_for(study)
        self._runs = read_runs(study)
        self._asked = -1
        self._needed: list[tuple[Contender, int]] = []
        self._trainings: dict[tuple[int, int], _Training] = {}  # begun in this session
        self._active: dict[int, _Training] = {}  # by the number of its task
        self._rows = {row.number: row for row in study.rows()}

    def run(self) -> Literal["finished", "stopped"]:
        """Train until nothing is left to decide, the time is used up, or a stop is asked for.

        Raises:
            ServiceError: The workers keep dying.
        """
        self._study.write(attributes.CONFIRMATION, self._plan.model_dump(mode="json"))
        self._observe(
            ConfirmationStarted(
                study=self._study.name,
                plan=self._plan,
                done=len(runs_of(self._plan, self._runs)),
                most=most_trainings(self._plan),
                seconds=self._estimated_seconds(),
                timeout=self._seconds_left(),
                so_far=conclude(self._plan, self._runs),
            )
        )
        while True:
            self._check_for_stop()
            wanted = self._wanted()
            if self._stopping is None:
                self._hand_out(wanted)
            if not self._active and (self._stopping is not None or not wanted):
                return self._end()
            for worker, task, message in self._pool.poll(TICK):
                self._handle(worker, task, message)
            self._save_retries.answer(stop=self._stopping is not None)
            self._note_time()

    def _wanted(self) -> list[tuple[Contender, int]]:
        """Return the trainings that are needed next; it is asked several times a second."""
        if self._asked != len(self._runs):
            self._asked = len(self._runs)
            self._needed = needed(self._plan, runs_of(self._plan, self._runs))
        return self._needed

    def _estimated_seconds(self) -> float:
        """The time of what is left if no contender is left out, by what the trials took."""
        counted = runs_of(self._plan, self._runs)
        left = 0.0
        for one in self._plan.contenders:
            row = self._rows[one.trial]
            repeats = sum((one.trial, repeat) not in counted for repeat in self._repeats)
            left += repeats * one.epochs * row.seconds / max(1, row.epochs)
        # On a cluster most of those that are asked for may still be waiting for room.
        there = sum(worker.ready for worker in self._pool.workers)
        return left / (there or len(self._pool.workers))

    @property
    def _repeats(self) -> range:
        return range(1, self._plan.seeds + 1)

    def _check_for_stop(self) -> None:
        if self._stopping is not None:
            return
        if self._stop_requested():
            self._stopping = "stop"
            self._observe(Stopping("Stopping: running trainings finish their epoch and are saved."))
        elif self._seconds_left() == 0.0:
            self._stopping = "timeout"
            self._observe(Stopping("The time is used up: running trainings finish their epoch."))

    def _hand_out(self, wanted: Sequence[tuple[Contender, int]]) -> None:
        idle = [worker for worker in self._pool.workers if worker.idle]
        active = {(one.contender.trial, one.repeat) for one in self._active.values()}
        waiting = [one for one in wanted if (one[0].trial, one[1]) not in active]
        for worker, (contender, repeat) in zip(idle, waiting, strict=False):
            key = contender.trial, repeat
            training = self._trainings.setdefault(key, _Training(contender, repeat))
            number = 1 + max(self._active, default=-1)
            self._active[number] = training
            row = self._rows[contender.trial]
            task = TrainTask(
                number,
                Recipe.read(row.recipe),
                self._seed(repeat),
                self._folder.confirmation(contender.trial, repeat),
                confirms=True,
            )
            self._pool.assign(worker, task)
            self._observe(ConfirmationEpoch(contender, repeat, 0))

    def _seed(self, repeat: int) -> int:
        return derive(self._study.settings.seed, "confirmation", repeat)

    def _handle(self, worker: Worker, task: Task | None, message: WorkerMessage) -> None:
        if not isinstance(task, TrainTask):
            return  # a worker came up, or died before it was given anything
        training = self._active[task.number]
        if isinstance(message, Remark):
            self._say_once(message.text)
            return
        if isinstance(message, Unsaved):
            self._save_retries.add(worker, message.reason)
            return
        self._save_retries.remove(worker)
        if isinstance(message, EpochsDone):
            newest = message.epochs[-1]
            known = training.epochs
            training.seconds += sum(one.seconds for one in message.epochs if one.number > known)
            training.epochs = newest.number
            self._observe(ConfirmationEpoch(training.contender, training.repeat, newest.number))
            over = newest.number >= task.recipe.epochs or newest.is_last
            self._pool.answer(worker, over or self._stopping is None)
            return
        del self._active[task.number]
        match message:
            case Finished(correct) if correct is not None:
                self._keep(training, correct, None)
            case Failed(reason):
                self._keep(training, "", reason)
            case Died(reason):
                self._count_death(training, reason)

    def _keep(self, training: _Training, correct: str, failure: str | None) -> None:
        """Note a training that is over."""
        images = self._plan.images
        right = None if failure is not None else float(unpacked(correct, images.count).mean())
        run = ConfirmationRun(
            trial=training.contender.trial,
            role=training.contender.role,
            repeat=training.repeat,
            seed=self._seed(training.repeat),
            epochs=training.epochs,
            seconds=round(training.seconds, 2),
            accuracy=right,
            correct=correct,
            images=images,
            failure=None if failure is None else one_line(failure),
        )
        self._study.write(run_key(run.trial, run.repeat), run.model_dump(mode="json"))
        self._runs = [*self._runs, run]
        if run.repeat > 1 or failure is not None:  # the network of the first may be exported
            with suppress(OSError):
                self._folder.confirmation(run.trial, run.repeat).unlink(missing_ok=True)
        if failure is not None:
            self._observe(
                Notice(f"{training.contender.name} is left out of the confirmation: {run.failure}.")
            )
        self._observe(ConfirmationTrained(run, conclude(self._plan, self._runs)))

    def _count_death(self, training: _Training, reason: str) -> None:
        training.deaths += 1
        name = training.contender.name
        if training.deaths > CONTINUATIONS:
            self._keep(training, "", f"its worker ended {training.deaths} times, at last {reason}")
            return
        words = f"The worker of {name} was {reason}; the training continues from its last epoch."
        self._observe(Notice(words))

    def _say_once(self, remark: str) -> None:
        if remark not in self._remarks:
            self._remarks.add(remark)
            self._observe(Notice(remark))

    def _end(self) -> Literal["finished", "stopped"]:
        if self._stopping == "stop":
            return "stopped"
        self._plan = self._plan.model_copy(update={"ended": True})
        self._study.write(attributes.CONFIRMATION, self._plan.model_dump(mode="json"))
        found = conclude(self._plan, self._runs)
        if found is None:
            self._observe(Notice("Nothing is confirmed: no training was finished."))
        else:
            self._observe(ConfirmationEnded(found))
        return "finished"
