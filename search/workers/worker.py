"""A worker: a process that does the tasks of the coordinator, training epoch by epoch."""

import gc
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn, Protocol

import torch

from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Splits
from cifar_core.device import ran_out_of_memory, release_memory, settle_on, still_works
from cifar_core.errors import CheckpointError
from cifar_core.lr_range import sweep
from cifar_core.models import own
from cifar_core.text_files import first_line
from cifar_core.throughput import measure_throughput
from cifar_core.trainer import Training
from search.study.confirmation import packed
from search.workers.messages import (
    Beat,
    EpochsDone,
    Failed,
    Finished,
    Ready,
    Remark,
    SpeedDone,
    SpeedTask,
    SweepDone,
    SweepSteps,
    SweepTask,
    Task,
    TrainTask,
    Unsaved,
    WorkerMessage,
)
from search.workers.shared_images import map_images

__all__ = ["Talks", "serve", "work"]

SECONDS_BETWEEN_BEATS = 1.0
SECONDS_BETWEEN_STEPS = 0.5
LARGEST_LOG = 2**20
"""Bytes of a worker's log, beside the one before it, when it starts."""


def work(
    connection: Connection,
    device: str,
    threads: int,
    memory_share: float | None,
    images: Path,
    log: Path,
    compile_networks: bool,
    own_code: tuple[own.Code, ...] = (),
) -> None:
    """Do tasks until the coordinator closes the connection or is gone.

    Args:
        connection: To the coordinator.
        device: The device to train on, such as ``cpu``, ``cuda:0`` or ``mps:0``.
        threads: CPU threads to use.
        memory_share: This process's part of a CUDA GPU's memory; None elsewhere.
        images: File of the prepared images.
        log: File of this process's output.
        compile_networks: Train trials, not sweeps, with compiled networks, where that works.
        own_code: Code of the user's that may make networks.
    """
    _send_output_to(log)
    own.allow(own_code)
    torch.set_num_threads(threads)
    place = torch.device(device)
    settle_on(place, memory_share)
    splits = map_images(images).to(place)
    try:
        serve(connection, splits, place, compile_networks=compile_networks)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        _end(0)  # the coordinator has closed its end
    _end(1)


def serve(
    connection: "Talks", splits: Splits, device: torch.device, *, compile_networks: bool
) -> None:
    """Do tasks until the device is lost; the last message says so.

    Args:
        connection: To the coordinator. What it raises when the coordinator is gone is raised here.
        splits: The images, on the device.
        device: The device.
        compile_networks: Train trials, not sweeps, with compiled networks, where that works.
    """
    connection.send(Ready())
    while True:
        task: Task = connection.recv()
        outcome = _outcome(task, splits, device, connection, compile_networks)
        connection.send(outcome)
        if isinstance(outcome, Failed) and outcome.worker_ends:
            return
        # By now an error of `_outcome` is gone, and so is the memory that it kept alive.
        release_memory(device)
        # Objects alive between two tasks are permanent, those of PyTorch above all. Collecting garbage
        # among them after every trial would take longer than starting one.
        gc.freeze()


class Talks(Protocol):
    """The worker's end of whatever carries its messages."""

    def send(self, message: Any, /) -> None:
        """Send a message to the coordinator."""

    def recv(self) -> Any:
        """Return the next task or answer, and wait for it."""


def _outcome(
    task: Task,
    splits: Splits,
    device: torch.device,
    connection: Talks,
    compile_networks: bool,
) -> WorkerMessage:
    try:
        if isinstance(task, SweepTask):
            training = Training(
                task.recipe,
                splits,
                seed=task.seed,
                device=device,
                each_step=_Beats(connection),
            )
            return SweepDone(sweep(training, task.ramp, tell=_Steps(connection)))
        if isinstance(task, SpeedTask):
            return SpeedDone(measure_throughput(task.recipe, splits, device, task.seconds))
        return _train(task, splits, device, connection, compile_networks)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        _log_error()
        return Failed(_reason(error), worker_ends=not still_works(device))


def _train(
    task: TrainTask,
    splits: Splits,
    device: torch.device,
    connection: Talks,
    compile_networks: bool,
) -> WorkerMessage:
    begin = partial(
        Training,
        task.recipe,
        splits,
        seed=task.seed,
        device=device,
        compile_network=compile_networks,
        each_step=_Beats(connection),
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
                raise  # the checkpoint is fine
            _log_error()  # the trial starts again: the same seed trains the same network
            training = begin()
    if training.history:
        connection.send(EpochsDone(tuple(training.history)))
        if not connection.recv():
            return Finished()
    remarked = False
    for epoch in training.epochs():
        if training.not_captured is not None and not remarked:  # known after some steps
            remarked = True
            connection.send(
                Remark(
                    f"Steps are taken without CUDA graphs, which fail here: {training.not_captured}"
                )
            )
        if not _saves(training, task.checkpoint, connection):
            return Finished()
        connection.send(EpochsDone((epoch,)))
        if not connection.recv():
            return Finished()
    return Finished(packed(training.answers(splits.confirms).numpy()) if task.confirms else None)


def _saves(training: Training, checkpoint: Path, connection: Talks) -> bool:
    """Save the state, until it works or the coordinator gives up; return whether it worked."""
    while True:
        try:
            checkpoint.parent.mkdir(exist_ok=True)
            save_state(training.state_dict(), checkpoint)
        except OSError as error:
            connection.send(Unsaved(f"{checkpoint}: {error.strerror or error}"))
            if not connection.recv():
                return False
        else:
            return True


class _Steps:
    """Tells the coordinator the losses of a sweep now and then."""

    def __init__(self, connection: Talks) -> None:
        self._connection = connection
        self._last = time.monotonic()
        self._losses: list[float] = []

    def __call__(self, losses: Sequence[float]) -> None:
        self._losses += losses
        now = time.monotonic()
        if now - self._last > SECONDS_BETWEEN_STEPS:
            self._connection.send(SweepSteps(tuple(self._losses)))
            self._last, self._losses = now, []


class _Beats:
    """Tells the coordinator now and then that training steps are being made."""

    def __init__(self, connection: Talks) -> None:
        self._connection = connection
        self._last = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._last > SECONDS_BETWEEN_BEATS:
            self._last = now
            self._connection.send(Beat())


def _log_error() -> None:
    """Write the error being handled into the log; a full disk must not cause a second error."""
    with suppress(OSError):
        traceback.print_exc()


def _reason(error: Exception) -> str:
    text = first_line(error)[:300]
    if ran_out_of_memory(error):
        return f"out of memory: {text}"
    return f"{type(error).__name__}: {text}"


def _end(code: int) -> NoReturn:
    """End at once. Unloading PyTorch would take a second, and a broken GPU may prevent it."""
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _send_output_to(log: Path) -> None:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".old.log"))
        file = log.open("a", encoding="utf-8")
    except OSError:
        # A full disk must not keep the worker from working.
        file = Path(os.devnull).open("a", encoding="utf-8")  # noqa: SIM115 - until the process ends
    sys.stdout.flush()
    sys.stderr.flush()
    for stream in (1, 2):
        os.dup2(file.fileno(), stream)
