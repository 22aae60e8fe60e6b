"""A worker: a process that trains what it is given, an epoch at a time."""

import gc
import os
import sys
import threading
import traceback
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Splits
from cifar_core.errors import CheckpointError
from cifar_core.lr_range import sweep
from cifar_core.trainer import Training
from search.messages import (
    EpochsDone,
    Failed,
    Finished,
    Ready,
    SweepDone,
    SweepTask,
    Task,
    TrainTask,
    WorkerMessage,
)
from search.pictures import map_pictures

__all__ = ["work"]

OUT_OF_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


def work(connection: Connection, device: str, threads: int, pictures: Path, log: Path) -> None:
    """Do tasks until the coordinator closes the connection or is gone.

    Args:
        connection: To the coordinator.
        device: Where to train, such as ``cpu`` or ``cuda:0``.
        threads: CPU threads to use.
        pictures: The file of the prepared pictures.
        log: Where this process's output goes.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _send_output_to(log)
    torch.set_num_threads(threads)
    place = torch.device(device)
    splits = map_pictures(pictures).to(place)
    try:
        connection.send(Ready())
        while True:
            task: Task = connection.recv()
            connection.send(_outcome(task, splits, place, connection))
            # The next network may need the memory of this one, whatever its sizes.
            gc.collect()
            if place.type == "cuda":
                torch.cuda.empty_cache()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The coordinator has closed its end. Unloading PyTorch would take it a second to wait for.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _outcome(
    task: Task, splits: Splits, device: torch.device, connection: Connection
) -> WorkerMessage:
    try:
        if isinstance(task, SweepTask):
            training = Training(task.recipe, splits, seed=task.seed, device=device)
            return SweepDone(sweep(training, task.ramp))
        return _train(task, splits, device, connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        traceback.print_exc()
        return Failed(_reason(error))


def _train(
    task: TrainTask, splits: Splits, device: torch.device, connection: Connection
) -> WorkerMessage:
    training = Training(task.recipe, splits, seed=task.seed, device=device)
    if task.checkpoint.exists():
        try:
            training.load_state_dict(load_state(task.checkpoint))
        except CheckpointError:
            traceback.print_exc()  # the trial starts again: the same seed trains the same network
            training = Training(task.recipe, splits, seed=task.seed, device=device)
    if training.history:
        connection.send(EpochsDone(tuple(training.history)))
        if not connection.recv():
            return Finished()
    for epoch in training.epochs():
        save_state(training.state_dict(), task.checkpoint)
        connection.send(EpochsDone((epoch,)))
        if not connection.recv():
            break
    return Finished()


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    text = lines[0][:300]
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in text.lower() for words in OUT_OF_MEMORY_WORDS
    ):
        return f"out of memory: {text}"
    return f"{type(error).__name__}: {text}"


def _end_with_parent() -> None:
    """Nobody can use what an orphan trains; checkpoints are whole at every moment."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _send_output_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    file = log.open("a", encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    for stream in (1, 2):
        os.dup2(file.fileno(), stream)
