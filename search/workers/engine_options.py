"""The choice of where workers run. This module imports no PyTorch, so that `--help` is quick."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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

    @classmethod
    def gathered(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options with those of an engine as one record named ``engine``.

        >>> EngineOptions.gathered({"seeds": 3, "workers": 2})["engine"].workers
        2
        """
        own = cls.__dataclass_fields__.keys()
        others = {name: value for name, value in options.items() if name not in own}
        return {**others, "engine": cls(**{name: options[name] for name in own & options.keys()})}


LOCAL = EngineOptions()
"""Processes of this machine, as many as suit it."""
