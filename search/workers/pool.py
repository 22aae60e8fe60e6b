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

from cifar_core.models import own
from cifar_core.pages import large_pages
from search.errors import ServiceError
from search.signals import SIGNALS, signals_wait
from search.workers.entry_point import work
from search.workers.exit_reasons import exit_reason, oom_kills
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
"""Seconds that one poll counts at most: while this process itself was stopped (Ctrl-Z, a sleeping
machine), nobody was watched."""

DEATHS_IN_A_ROW = 3
"""Workers of one slot that die while starting after which the slot is given up. Those that die later do so
with a trial, which is not continued forever."""
SECONDS_TO_END = 5.0


@dataclass
class Worker:
    """A worker process as its coordinator knows it.

    Attributes:
        slot: Its share of a device.
        index: Counted from 0.
        task: Its current task, or None.
        ready: It has started and has the images.
        deaths: Processes of this slot that died one after another while starting.
        waits: It has asked a question and waits for the answer.
        silent: Seconds without a message from it.
        oom_kills: Result of `oom_kills` when its process started.
    """

    slot: Slot
    index: int
    task: Task | None = None
    ready: bool = False
    deaths: int = 0
    waits: bool = False
    silent: float = 0.0
    oom_kills: int = 0
    process: SpawnProcess | None = field(default=None, repr=False)
    connection: Connection | None = field(default=None, repr=False)

    @property
    def idle(self) -> bool:
        """Return whether it waits for a task."""
        return self.ready and self.task is None

    @property
    def pid(self) -> int | None:
        """Number of its process, if there is one."""
        return self.process.pid if self.process else None


class Pool:
    """Worker processes that start when the pool is entered and end when it is left.

    Args:
        slots: One for each worker.
        images: File of the prepared images.
        log: Folder of the workers' logs.
        compile_networks: Train trials with compiled networks, where that works.
        hang_after: Seconds without a sign of progress after which a worker is killed and replaced.
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
        """Return the workers that owe a message and have been silent for too long."""
        now = self._clock()
        watched, self._looked = min(now - self._looked, LONGEST_LOOK), now
        for worker in self.workers:
            owes = not worker.waits and not worker.idle and worker.index not in heard
            worker.silent = worker.silent + watched if owes else 0.0
        return [worker for worker in self.workers if worker.silent > self._hang_after]

    def close(self, seconds: float = SECONDS_TO_END) -> None:
        """End all workers; an epoch under way is lost, what is saved stays."""
        for worker in self.workers:
            if worker.connection is not None:
                worker.connection.close()
                worker.connection = None
            if worker.process is not None and not worker.idle:
                worker.process.kill()  # SIGTERM is blocked there; what is saved is whole
        until = time.monotonic() + seconds
        for worker in self.workers:
            if worker.process is None:
                continue
            worker.process.join(max(0.1, until - time.monotonic()))
            _kill(worker.process)
            worker.process = None

    def _start(self, worker: Worker) -> None:
        ours, theirs = self._context.Pipe()
        log = self._log / f"worker-{worker.index}.log"
        process = self._context.Process(
            target=work,
            args=(
                theirs,
                worker.slot.device,
                worker.slot.threads,
                worker.slot.memory_share,
                self._images,
                log,
                self._compile_networks,
                own.allowed(),
            ),
            name=f"cifar-search worker {worker.index}",
            daemon=True,
        )
        worker.oom_kills = oom_kills()
        # Signals that are blocked here stay blocked in the new process. A Ctrl-C, a closed terminal and a
        # batch system reach every process; only the coordinator acts on them.
        resource_tracker.ensure_running()  # its start, which comes first, would unblock them again
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            with large_pages():
                process.start()
        except OSError:  # no more files or processes are allowed
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            theirs.close()  # so that the worker's death ends the connection
        worker.process = process
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
            # A message sent before the worker died still counts.
            message: WorkerMessage = worker.connection.recv()
        except (EOFError, OSError):
            return worker, task, self._replace(worker)
        if isinstance(message, Ready):
            worker.ready, worker.deaths = True, 0
        worker.waits = isinstance(message, EpochsDone | Unsaved)
        if isinstance(message, Finished | Failed | SweepDone | SpeedDone):
            worker.task = None
        if isinstance(message, Failed) and message.worker_ends:
            worker.ready = False  # nothing may be given to it before the next process has started
        return worker, task, message

    def _replace(self, worker: Worker, reason: str | None = None) -> Died:
        """Start a process in place of one that has died, or is killed for `reason`."""
        assert worker.process is not None  # noqa: S101 - for mypy; it had a connection
        assert worker.connection is not None  # noqa: S101
        worker.connection.close()
        if reason is None:
            worker.process.join(SECONDS_TO_END)
        _kill(worker.process)
        died = Died(reason or exit_reason(worker.process.exitcode, worker.oom_kills))
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
    """End a process for good. One that hangs inside the kernel may survive even this, and is left."""
    if process.is_alive():
        process.kill()
        process.join(SECONDS_TO_END)
