"""A pool of actors on the nodes of a Ray cluster.

Ray places the workers, shares GPUs out among them, and notices when a process or a node is gone. What a
worker says comes back as the result of a call that is always under way while it has something to do.
A checkpoint comes with the epoch that it belongs to, and is in the study's folder before the coordinator
hears of the epoch. So nothing but the epochs under way is lost with a node, and any other continues.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from cifar_core.files import write_atomically
from cifar_core.models import own as own_code
from search.workers.limits import HANG_SECONDS
from search.workers.messages import (
    Beat,
    Failed,
    Ready,
    Remark,
    Task,
    TrainTask,
    Unsaved,
    WorkerMessage,
)
from search.workers.pool import Pool, Worker
from search.workers.ray_actor import Letter, WorkerActor
from search.workers.ray_cluster import death_reason, kill_process, ray_module, room_in_words
from search.workers.slots import Slot

__all__ = ["RayPool"]

SECONDS_OF_PATIENCE = 60.0
"""Time after which the user is told that fewer workers are there than are needed."""
SECONDS_TO_LEAVE = 2.0
WRITERS = 8
"""Checkpoints that are written, or read, at the same time."""
IN_BETWEEN = Beat | Remark
"""Messages that a worker goes on after; after any other it waits until it is told something."""


@dataclass
class _Actor:
    """A worker's actor, from its start to its end.

    Attributes:
        index: The worker's index.
        handle: Ray's handle.
        place: Its process and node, once it has them.
        checkpoint: Where the state of the trial that it trains is kept.
        unsaved: An epoch whose state could not be written.
        reason: The reason for its end, in words that follow "it was".
    """

    index: int
    handle: Any
    place: tuple[int, str] | None = None
    checkpoint: Path | None = None
    unsaved: Letter | None = None
    reason: str = ""
    calls: set[Any] = field(default_factory=set)


class RayPool(Pool):
    """Workers of a Ray cluster, to which this process is connected.

    Args:
        slots: One for each worker, at most: those for which the cluster has no room wait for some.
        images: File of the prepared images; every node gets them once, through Ray's object store.
        cpus: CPUs that Ray gives to a worker.
        gpus: GPUs, or the part of one, that Ray gives to a worker.
        fewest: Workers that must be there before the first of them is given anything.
        compile_networks: Train trials with compiled networks, where that works.
        hang_after: Seconds without a sign of progress after which a worker is killed and replaced.
        say: Told, in a sentence, what the user should know about the cluster.
        clock: Seconds, from any start.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        images: Path,
        *,
        cpus: float,
        gpus: float,
        fewest: int = 1,
        compile_networks: bool = False,
        hang_after: float = HANG_SECONDS,
        say: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(slots, hang_after=hang_after, clock=clock)
        self._images_file = images
        self._cpus, self._gpus = cpus, gpus
        self._fewest = min(fewest, len(slots))
        self._compile_networks = compile_networks
        self._tell = say
        self._ray = ray_module()
        self._images: Any = None
        self._actors: dict[int, _Actor] = {}
        self._inbox: SimpleQueue[tuple[_Actor, WorkerMessage | BaseException]] = SimpleQueue()
        self._writers = ThreadPoolExecutor(WRITERS, "checkpoints")
        self._held: dict[int, Ready] | None = {}  # those that are up, until there are enough
        self._lacking_since: float | None = None
        self._told = False
        self._later: list[tuple[_Actor, WorkerMessage | BaseException]] = []

    def close(self) -> None:
        """End all workers; an epoch under way is lost, what is saved stays."""
        with suppress(Exception):  # Ray itself may be gone
            placed = [own.handle for own in self._actors.values() if own.place is not None]
            leaving = [handle.leave.remote() for handle in placed]
            if leaving:
                self._ray.wait(leaving, num_returns=len(leaving), timeout=SECONDS_TO_LEAVE)
        for own in self._actors.values():
            with suppress(Exception):
                self._ray.kill(own.handle)
        self._actors.clear()
        self._writers.shutdown()
        self._images = None

    # ---------------------------------------------------------------------- what the pool asks for

    def _open(self) -> None:
        self._images = self._ray.put(np.fromfile(self._images_file, dtype=np.uint8))

    def _start(self, worker: Worker) -> None:
        options = {
            "num_cpus": self._cpus,
            "num_gpus": self._gpus,
            "max_restarts": 0,  # a new one is started here, where it is known what it was doing
            "max_concurrency": 3,
        }
        actor = self._ray.remote(WorkerActor).options(**options)
        own = _Actor(worker.index, actor.remote(self._hang_after))
        self._actors[worker.index] = own
        worker.pid = None
        self._when_done(own.handle.place.remote(), own, partial(self._placed, own))
        slot = worker.slot
        work = own.handle.work.remote(
            slot.device,
            slot.threads,
            slot.memory_share,
            self._images,
            self._compile_networks,
            own_code.allowed(),
        )
        self._when_done(work, own, lambda _: None)  # it fails when the process or its node is gone
        self._exchange(own, None)

    def _end(self, worker: Worker, *, killed: bool) -> str:
        own = self._actors.pop(worker.index)
        self._held_without(worker)
        with suppress(Exception):
            self._ray.kill(own.handle)
        if killed and own.place is not None:
            kill_process(*own.place)  # a process that was stopped does not hear Ray
        return own.reason

    def _say(self, worker: Worker, what: Task | bool) -> None:
        own = self._actors[worker.index]
        if isinstance(what, TrainTask):
            own.checkpoint = what.checkpoint
            self._writers.submit(self._send_task, own, what)
        elif own.unsaved is not None and what is True:
            letter, own.unsaved = own.unsaved, None
            self._writers.submit(self._save, own, letter)
        else:
            own.unsaved = None
            self._exchange(own, Letter(what))

    def _receive(self, seconds: float) -> list[tuple[Worker, WorkerMessage | None]]:
        self._watch_cluster()
        coming, self._later = self._later, []
        if not coming:
            with suppress(Empty):
                coming.append(self._inbox.get(timeout=seconds))
        with suppress(Empty):
            while True:
                coming.append(self._inbox.get_nowait())
        found: dict[int, WorkerMessage | None] = {}
        for own, what in coming:
            if self._actors.get(own.index) is not own:
                continue  # a word of one that was replaced
            if own.index in found:
                # It is answered what it says first before it is known what became of it.
                self._later.append((own, what))
            elif isinstance(what, BaseException):
                own.reason = own.reason or death_reason(what)
                found[own.index] = None
            elif isinstance(what, Ready) and self._held is not None:
                self._held[own.index] = what
                if len(self._held) >= self._fewest:
                    found |= self._held
                    self._held = None
            else:
                found[own.index] = what
        return [(self.workers[index], what) for index, what in found.items()]

    def _owes(self, worker: Worker) -> bool:
        own = self._actors.get(worker.index)
        held = self._held is not None and worker.index in self._held
        # One that has no place on a node yet waits for room, however long.
        return own is not None and own.place is not None and not held and super()._owes(worker)

    def _log_of(self, worker: Worker) -> str:
        process = "" if worker.pid is None else f" of process {worker.pid}"
        return f"the one{process} among Ray's own on its node, in /tmp/ray/session_latest/logs"

    # ------------------------------------------------------------------------- calls to the actors

    def _exchange(self, own: _Actor, letter: Letter | None) -> None:
        """Send a letter, if there is one, and take in whatever the worker says next."""
        self._when_done(own.handle.exchange.remote(letter), own, partial(self._take, own))

    def _when_done(self, call: Any, own: _Actor, react: Callable[[Any], None]) -> None:
        """React to the result of a call, in one of Ray's threads; an error is the actor's end."""
        own.calls.add(call)  # without a reference, Ray forgets the call

        def done(future: "Future[Any]") -> None:
            own.calls.discard(call)
            error = future.exception()
            if error is not None:
                self._inbox.put((own, error))
            else:
                react(future.result())

        call.future().add_done_callback(done)

    def _placed(self, own: _Actor, place: tuple[int, str]) -> None:
        own.place = place
        self.workers[own.index].pid = place[0]
        self._inbox.put((own, Beat()))

    def _take(self, own: _Actor, letters: Sequence[Letter]) -> None:
        """Pass on what a worker has said; an epoch when its state is on the disk."""
        if self._actors.get(own.index) is not own:
            return
        for letter in letters:
            message: Any = letter.message
            if letter.state is not None:
                self._writers.submit(self._save, own, letter)
                continue
            self._inbox.put((own, message))
            if isinstance(message, Failed) and message.worker_ends:
                self._inbox.put((own, EOFError("its device was lost")))
        if isinstance(letters[-1].message, IN_BETWEEN):
            self._exchange(own, None)

    def _save(self, own: _Actor, letter: Letter) -> None:
        """Write a state, then pass on its epoch; or that it cannot be written."""
        message: Any = letter.message
        path = own.checkpoint
        if path is not None and letter.state is not None:
            try:
                path.parent.mkdir(exist_ok=True)
                write_atomically(path, letter.state)
            except OSError as error:
                own.unsaved = letter
                message = Unsaved(f"{path}: {error.strerror or error}")
        self._inbox.put((own, message))

    def _send_task(self, own: _Actor, task: TrainTask) -> None:
        """Send a task with the state that its trial continues from."""
        state = None
        with suppress(OSError):  # without one, the same seed trains the same network again
            state = task.checkpoint.read_bytes()
        self._exchange(own, Letter(task, state))

    # ------------------------------------------------------------------------- room in the cluster

    def _held_without(self, worker: Worker) -> None:
        if self._held is not None:
            self._held.pop(worker.index, None)

    def _watch_cluster(self) -> None:
        """Tell the user when fewer workers have a place than are needed, and when it is over."""
        there = sum(own.place is not None for own in self._actors.values())
        needed = self._fewest if self._held is not None else 1
        if there >= needed:
            if self._told:
                self._tell(f"There is room for workers again: {there}.")
            self._lacking_since, self._told = None, False
            return
        now = self._clock()
        self._lacking_since = now if self._lacking_since is None else self._lacking_since
        if not self._told and now - self._lacking_since > SECONDS_OF_PATIENCE:
            self._told = True
            asked = room_in_words({"CPU": self._cpus, "GPU": self._gpus})
            has = room_in_words(self._ray.cluster_resources())
            self._tell(
                f"The search waits for nodes of the Ray cluster: {there} of the {needed} workers that are "
                f"needed have a place. Each asks for {asked}, and the cluster has {has}. Ctrl-C stops it."
            )
