"""The workers' shares of the devices."""

from dataclasses import dataclass

import torch

from cifar_core.device import available_cores, has_memory_shares, is_gpu

__all__ = ["Slot", "slots_of"]


@dataclass(frozen=True)
class Slot:
    """A share of a device.

    Attributes:
        device: Such as ``cpu``, ``cuda:0`` or ``mps:0``.
        threads: CPU threads of the worker.
        memory_share: The worker's part of a CUDA GPU's memory, above 0 and up to 1; None elsewhere.
    """

    device: str
    threads: int
    memory_share: float | None = None


MOST_DEFAULT_CPU_WORKERS = 8


def slots_of(devices: list[torch.device], workers: int | None) -> list[Slot]:
    """Return the workers' shares of the devices.

    On the CPU the default is a worker for each core, up to eight: for networks of this size two trainings
    with one thread each are faster than one with two. On GPUs the default is one worker for each; several
    workers of one CUDA GPU have equal shares of its memory.

    Args:
        devices: The devices, all CPU or all GPU.
        workers: Number of workers; by device by default.
    """
    cores = available_cores()
    if is_gpu(devices[0]):
        count = workers or len(devices)
        threads = 1  # the CPU only launches kernels
    else:
        count = workers or min(cores, MOST_DEFAULT_CPU_WORKERS)
        threads = max(1, cores // count)
    places = [devices[index % len(devices)] for index in range(count)]
    return [
        Slot(str(place), threads, 1 / places.count(place) if has_memory_shares(place) else None)
        for place in places
    ]
