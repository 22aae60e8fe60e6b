"""The pool: workers that do tasks, one for each slot, replaced when they die.

What a coordinator knows of its workers is here, and is the same wherever they run. A subclass starts
them, and carries messages: `search.workers.local_pool` as processes of this machine,
`search.workers.ray_pool` as actors of a Ray cluster.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Self

from search.errors import ServiceError
from search.signals import signals_wait
from search.workers.limits import HANG_SECONDS
from search.workers.messages import (
    Beat,
    Died,
    EpochsDone,
    Failed,
    Finished,
    Ready,
    SpeedDone,
    SweepDone,
    Task,
    Unsaved,
    WorkerMessage,
)
from search.workers.slots import Slot

__all__ = ["SECONDS_TO_END", "Pool", "Worker"]

LONGEST_LOOK = 5.0
"""Seconds that one poll counts at most: while this process itself was stopped (Ctrl-Z, a sleeping
machine), nobody was watched."""

DEATHS_IN_A_ROW = 3
"""Workers of one slot that die while starting after which the slot is given up. Those that die later do so
with a trial, which is not continued forever."""
SECONDS_TO_END = 5.0


@dataclass
class Worker:
    """A worker as its coordinator knows it.

    Attributes:
        slot: Its share of a device.
        index: Counted from 0.
        task: Its current task, or None.
        ready: It has started and has the images.
        deaths: Processes of this slot that died one after another while starting.
        waits: It has asked a question and waits for the answer.
        silent: Seconds without a message from it.
        pid: Number of its process, where that is known.
    """

    slot: Slot
    index: int
    task: Task | None = None
    ready: bool = False
    deaths: int = 0
    waits: bool = False
    silent: float = 0.0
    pid: int | None = None

    @property
    def idle(self) -> bool:
        """Return whether it waits for a task."""
        return self.ready and self.task is None


class Pool(ABC):
    """Workers that start when the pool is entered and end when it is left.

    Args:
        slots: One for each worker.
        hang_after: Seconds without a sign of progress after which a worker is killed and replaced.
        clock: Seconds, from any start.

    Attributes:
        workers: The workers.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        *,
        hang_after: float = HANG_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.workers = [Worker(slot, index) for index, slot in enumerate(slots)]
        self._hang_after = hang_after
        self._clock = clock
        self._looked = clock()

    def __enter__(self) -> Self:
        try:
            self._open()
            for worker in self.workers:
                self._start(worker)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with signals_wait():  # at exit the program would wait for processes that are half closed
            self.close()

    def assign(self, worker: Worker, task: Task) -> None:
        """Give an idle worker a task."""
        worker.task, worker.silent = task, 0.0
        self._say(worker, task)

    def answer(self, worker: Worker, keep_going: bool) -> None:
        """Answer a worker that asked whether to continue its trial, or whether to retry saving it."""
        worker.waits, worker.silent = False, 0.0
        self._say(worker, keep_going)

    def poll(self, seconds: float) -> list[tuple[Worker, Task | None, WorkerMessage]]:
        """Return the messages of workers, waiting up to `seconds` for the first.

        A worker that has died, or hangs, is replaced; its message is `Died`, beside the task it had.

        Raises:
            ServiceError: The workers of a slot keep dying while starting.
        """
        received = self._receive(seconds)
        heard = {worker.index for worker, _ in received}
        said = [self._hear(worker, message) for worker, message in received]
        for worker in self._hanging(heard):
            task, reason = worker.task, f"killed after {worker.silent:.0f} s without a step"
            said.append((worker, task, self._replace(worker, reason)))
        return [one for one in said if not isinstance(one[2], Beat)]

    @abstractmethod
    def close(self) -> None:
        """End all workers; an epoch under way is lost, what is saved stays."""

    # ---------------------------------------------------------------------- what subclasses provide

    def _open(self) -> None:
        """Prepare what all workers need, before the first one starts."""
        return

    @abstractmethod
    def _start(self, worker: Worker) -> None:
        """Start a worker, and set its `pid` where that is known."""

    @abstractmethod
    def _end(self, worker: Worker, *, killed: bool) -> str:
        """Make sure that a worker has ended; return the reason, in words that follow "it was".

        Args:
            worker: The worker.
            killed: It has not ended by itself.
        """

    @abstractmethod
    def _say(self, worker: Worker, what: Task | bool) -> None:
        """Send a task or an answer. A worker that died meanwhile is noticed at the next poll."""

    @abstractmethod
    def _receive(self, seconds: float) -> Sequence[tuple[Worker, WorkerMessage | None]]:
        """Return new messages, waiting up to `seconds` for the first; None where a worker has died."""

    def _owes(self, worker: Worker) -> bool:
        """Return whether a worker should be making progress."""
        return not worker.waits and not worker.idle

    @abstractmethod
    def _log_of(self, worker: Worker) -> str:
        """Return where a worker's output is, as the end of a sentence."""

    # ------------------------------------------------------------------------------------- internals

    def _hanging(self, heard: Container[int]) -> list[Worker]:
        """Return the workers that owe a message and have been silent for too long."""
        now = self._clock()
        watched, self._looked = min(now - self._looked, LONGEST_LOOK), now
        for worker in self.workers:
            owes = self._owes(worker) and worker.index not in heard
            worker.silent = worker.silent + watched if owes else 0.0
        return [worker for worker in self.workers if worker.silent > self._hang_after]

    def _hear(
        self, worker: Worker, message: WorkerMessage | None
    ) -> tuple[Worker, Task | None, WorkerMessage]:
        task = worker.task
        if message is None:
            return worker, task, self._replace(worker)
        if isinstance(message, Ready):
            worker.ready, worker.deaths = True, 0
        worker.waits = isinstance(message, EpochsDone | Unsaved)
        if isinstance(message, Finished | Failed | SweepDone | SpeedDone):
            worker.task = None
        if isinstance(message, Failed) and message.worker_ends:
            worker.ready = False  # nothing may be given to it before the next one has started
        return worker, task, message

    def _replace(self, worker: Worker, reason: str | None = None) -> Died:
        """Start a worker in place of one that has died, or is killed for `reason`."""
        ended = self._end(worker, killed=reason is not None)
        died = Died(reason or ended)
        worker.deaths += not worker.ready
        if worker.deaths >= DEATHS_IN_A_ROW:
            raise ServiceError(
                f"The workers on {worker.slot.device} keep dying ({died.reason}, {worker.deaths} times "
                f"while starting). The log may say why: {self._log_of(worker)}"
            )
        worker.ready, worker.task, worker.waits, worker.silent = False, None, False, 0.0
        self._start(worker)
        return died
