"""Workers that cannot save what they have trained, because the disk is full or does not take it."""

from collections.abc import Callable

from search.events import Notice, Observer
from search.workers.pool import Pool, Worker

__all__ = ["SaveRetries"]

SECONDS_BETWEEN_TRIES = 2.0


class SaveRetries:
    """Lets such workers try again and again, and the user know that somebody must make space.

    Args:
        pool: The workers.
        observe: Told when it begins and when it is over.
        clock: Seconds, from any start.
    """

    def __init__(self, pool: Pool, observe: Observer, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._observe = observe
        self._clock = clock
        self._due: dict[int, tuple[Worker, float]] = {}
        self._short: set[int] = set()

    def add(self, worker: Worker, reason: str) -> None:
        """A worker could not save its epoch, and waits for an answer."""
        self._due[worker.index] = worker, self._clock() + SECONDS_BETWEEN_TRIES
        if not self._short:
            self._observe(
                Notice(
                    f"A state cannot be saved: {reason}. The search waits and tries again: make space. "
                    "Ctrl-C stops it; nothing that was saved is lost."
                )
            )
        self._short.add(worker.index)

    def remove(self, worker: Worker) -> None:
        """A worker has saved its epoch, or it has ended."""
        self._due.pop(worker.index, None)
        if self._short == {worker.index}:
            self._observe(Notice("The states can be saved again; the search goes on."))
        self._short.discard(worker.index)

    def answer(self, *, stop: bool) -> None:
        """Let those try again whose time has come; where the search stops, all give their epoch up."""
        for index, (worker, due) in list(self._due.items()):
            if stop or self._clock() >= due:
                del self._due[index]
                self._pool.answer(worker, not stop)
