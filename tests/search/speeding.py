"""Workers that answer a measurement of their speed by formula instead of training."""

from types import TracebackType

from cifar_core.throughput import Throughput
from search.workers.messages import Ready, SpeedDone, SpeedTask, Task, WorkerMessage
from search.workers.pool import Worker
from search.workers.slots import Slot

__all__ = ["SpeedingPool", "formula"]


def formula(task: SpeedTask, index: int) -> WorkerMessage:
    """A wider network is slower, and every worker is an image a second faster than the one before it."""
    channels = getattr(task.recipe.network, "channels1", 0)
    return SpeedDone(Throughput(training=1_000 - channels + index, evaluation=5_000 + index))


class SpeedingPool:
    """Workers without processes, each of which takes longer than the one before it.

    Args:
        slots: One for each worker, or how many.

    Attributes:
        workers: As a pool has them; they come up one after another.
        tasks: What the workers had to do at each poll.
        said: What a worker says to a measurement.
    """

    def __init__(self, slots: int | list[Slot] = 2, *_: object) -> None:
        count = slots if isinstance(slots, int) else len(slots)
        self.workers = [Worker(Slot("cpu", 1), index) for index in range(count)]
        self.tasks: list[list[Task | None]] = []
        self.said = formula
        self._polls = 0

    def __enter__(self) -> "SpeedingPool":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        pass

    def assign(self, worker: Worker, task: Task) -> None:
        assert worker.idle
        worker.task = task

    def poll(self, seconds: float) -> list[tuple[Worker, Task | None, WorkerMessage]]:
        """One worker says something; the others are busy."""
        assert seconds > 0
        self._polls += 1
        assert self._polls < 1_000, "the test does not end"
        coming = next((one for one in self.workers if not one.ready), None)
        if coming is not None:
            assert all(worker.task is None for worker in self.workers), "not all have come up"
            coming.ready = True
            return [(coming, None, Ready())]
        self.tasks.append([worker.task for worker in self.workers])
        busy = next(worker for worker in self.workers if worker.task is not None)
        task, busy.task = busy.task, None
        assert isinstance(task, SpeedTask)
        return [(busy, task, self.said(task, busy.index))]
