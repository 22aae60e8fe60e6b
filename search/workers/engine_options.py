"""The choice of where workers run. This module imports no PyTorch, so that `--help` is quick."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["LOCAL", "EngineName", "EngineOptions", "WorkerCount"]

EngineName = Literal["local", "ray"]
WorkerCount = int | tuple[int, int]
"""A number of workers, or the fewest and the most."""


@dataclass(frozen=True)
class EngineOptions:
    """Where workers run; each default lives here.

    Attributes:
        engine: ``local``: processes of this machine; ``ray``: actors of a Ray cluster.
        workers: Number of workers, or the fewest and the most; by default what there is room for.
        ray_address: The cluster: ``auto`` or ``HOST:PORT``.
        cpus_per_worker: CPUs that Ray gives to a worker.
        gpus_per_worker: GPUs that Ray gives to a worker, from 0 to 1; by default 1 if the cluster has GPUs.
    """

    engine: EngineName = "local"
    workers: WorkerCount | None = None
    ray_address: str | None = None
    cpus_per_worker: float | None = None
    gpus_per_worker: float | None = None


LOCAL = EngineOptions()
"""Processes of this machine, as many as suit it."""
