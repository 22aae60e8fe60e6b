"""A pool of processes on this machine."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from cifar_core.models import own as own_code
from cifar_core.pages import large_pages
from cifar_core.spinning import spin_briefly
from search.signals import SIGNALS
from search.workers.entry_point import work
from search.workers.exit_reasons import exit_reason, oom_kills
from search.workers.limits import HANG_SECONDS
from search.workers.messages import Task, WorkerMessage
from search.workers.pool import SECONDS_TO_END, Pool, Worker
from search.workers.slots import Slot

__all__ = ["LocalPool"]


@dataclass
class _Process:
    """A worker's process.

    Attributes:
        process: The process.
        connection: The coordinator's end of the pipe to it.
        oom_kills: Result of `oom_kills` when it started.
    """

    process: SpawnProcess
    connection: Connection
    oom_kills: int


class LocalPool(Pool):
    """Worker processes, each with a pipe to this one.

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
        super().__init__(slots, hang_after=hang_after, clock=clock)
        self._images = images
        self._log = log
        self._compile_networks = compile_networks
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[int, _Process] = {}  # by the worker's index

    def close(self, seconds: float = SECONDS_TO_END) -> None:
        """End all workers; an epoch under way is lost, what is saved stays."""
        for worker in self.workers:
            if (own := self._processes.get(worker.index)) is None:
                continue
            own.connection.close()
            if not worker.idle:
                own.process.kill()  # SIGTERM is blocked there; what is saved is whole
        until = time.monotonic() + seconds
        for own in self._processes.values():
            own.process.join(max(0.1, until - time.monotonic()))
            _kill(own.process)
        self._processes.clear()

    def _start(self, worker: Worker) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=work,
            args=(
                theirs,
                worker.slot.device,
                worker.slot.threads,
                worker.slot.memory_share,
                self._images,
                self._log_file(worker),
                self._compile_networks,
                own_code.allowed(),
            ),
            name=f"cifar-search worker {worker.index}",
            daemon=True,
        )
        killed_before = oom_kills()
        # Signals that are blocked here stay blocked in the new process. A Ctrl-C, a closed terminal and a
        # batch system reach every process; only the coordinator acts on them.
        resource_tracker.ensure_running()  # its start, which comes first, would unblock them again
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            spin_briefly()
            with large_pages():
                process.start()
        except OSError:  # no more files or processes are allowed
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            theirs.close()  # so that the worker's death ends the connection
        self._processes[worker.index] = _Process(process, ours, killed_before)
        worker.pid = process.pid

    def _end(self, worker: Worker, *, killed: bool) -> str:
        own = self._processes.pop(worker.index)
        own.connection.close()
        if not killed:
            own.process.join(SECONDS_TO_END)
        _kill(own.process)
        worker.pid = None
        return exit_reason(own.process.exitcode, own.oom_kills)

    def _say(self, worker: Worker, what: Task | bool) -> None:
        if (own := self._processes.get(worker.index)) is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                own.connection.send(what)

    def _receive(self, seconds: float) -> list[tuple[Worker, WorkerMessage | None]]:
        by_handle: dict[object, Worker] = {}
        for index, own in self._processes.items():
            by_handle[own.connection] = by_handle[own.process.sentinel] = self.workers[index]
        ready = wait(list(by_handle), timeout=seconds)  # type: ignore[arg-type]
        heard = {by_handle[one].index: by_handle[one] for one in ready}
        return [(worker, self._message_of(worker)) for worker in heard.values()]

    def _message_of(self, worker: Worker) -> WorkerMessage | None:
        try:
            # A message sent before the worker died still counts.
            message: WorkerMessage = self._processes[worker.index].connection.recv()
        except (EOFError, OSError):
            return None
        return message

    def _log_of(self, worker: Worker) -> str:
        return str(self._log_file(worker))

    def _log_file(self, worker: Worker) -> Path:
        return self._log / f"worker-{worker.index}.log"


def _kill(process: SpawnProcess) -> None:
    """End a process for good. One that hangs inside the kernel may survive even this, and is left."""
    if process.is_alive():
        process.kill()
        process.join(SECONDS_TO_END)
