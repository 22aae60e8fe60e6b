"""A pool of real workers, told what to do by a test instead of a coordinator."""

import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor

from cifar_core import trainer
from cifar_core.capturing import Capture
from cifar_core.recipe import Net, Recipe
from search.workers.local_pool import LocalPool
from search.workers.messages import (
    Died,
    EpochsDone,
    Failed,
    Finished,
    Ready,
    TrainTask,
    WorkerMessage,
)
from search.workers.pool import Pool, Worker
from search.workers.worker import work

__all__ = [
    "RECIPE",
    "Said",
    "all_ready",
    "cannot_compile",
    "capture_badly",
    "end_of",
    "ready_again",
    "task",
    "until",
    "work_without_a_compiler",
]

RECIPE = Recipe(network=Net(channels1=4, channels2=4), batch_size=50, epochs=1)
PATIENCE = 120.0
"""Seconds that a test waits; on an idle machine a worker comes up in a few."""
Said = list[tuple[Worker, WorkerMessage]]


def task(folder: Path, number: int = 0, seed: int = 0, recipe: Recipe = RECIPE) -> TrainTask:
    """A trial of one quick epoch, by default."""
    return TrainTask(number, recipe, seed, folder / f"{number}.pt")


def until(pool: Pool, enough: Callable[[Said], bool]) -> Said:
    """What workers say, until it is enough; trials are told to go on."""
    said: Said = []
    deadline = time.monotonic() + PATIENCE
    while not enough(said):
        assert time.monotonic() < deadline, f"{said}\n{_logs(pool)}"
        for worker, _, message in pool.poll(0.25):
            said.append((worker, message))
            if isinstance(message, EpochsDone):
                pool.answer(worker, True)
    return said


def all_ready(pool: Pool) -> None:
    """Wait until every worker holds the images."""
    until(pool, lambda _: all(worker.ready for worker in pool.workers))


def end_of(*workers: Worker) -> Callable[[Said], bool]:
    """The tasks of all these workers have come to an end, good or bad."""

    def enough(said: Said) -> bool:
        ended = [who for who, what in said if isinstance(what, Finished | Failed | Died)]
        return all(any(who is worker for who in ended) for worker in workers)

    return enough


def ready_again(worker: Worker) -> Callable[[Said], bool]:
    """A worker has come up anew."""
    return lambda said: any(who is worker and isinstance(what, Ready) for who, what in said)


def cannot_compile(*_: object, **_options: object) -> Callable[[Tensor], NoReturn]:
    """In place of `torch.compile`: a compiler that is missed when it is needed, at the first batch."""

    def refuse(*_: Any) -> NoReturn:
        raise RuntimeError("no compiler was found\nand no second line is shown")

    return refuse


def capture_badly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings try to capture their steps, also where there is no GPU, and fail."""

    def refuse(_: object) -> NoReturn:
        raise RuntimeError("no step is captured\nand no second line is shown")

    monkeypatch.setattr(trainer, "captures_steps", lambda _: True)
    monkeypatch.setattr(trainer, "lacks_for_capturing", lambda _: None)
    monkeypatch.setattr(trainer, "Capture", lambda step: Capture(step, refuse))


def work_without_a_compiler(connection: Connection, *args: Any) -> None:
    """A worker's process, in place of `search.workers.worker.work`, in which compiling fails."""
    torch.compile = cannot_compile  # type: ignore[assignment]
    work(connection, *args)


def _logs(pool: Pool) -> str:
    if not isinstance(pool, LocalPool):
        return ""
    return "\n".join(path.read_text() for path in pool._log.glob("*.log"))
