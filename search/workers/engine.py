"""Engines: where workers run, on this machine or on the nodes of a Ray cluster."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch

from cifar_core.device import resolve_devices
from search.errors import UsageError
from search.workers.engine_options import EngineOptions
from search.workers.limits import HANG_SECONDS, MOST_WORKERS
from search.workers.local_pool import LocalPool
from search.workers.pool import Pool
from search.workers.ray_cluster import AUTO, connect, room_in_words
from search.workers.slots import Slot, slots_of

__all__ = ["Engine", "LocalEngine", "RayEngine", "engine_of"]


def _ignore(_text: str) -> None:
    return


class Engine(Protocol):
    """Starts pools of workers.

    Attributes:
        devices: The kind of device that workers train on: the CPU, or GPUs.
    """

    devices: list[torch.device]

    def described(self) -> str:
        """Return the workers in words."""

    def pool(
        self,
        images: Path,
        logs: Path,
        *,
        compile_networks: bool = False,
        hang_after: float = HANG_SECONDS,
        say: Callable[[str], None] = _ignore,
        most: int | None = None,
    ) -> Pool:
        """Return a pool, which starts when it is entered.

        Args:
            images: File of the prepared images.
            logs: Folder for the output of workers of this machine.
            compile_networks: Train trials with compiled networks, where that works.
            hang_after: Seconds without a sign of progress after which a worker is killed and replaced.
            say: Told, in a sentence, what the user should know about a cluster.
            most: Number of workers for which there is something to do; None for any number.
        """


class LocalEngine:
    """Processes of this machine.

    Args:
        devices: The devices, all CPU or all GPU.
        workers: Number of workers; by device by default.
    """

    def __init__(self, devices: list[torch.device], workers: int | None = None) -> None:
        self.devices = devices
        self._slots = slots_of(devices, workers)

    def described(self) -> str:
        """Return the workers in words."""
        devices = ", ".join(sorted({slot.device for slot in self._slots}))
        workers = f"{len(self._slots)} worker{'s' if len(self._slots) > 1 else ''} on {devices}"
        return workers + (_threads(self._slots) if devices == "cpu" else "")

    def pool(
        self,
        images: Path,
        logs: Path,
        *,
        compile_networks: bool = False,
        hang_after: float = HANG_SECONDS,
        say: Callable[[str], None] = _ignore,
        most: int | None = None,
    ) -> Pool:
        """Return a pool; see `Engine`."""
        return LocalPool(
            self._slots[:most],
            images,
            logs,
            compile_networks=compile_networks,
            hang_after=hang_after,
        )


class RayEngine:
    """Actors of a Ray cluster, to which this process connects at once.

    Args:
        address: The cluster: ``auto`` or ``HOST:PORT``.
        workers: The fewest and the most; None for as many as the cluster has room for now.
        cpus: CPUs of a worker.
        gpus: GPUs of a worker, from 0 to 1; None for 1 if the cluster has GPUs.

    Raises:
        UsageError: There is no such cluster, or it has no room for a worker and none is asked for.
    """

    def __init__(
        self,
        address: str = AUTO,
        workers: tuple[int, int] | None = None,
        cpus: float = 1.0,
        gpus: float | None = None,
    ) -> None:
        resources = connect(address)
        self._cpus = cpus
        self._gpus = (1.0 if resources.get("GPU") else 0.0) if gpus is None else gpus
        if workers is None:
            room = [resources.get("CPU", 0.0) // cpus]
            room += [int(1 / self._gpus) * resources.get("GPU", 0.0)] if self._gpus else []
            most = min(MOST_WORKERS, int(min(room)))
            if most < 1:
                raise UsageError(
                    f"The Ray cluster has {room_in_words(resources)}, which is no room for a worker of "
                    f"{room_in_words({'CPU': cpus, 'GPU': self._gpus})}. Start more nodes, ask for less "
                    "with --cpus-per-worker and --gpus-per-worker, or give --workers to wait for nodes."
                )
            workers = 1, most
        self._fewest, most = workers
        on_gpu = self._gpus > 0
        self.devices = [torch.device("cuda", 0) if on_gpu else torch.device("cpu")]
        threads = 1 if on_gpu else max(1, int(cpus))  # a GPU's worker only launches kernels
        self._slots = [Slot(str(self.devices[0]), threads, self._gpus or None)] * most

    def described(self) -> str:
        """Return the workers in words."""
        most = len(self._slots)
        count = "up to " if self._fewest < most else ""
        if 1 < self._fewest < most:
            count = f"{self._fewest} to "
        share = f", {self._gpus:g} GPU each" if self._gpus else _threads(self._slots)
        workers = f"{count}{most} worker{'s' if most > 1 else ''}"
        return f"{workers} of a Ray cluster on {self.devices[0].type}{share}"

    def pool(
        self,
        images: Path,
        logs: Path,
        *,
        compile_networks: bool = False,
        hang_after: float = HANG_SECONDS,
        say: Callable[[str], None] = _ignore,
        most: int | None = None,
    ) -> Pool:
        """Return a pool; see `Engine`."""
        from search.workers.ray_pool import RayPool

        return RayPool(
            self._slots[:most],
            images,
            cpus=self._cpus,
            gpus=self._gpus,
            fewest=self._fewest,
            compile_networks=compile_networks,
            hang_after=hang_after,
            say=say,
        )


def engine_of(options: EngineOptions, device: str = "auto") -> Engine:
    """Return the engine that a command's options ask for.

    Args:
        options: The options.
        device: The value of ``--device``.

    Raises:
        UsageError: They do not go together, or there is no such cluster.
        DeviceError: This machine has no such device.
    """
    wanted = {
        "--ray-address": options.ray_address,
        "--cpus-per-worker": options.cpus_per_worker,
        "--gpus-per-worker": options.gpus_per_worker,
    }
    workers = options.workers
    if options.engine == "local":
        given = [name for name, value in wanted.items() if value is not None]
        if given:
            raise UsageError(f"{given[0]} is for --engine ray; leave it out, or give --engine ray.")
        if isinstance(workers, tuple):
            low, high = workers
            raise UsageError(
                f"--workers {low}..{high} is for --engine ray, where workers come and go; on one machine, "
                "give a number."
            )
        return LocalEngine(resolve_devices(device), workers)
    if device != "auto":
        raise UsageError(
            f"--device {device} names a device of this machine; with --engine ray, give "
            "--gpus-per-worker: 0 for the CPU, or a GPU's part, such as 0.25."
        )
    return RayEngine(
        options.ray_address or AUTO,
        (1, workers) if isinstance(workers, int) else workers,
        1.0 if options.cpus_per_worker is None else options.cpus_per_worker,
        options.gpus_per_worker,
    )


def _threads(slots: Sequence[Slot]) -> str:
    threads = slots[0].threads
    return f", {threads} thread{'s' if threads > 1 else ''} each"
