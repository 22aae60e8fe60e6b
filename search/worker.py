"""A worker: a process that trains what it is given, an epoch at a time."""

import gc
import os
import sys
import threading
import traceback
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NoReturn

import torch

from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Splits
from cifar_core.device import ran_out_of_memory, release_memory, settle_on, still_works
from cifar_core.errors import CheckpointError
from cifar_core.lr_range import sweep
from cifar_core.throughput import measure_throughput
from cifar_core.trainer import Training
from search.messages import (
    EpochsDone,
    Failed,
    Finished,
    Ready,
    Remark,
    SpeedDone,
    SpeedTask,
    SweepDone,
    SweepTask,
    Task,
    TrainTask,
    WorkerMessage,
)
from search.pictures import map_pictures

__all__ = ["work"]


def work(
    connection: Connection,
    device: str,
    threads: int,
    memory_share: float | None,
    pictures: Path,
    log: Path,
    compile_networks: bool,
) -> None:
    """Do tasks until the coordinator closes the connection or is gone.

    Args:
        connection: To the coordinator.
        device: Where to train, such as ``cpu`` or ``cuda:0``.
        threads: CPU threads to use.
        memory_share: This process's part of a GPU's memory; None on a CPU.
        pictures: The file of the prepared pictures.
        log: Where this process's output goes.
        compile_networks: Train trials, not sweeps, with compiled networks, where that works.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _send_output_to(log)
    torch.set_num_threads(threads)
    place = torch.device(device)
    settle_on(place, memory_share)
    splits = map_pictures(pictures).to(place)
    try:
        connection.send(Ready())
        while True:
            task: Task = connection.recv()
            outcome = _outcome(task, splits, place, connection, compile_networks)
            connection.send(outcome)
            if isinstance(outcome, Failed) and outcome.worker_ends:
                _end(1)
            # An error has been let go of with all that it kept alive when `_outcome` returned.
            release_memory(place)
            # What is alive between two tasks is there for good, PyTorch above all. Looking through it again
            # after every trial would take longer than to begin one.
            gc.freeze()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        _end(0)  # the coordinator has closed its end


def _outcome(
    task: Task,
    splits: Splits,
    device: torch.device,
    connection: Connection,
    compile_networks: bool,
) -> WorkerMessage:
    try:
        if isinstance(task, SweepTask):
            training = Training(task.recipe, splits, seed=task.seed, device=device)
            return SweepDone(sweep(training, task.ramp))
        if isinstance(task, SpeedTask):
            return SpeedDone(measure_throughput(task.recipe, splits, device, task.seconds))
        return _train(task, splits, device, connection, compile_networks)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        traceback.print_exc()
        return Failed(_reason(error), worker_ends=not still_works(device))


def _train(
    task: TrainTask,
    splits: Splits,
    device: torch.device,
    connection: Connection,
    compile_networks: bool,
) -> WorkerMessage:
    begin = partial(
        Training,
        task.recipe,
        splits,
        seed=task.seed,
        device=device,
        compile_network=compile_networks,
    )
    training = begin()
    if training.not_compiled is not None:
        connection.send(
            Remark(
                f"Networks are trained without --compile, which fails here: {training.not_compiled}"
            )
        )
    if task.checkpoint.exists():
        try:
            training.load_state_dict(load_state(task.checkpoint))
        except CheckpointError as error:
            if ran_out_of_memory(error):
                raise  # nothing is wrong with the checkpoint
            traceback.print_exc()  # the trial starts again: the same seed trains the same network
            training = begin()
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
    if ran_out_of_memory(error):
        return f"out of memory: {text}"
    return f"{type(error).__name__}: {text}"


def _end(code: int) -> NoReturn:
    """End at once. Unloading PyTorch would take a second, and a broken GPU may not let it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
