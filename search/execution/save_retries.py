"""Retries of workers that cannot save a checkpoint, because the disk is full or refuses it."""

from collections.abc import Callable

from search.events import Notice, Observer
from search.workers.pool import Pool, Worker

__all__ = ["SaveRetries"]

SECONDS_BETWEEN_TRIES = 2.0


class SaveRetries:
    """Lets workers retry until their checkpoint is saved, and tells the user to make space.

    Args:
        pool: The workers.
        observe: Told when saving first fails and when it works again.
        clock: Seconds, from any start.
    """

    def __init__(self, pool: Pool, observe: Observer, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._observe = observe
        self._clock = clock
        self._due: dict[int, tuple[Worker, float]] = {}
        self._failing: set[int] = set()

    def add(self, worker: Worker, reason: str) -> None:
        """Register a worker that could not save its epoch and waits for an answer."""
        self._due[worker.index] = worker, self._clock() + SECONDS_BETWEEN_TRIES
        if not self._failing:
            self._observe(
                Notice(
                    f"A checkpoint cannot be saved: {reason}. The search waits and retries: make space. "
                    "Ctrl-C stops it; nothing that was saved is lost."
                )
            )
        self._failing.add(worker.index)

    def remove(self, worker: Worker) -> None:
        """Forget a worker that has saved its epoch, or has ended."""
        self._due.pop(worker.index, None)
        if self._failing == {worker.index}:
            self._observe(Notice("Checkpoints can be saved again; the search continues."))
        self._failing.discard(worker.index)

    def answer(self, *, stop: bool) -> None:
        """Let those retry whose time has come; if the search stops, let all give their epoch up."""
        for index, (worker, due) in list(self._due.items()):
            if stop or self._clock() >= due:
                del self._due[index]
                self._pool.answer(worker, not stop)
