"""Sweeps and findings by formula, and workers that answer a sweep with one instead of training."""

import math
from collections.abc import Callable
from types import TracebackType

from cifar_core.lr_range import Finding, Sweep
from search.workers.messages import Ready, SweepDone, SweepTask, Task, WorkerMessage
from search.workers.pool import Worker
from search.workers.slots import Slot

__all__ = [
    "BEST",
    "NOTHING",
    "SweepingPool",
    "answered",
    "curve",
    "finding",
    "flat",
]

BEST = {"sgd": 0.1, "adam": 0.01}
"""Where the loss of an optimizer is lowest."""
NOTHING = Finding((), (), (), 0.5, reason="The loss hardly fell.")


def curve(best: float, lr: tuple[float, ...], depth: float = 1.0) -> Sweep:
    """A sweep of a third of an epoch, whose loss is lowest at `best` and back at its start above."""
    losses = []
    for rate in lr:
        distance = math.log10(rate / best)
        width = 1.0 if distance < 0 else 0.7
        losses.append(2.3 - depth * math.exp(-((distance / width) ** 2)) + max(0.0, distance - 1))
    return Sweep(lr, tuple(losses), 1 / 3)


def flat(task: SweepTask) -> WorkerMessage:
    """A sweep that says nothing, with as many rates as were asked for."""
    return SweepDone(curve(0.1, task.ramp.rates(task.recipe.batch_size), depth=0.01))


def answered(task: SweepTask) -> WorkerMessage:
    """A sweep that is lowest where its optimizer's is."""
    rates = task.ramp.rates(task.recipe.batch_size)
    return SweepDone(curve(BEST[task.recipe.optimizer.name], rates))


def finding(low: float, high: float, suggested: float, epochs: float = 0.5) -> Finding:
    """A conclusion, without the curves that it comes from."""
    return Finding((), (), (), epochs, low=low, high=high, suggested=suggested)


class SweepingPool:
    """Workers without processes: each call of `poll` is one message of every worker.

    Args:
        workers: How many; none is ready before the first poll.
        answer: What a worker says to a sweep.
    """

    def __init__(
        self,
        workers: int = 2,
        answer: Callable[[SweepTask], WorkerMessage] = answered,
    ) -> None:
        self.workers = [Worker(Slot("cpu", 1), index) for index in range(workers)]
        self.tasks: list[SweepTask] = []
        self._answer = answer
        self._polls = 0

    def __enter__(self) -> "SweepingPool":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        pass

    def assign(self, worker: Worker, task: Task) -> None:
        assert isinstance(task, SweepTask)
        assert worker.idle
        worker.task = task
        self.tasks.append(task)

    def poll(self, seconds: float) -> list[tuple[Worker, Task | None, WorkerMessage]]:
        assert seconds > 0
        self._polls += 1
        assert self._polls < 5_000, "the test does not end"
        heard: list[tuple[Worker, Task | None, WorkerMessage]] = []
        for worker in self.workers:
            task, worker.task = worker.task, None
            if not worker.ready:
                worker.ready = True
                heard.append((worker, None, Ready()))
            elif isinstance(task, SweepTask):
                heard.append((worker, task, self._answer(task)))
        return heard
