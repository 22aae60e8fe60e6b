"""A study of a small space, and workers that follow a script instead of training."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage

from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from search.events import Event
from search.execution.coordinator import Coordinator, Outcome
from search.execution.stopwatch import Stopwatch
from search.home import Home, StudyFolder
from search.study.settings import Budget, DataIdentity, Settings
from search.study.study import SearchStudy, create_or_open, open_study
from search.workers.messages import (
    Beat,
    Died,
    EpochsDone,
    Failed,
    Finished,
    Task,
    TrainTask,
    Unsaved,
    WorkerMessage,
)
from search.workers.pool import Worker
from search.workers.slots import Slot
from spaces.space import Space
from tests.spaces.making import small_space

DATA = DataIdentity(
    name="cifar10", official=True, train=45_000, validation=5_000, split="0123456789abcdef"
)
NAME = "mine"


def settings_of(space: Space | None = None, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "space": space or small_space(),
        "scale": "full",
        "data": DATA,
        "seed": 0,
        "sampler": "random",
        "pruner": "none",
        "lr_bounds": "auto",
    }
    return Settings(**(values | changes))


def new_study(
    storage: BaseStorage | None = None,
    trials: int = 6,
    timeout: float | None = None,
    name: str = NAME,
    keep: int = 1,
    patience: int | None = None,
    **settings: Any,
) -> SearchStudy:
    budget = Budget(trials=trials, timeout=timeout, keep=keep, patience=patience)
    where = storage or optuna.storages.InMemoryStorage()
    study, _ = create_or_open(where, name, settings_of(**settings), budget)
    return study


def accuracy_of(recipe: Recipe, epoch: int) -> float:
    """What this recipe comes to after so many epochs: something for a sampler to learn from."""
    wide = recipe.network.channels1 / 10
    return round(0.1 + (0.5 * wide - 0.3 * recipe.network.dropout) * epoch / recipe.epochs, 6)


def epoch_of(recipe: Recipe, number: int) -> Epoch:
    accuracy = accuracy_of(recipe, number)
    return Epoch(number, 2.0 - accuracy, accuracy, 2.1 - accuracy, accuracy, 0.01, 1.5, 1000.0)


class Killed(BaseException):
    """The coordinator's process ends here, as by SIGKILL."""


def kill_at(poll: int | None) -> Callable[[int], None]:
    """The coordinator is killed right after its pool was asked so many times; never if it is None."""

    def after(polls: int) -> None:
        if polls == poll:
            raise Killed

    return after


class ScriptedPool:
    """Workers without processes: each call of `poll` is one message of every worker that is busy.

    Args:
        workers: How many.
        trouble: What a worker says instead of training this epoch of this trial, if anything.
        epoch: What an epoch of a recipe comes to.
        checkpoints: The epochs that are saved, by trial, or by the file of a confirming training; survives
            the pool as files do.
        after: Called after every poll with how many there were.
        meanwhile: What a worker says that waits to hear whether to save again.
        answers: Which images a confirming training gets right.
    """

    def __init__(
        self,
        workers: int = 1,
        trouble: Callable[[int, int], WorkerMessage | None] = lambda _trial, _epoch: None,
        epoch: Callable[[Recipe, int], Epoch] = epoch_of,
        checkpoints: dict[int | str, list[Epoch]] | None = None,
        after: Callable[[int], None] = lambda _polls: None,
        meanwhile: Callable[[], WorkerMessage] = Beat,
        answers: Callable[[TrainTask], str] = lambda _task: "",
    ) -> None:
        self.workers = [Worker(Slot("cpu", 1), index, ready=True) for index in range(workers)]
        self.checkpoints = {} if checkpoints is None else checkpoints
        self.tasks: list[TrainTask] = []
        self.trained: list[tuple[int, int]] = []
        self._trouble = trouble
        self._epoch = epoch
        self._after = after
        self._meanwhile = meanwhile
        self._answers = answers
        self._polls = 0
        self._scripts: dict[int, Iterator[WorkerMessage]] = {}
        self._goes_on: dict[int, bool] = {}

    def assign(self, worker: Worker, task: Task) -> None:
        assert worker.idle
        assert isinstance(task, TrainTask)
        self.tasks.append(task)
        worker.task = task
        self._scripts[worker.index] = self._work(worker, task)

    def answer(self, worker: Worker, keep_going: bool) -> None:
        assert worker.index not in self._goes_on, "answered twice"
        self._goes_on[worker.index] = keep_going

    def poll(self, seconds: float) -> list[tuple[Worker, Task | None, WorkerMessage]]:
        assert seconds > 0
        heard: list[tuple[Worker, Task | None, WorkerMessage]] = []
        for worker in self.workers:
            if worker.task is not None:
                task = worker.task
                message = next(self._scripts[worker.index])
                if isinstance(message, Finished | Failed | Died):
                    worker.task = None
                if isinstance(message, Beat):
                    continue  # as a pool does
                heard.append((worker, task, message))
        self._polls += 1
        assert self._polls < 5_000, "the search does not end"
        self._after(self._polls)
        return heard

    def _work(self, worker: Worker, task: TrainTask) -> Iterator[WorkerMessage]:
        """What a worker says, as `search.workers.worker` does it."""
        key = task.checkpoint.stem if task.confirms else task.number
        history = self.checkpoints.setdefault(key, [])
        if history:
            yield EpochsDone(tuple(history))
            if not self._goes_on.pop(worker.index):
                yield Finished()
        while len(history) < task.recipe.epochs and not (history and history[-1].is_last):
            number = len(history) + 1
            while (message := self._trouble(task.number, number)) is not None:
                yield message
                if not isinstance(message, Unsaved):
                    break
                while worker.index not in self._goes_on:
                    yield self._meanwhile()
                if not self._goes_on.pop(worker.index):
                    yield Finished()
            self.trained.append((task.number, number))
            history.append(self._epoch(task.recipe, number))
            yield EpochsDone((history[-1],))
            if not self._goes_on.pop(worker.index):
                break
        over = len(history) == task.recipe.epochs or (history and history[-1].is_last)
        yield Finished(self._answers(task) if task.confirms and over else None)


def folder_in(path: Path) -> StudyFolder:
    folder = Home(path).study(NAME)
    folder.create()
    return folder


def search(
    study: SearchStudy,
    pool: ScriptedPool,
    folder: StudyFolder,
    *,
    events: list[Event] | None = None,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = lambda: 0.0,
) -> Outcome:
    """Run a coordinator over scripted workers."""
    observed = [] if events is None else events
    with Stopwatch(study, clock).running() as stopwatch:
        return Coordinator(
            study,
            study.settings.space,
            pool,  # type: ignore[arg-type] # it does what a pool does
            folder,
            observed.append,
            stop,
            stopwatch,
        ).run()


def enqueue_known(study: SearchStudy) -> None:
    """Put the known configurations first, as the service does."""
    for known in study.settings.space.known:
        study.optuna.enqueue_trial(known.values, user_attrs={"known": known.name})


def reopened(study: SearchStudy, storage: BaseStorage | None = None, **budget: Any) -> SearchStudy:
    """The same study as another process finds it, in its own storage or another."""
    where = storage or study.optuna._storage
    found = open_study(where, study.name)
    if budget:
        wanted = Budget(**{"trials": found.budget.trials, **budget})
        found, _ = create_or_open(where, study.name, found.settings, wanted)
    return found


def parameters_of(study: SearchStudy) -> Mapping[int, dict[str, Any]]:
    return {trial.number: trial.params for trial in study.optuna.get_trials(deepcopy=False)}


def states_of(study: SearchStudy) -> list[str]:
    return [row.state for row in study.rows()]


def reasons_of(study: SearchStudy) -> list[str | None]:
    return [row.reason for row in study.rows()]


def fails(*numbers: int, reason: str = "out of memory: 3 GiB") -> Any:
    def trouble(trial: int, _epoch: int) -> WorkerMessage | None:
        return Failed(reason) if trial in numbers else None

    return trouble
