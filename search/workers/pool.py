"""The pool: worker processes, one for each slot of a device, replaced when they die."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from cifar_core.pages import large_pages
from search.errors import ServiceError
from search.signals import SIGNALS, signals_wait
from search.workers.entry_point import work
from search.workers.exit_reasons import how_it_ended, times_out_of_memory
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

__all__ = ["Pool", "Worker"]

LONGEST_LOOK = 5.0
"""Seconds that a look at the workers counts at most: while this process itself was stopped (Ctrl-Z, a
machine that sleeps), nobody was watched."""

DEATHS_IN_A_ROW = 3
"""Workers of one slot that die before they come up after which it is given up. Those that die later do so
with a trial, which is not continued for ever."""
SECONDS_TO_END = 5.0


@dataclass
class Worker:
    """A worker process as the coordinator sees it.

    Attributes:
        slot: Its share of a device.
        index: Counted from 0.
        task: What it does now, or None.
        ready: It has come up and holds the images.
        deaths: Processes of this slot that died one after another before they came up.
        waits: It has asked something and waits for the answer.
        silent: Seconds without a word from it.
        lacks: How often the machine had run out of memory when its process began.
    """

    slot: Slot
    index: int
    task: Task | None = None
    ready: bool = False
    deaths: int = 0
    waits: bool = False
    silent: float = 0.0
    lacks: int = 0
    process: SpawnProcess | None = field(default=None, repr=False)
    connection: Connection | None = field(default=None, repr=False)

    @property
    def idle(self) -> bool:
        """It waits for a task."""
        return self.ready and self.task is None

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return self.process.pid if self.process else None


class Pool:
    """Worker processes that are started when the pool is entered and ended when it is left.

    Args:
        slots: One for each worker.
        images: The file of the prepared images.
        log: The folder of the workers' logs.
        compile_networks: Train trials with compiled networks, where that works.
        hang_after: Seconds without a sign of a worker's progress after which it is killed and replaced.
        clock: Seconds, from any start.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        images: Path,
        log: Path,
        *,
        compile_networks: bool = False,
        hang_after: float = HANG_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.workers = [Worker(slot, index) for index, slot in enumerate(slots)]
        self._images = images
        self._log = log
        self._compile_networks = compile_networks
        self._hang_after = hang_after
        self._clock = clock
        self._looked = clock()
        self._context = multiprocessing.get_context("spawn")

    def __enter__(self) -> "Pool":
        try:
            for worker in self.workers:
                self._start(worker)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with signals_wait():  # what is half closed would be waited for when the program ends
            self.close()

    def assign(self, worker: Worker, task: Task) -> None:
        """Give an idle worker something to do."""
        worker.task, worker.silent = task, 0.0
        self._say(worker, task)

    def answer(self, worker: Worker, keep_going: bool) -> None:
        """Answer a worker that asked whether its trial goes on, or whether to try again to save it."""
        worker.waits, worker.silent = False, 0.0
        self._say(worker, keep_going)

    def poll(self, seconds: float) -> list[tuple[Worker, Task | None, WorkerMessage]]:
        """What workers have said, waiting up to `seconds` for the first word.

        A worker that has died, or hangs, is replaced, and what it was doing is in the answer.

        Raises:
            ServiceError: The workers of a slot keep dying before they come up.
        """
        by_handle: dict[object, Worker] = {}
        for worker in self.workers:
            if worker.connection is not None and worker.process is not None:
                by_handle[worker.connection] = worker
                by_handle[worker.process.sentinel] = worker
        ready = wait(list(by_handle), timeout=seconds)  # type: ignore[arg-type]
        heard: dict[int, Worker] = {by_handle[one].index: by_handle[one] for one in ready}
        said = [self._hear(worker) for worker in heard.values()]
        said += [self._hear(worker, hangs=True) for worker in self._hanging(heard)]
        return [one for one in said if not isinstance(one[2], Beat)]

    def _hanging(self, heard: Container[int]) -> list[Worker]:
        """Those that have not said a word for too long although it is their turn."""
        now = self._clock()
        watched, self._looked = min(now - self._looked, LONGEST_LOOK), now
        for worker in self.workers:
            owes = not worker.waits and not worker.idle and worker.index not in heard
            worker.silent = worker.silent + watched if owes else 0.0
        return [worker for worker in self.workers if worker.silent > self._hang_after]

    def close(self, patience: float = SECONDS_TO_END) -> None:
        """End all workers; an epoch under way is given up, what is saved stays."""
        for worker in self.workers:
            if worker.connection is not None:
                worker.connection.close()
                worker.connection = None
            if worker.process is not None and not worker.idle:
                worker.process.kill()  # SIGTERM is blocked there; what is saved is whole
        until = time.monotonic() + patience
        for worker in self.workers:
            if worker.process is None:
                continue
            worker.process.join(max(0.1, until - time.monotonic()))
            _kill(worker.process)
            worker.process = None

    def _start(self, worker: Worker) -> None:
        ours, theirs = self._context.Pipe()
        log = self._log / f"worker-{worker.index}.log"
        worker.process = self._context.Process(
            target=work,
            args=(
                theirs,
                worker.slot.device,
                worker.slot.threads,
                worker.slot.memory_share,
                self._images,
                log,
                self._compile_networks,
            ),
            name=f"cifar-search worker {worker.index}",
            daemon=True,
        )
        worker.lacks = times_out_of_memory()
        # Signals that are blocked here stay blocked in the new process. A Ctrl-C, a closed terminal and a
        # batch system reach every process; what they mean for the workers, the coordinator says.
        resource_tracker.ensure_running()  # its start, which comes first, would unblock them again
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            with large_pages():
                worker.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()  # so that the worker's death ends the connection
        worker.connection = ours
        worker.ready, worker.task, worker.waits, worker.silent = False, None, False, 0.0

    def _hear(
        self, worker: Worker, *, hangs: bool = False
    ) -> tuple[Worker, Task | None, WorkerMessage]:
        task = worker.task
        if hangs:
            reason = f"killed after {worker.silent:.0f} s without a step"
            return worker, task, self._replace(worker, reason)
        assert worker.connection is not None  # noqa: S101 - for mypy; `poll` asked only such workers
        try:
            # What a worker said before it died still counts.
            message: WorkerMessage = worker.connection.recv()
        except (EOFError, OSError):
            return worker, task, self._replace(worker)
        if isinstance(message, Ready):
            worker.ready, worker.deaths = True, 0
        worker.waits = isinstance(message, EpochsDone | Unsaved)
        if isinstance(message, Finished | Failed | SweepDone | SpeedDone):
            worker.task = None
        if isinstance(message, Failed) and message.worker_ends:
            worker.ready = False  # nothing may be given to it before the next one has come up
        return worker, task, message

    def _replace(self, worker: Worker, reason: str | None = None) -> Died:
        """Start another process in the place of one that has died, or is killed for `reason`."""
        assert worker.process is not None  # noqa: S101 - for mypy; it had a connection
        assert worker.connection is not None  # noqa: S101
        worker.connection.close()
        if reason is None:
            worker.process.join(SECONDS_TO_END)
        _kill(worker.process)
        died = Died(reason or how_it_ended(worker.process.exitcode, worker.lacks))
        worker.process = worker.connection = None
        worker.deaths += not worker.ready
        if worker.deaths >= DEATHS_IN_A_ROW:
            raise ServiceError(
                f"The workers on {worker.slot.device} keep dying ({died.reason}, {worker.deaths} times "
                f"while starting). The log may say why: {self._log / f'worker-{worker.index}.log'}"
            )
        self._start(worker)
        return died

    def _say(self, worker: Worker, what: Task | bool) -> None:
        if worker.connection is not None:
            # A worker that died meanwhile is noticed at the next poll.
            with suppress(BrokenPipeError, ConnectionResetError):
                worker.connection.send(what)


def _kill(process: SpawnProcess) -> None:
    """End a process for good. One that hangs inside of the system may outlive even this, and is left."""
    if process.is_alive():
        process.kill()
        process.join(SECONDS_TO_END)
