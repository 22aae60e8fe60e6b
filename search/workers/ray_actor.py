"""The Ray actor in which a worker trains, on any node of a cluster.

Training takes one of the actor's threads, and messages another. States of trials travel with the
messages, because a node may have no folder in common with the coordinator, and because what is left on
a node is lost with it. So between two messages a state lies in a folder of the worker's own, from which
it is sent with the epoch that it belongs to.
"""

import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from search.workers.messages import Beat, EpochsDone, Task, TrainTask, WorkerMessage

__all__ = ["Letter", "Mailbox", "WorkerActor", "remove_leftovers"]

PREFIX = "cifar-search-worker-"


@dataclass(frozen=True)
class Letter:
    """A message with the trial's state, in either direction.

    Attributes:
        message: A message of the worker; or a task, or an answer.
        state: The content of the trial's checkpoint; None where there is none, or the other side has it.
    """

    message: WorkerMessage | Task | bool
    state: bytes | None = None


class Mailbox:
    """What a worker takes for its connection to the coordinator.

    Args:
        folder: An existing folder of its own, for the state of the trial that it trains.
        seconds_between_beats: Fewest seconds between two signs of life.

    Attributes:
        coming: Letters to the worker.
        going: Letters from it.
    """

    def __init__(self, folder: Path, seconds_between_beats: float = 0.0) -> None:
        self.coming, self.going = SimpleQueue[Letter](), SimpleQueue[Letter]()
        self._state = folder / "state.pt"
        self._known: int | None = None  # when the state was written that the coordinator has
        self._seconds_between_beats = seconds_between_beats
        self._last = time.monotonic()

    def send(self, message: WorkerMessage) -> None:
        """Send a message; an epoch with the state after it."""
        state, now = None, time.monotonic()
        if isinstance(message, Beat) and now - self._last < self._seconds_between_beats:
            return  # hundreds of workers shall not drown the news
        if isinstance(message, EpochsDone):
            written = self._state.stat().st_mtime_ns
            if written != self._known:
                state, self._known = self._state.read_bytes(), written
        self._last = now
        self.going.put(Letter(message, state))

    def recv(self) -> Any:
        """Return the next task or answer, and wait for it; a trial's state is there by then."""
        letter = self.coming.get()
        if not isinstance(letter.message, TrainTask):
            return letter.message
        self._state.unlink(missing_ok=True)
        self._known = None
        if letter.state is not None:
            self._state.write_bytes(letter.state)
            self._known = self._state.stat().st_mtime_ns
        return replace(letter.message, checkpoint=self._state)


def remove_leftovers(place: Path) -> None:
    """Remove the folders of workers of this machine that were killed, with the states in them.

    Args:
        place: The folder for temporary files.
    """
    for folder in place.glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not _runs(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


class WorkerActor:
    """A worker; `ray.remote` makes an actor of it, which needs three threads.

    Args:
        hang_after: Seconds of silence after which the coordinator takes it for dead.
    """

    def __init__(self, hang_after: float) -> None:
        remove_leftovers(Path(gettempdir()))
        self._folder = TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-")
        self._mailbox = Mailbox(Path(self._folder.name), min(10.0, hang_after / 4))

    def place(self) -> tuple[int, str]:
        """Return its process id, and the id of its node."""
        import ray

        return os.getpid(), ray.get_runtime_context().get_node_id()

    def leave(self) -> None:
        """Remove the folder of its own: the actor is killed next."""
        self._folder.cleanup()

    def work(
        self,
        device: str,
        threads: int,
        memory_share: float | None,
        images: Any,
        compile_networks: bool,
        own_code: tuple[Any, ...],
    ) -> None:
        """Do tasks until the actor is killed, or its device is lost.

        Args:
            device: The device to train on: ``cpu`` or ``cuda:0``, of those that Ray lets it see.
            threads: CPU threads to use.
            memory_share: Its part of a GPU's memory; None on the CPU.
            images: (bytes,) the prepared images, in the memory that all workers of a node share.
            compile_networks: Train trials, not sweeps, with compiled networks, where that works.
            own_code: Code of the user's that may make networks; every node needs its files, in the same
                place.
        """
        import torch

        from cifar_core.device import settle_on
        from cifar_core.models import own
        from search.workers.shared_images import splits_in
        from search.workers.worker import serve

        own.allow(own_code)
        torch.set_num_threads(threads)
        place = torch.device(device)
        settle_on(place, memory_share)
        splits = splits_in(images).to(place)
        serve(self._mailbox, splits, place, compile_networks=compile_networks)

    def exchange(self, letter: Letter | None) -> list[Letter]:
        """Take in a task or an answer, if there is one, and return what the worker says next."""
        if letter is not None:
            self._mailbox.coming.put(letter)
        found = [self._mailbox.going.get()]
        while True:
            try:
                found.append(self._mailbox.going.get_nowait())
            except Empty:
                return found
