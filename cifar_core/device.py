"""Device policy: the one place that knows how a CPU, a CUDA GPU and an Apple GPU (mps) differ in use."""

import gc
import os
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from cifar_core.cpu_limit import cpu_limit
from cifar_core.errors import DeviceError
from cifar_core.recipe import Recipe

__all__ = [
    "CAPTURE_STEPS",
    "Backend",
    "available_cores",
    "backend_of",
    "captures_steps",
    "has_memory_shares",
    "is_gpu",
    "ran_out_of_memory",
    "release_memory",
    "resolve_devices",
    "sent",
    "settle_on",
    "still_works",
    "visible_gpus",
    "wait_for",
    "with_float64",
]

CONTEXT_BYTES = 2**30
"""Kept free for each process on a GPU: what its CUDA context and the libraries' kernels and handles take
is not PyTorch's to count or to bound. An estimate on the safe side."""
CAPTURE_STEPS = False
"""The one switch by which trainings on CUDA capture their steps in CUDA graphs unless told otherwise. It
is off because it has never run: what `python -m bench.gpu` shows of it decides (docs/GPU.md)."""
NONE_OF = {"cuda": "no CUDA device", "mps": "no Apple GPU"}
OUT_OF_MEMORY_WORDS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED
    "allocation_failed",  # CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
    # cuDNN passes over algorithms that do not fit into memory, until there is none left.
    "unable to find an engine to execute this computation",
)


@dataclass(frozen=True)
class Backend:
    """The way a training runs on its device.

    Attributes:
        device: Where network and images live.
        autocast: The type that convolutions and matrix products compute in, or None for float32.
        evaluation_batch: Images in a batch without gradients: large enough to fill the device,
            small enough for a CPU's cache, or for a small share of a GPU's memory: the maps of
            a thousand images in 256 channels are about 1 GB in bfloat16.
        fewer_kernels: Prefer few large operations to many small ones. A GPU is faster so, as launching a
            kernel takes longer than a small one runs; a CPU is not, as the small ones stay in its cache.
        images_together: Images that are augmented at once: enough to make little of what it costs to
            start an operation, few enough to stay in a CPU's cache. It takes part in what a seed
            means.
    """

    device: torch.device
    autocast: torch.dtype | None
    evaluation_batch: int = 250
    images_together: int = 512
    fewer_kernels: bool = False

    @cached_property
    def unit(self) -> Tensor:
        """The gradient of a loss with respect to itself, (), kept because each step would make it anew."""
        return torch.ones((), device=self.device)

    def precision(self) -> AbstractContextManager[object]:
        """Return the context for forward passes. bfloat16 needs no loss scaling."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast)

    def place(self, network: nn.Module) -> nn.Module:
        """Move the network to the device, in the memory format that convolutions prefer there."""
        # torch's stubs do not know this overload of Module.to.
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def backend_of(recipe: Recipe, device: torch.device) -> Backend:
    """Return how `recipe` is trained on `device`. Settings of the process are `settle_on`'s.

    Raises:
        DeviceError: The recipe asks for a precision that the device is not used with.
    """
    if device.type == "mps":
        if recipe.precision == "bfloat16":
            raise DeviceError(
                "precision bfloat16 is not available on mps; use auto or float32, or another device."
            )
        return Backend(device, None, evaluation_batch=1_000, fewer_kernels=True)
    on_gpu = device.type == "cuda"
    if recipe.precision == "auto":
        autocast = torch.bfloat16 if on_gpu else None
    else:
        autocast = torch.bfloat16 if recipe.precision == "bfloat16" else None
    if on_gpu:
        return Backend(
            device, autocast, evaluation_batch=1_000, images_together=4_096, fewer_kernels=True
        )
    return Backend(device, autocast)


def is_gpu(device: torch.device) -> bool:
    """Return whether `device` is a GPU of any kind."""
    return device.type != "cpu"


def has_memory_shares(device: torch.device) -> bool:
    """Return whether several processes on `device` can each be held to a part of its memory."""
    return device.type == "cuda"


def captures_steps(device: torch.device) -> bool:
    """Return whether trainings on `device` capture their steps unless told otherwise."""
    return CAPTURE_STEPS and device.type == "cuda"


def visible_gpus() -> list[torch.device]:
    """Return the GPUs that PyTorch can use here: CUDA's, then Apple's."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = [torch.device("cuda", index) for index in range(count)]
    # With an index, as tensors name the device that they are on.
    return [*gpus, torch.device("mps", 0)] if torch.backends.mps.is_available() else gpus


def resolve_devices(wanted: str) -> list[torch.device]:
    """Return the devices that a word names.

    Args:
        wanted: ``auto`` (every CUDA GPU, or the CPU where there is none), ``cpu``, ``cuda`` (every CUDA
            GPU), ``mps`` (the Apple GPU), or names such as ``cuda:0,cuda:1``.

    Raises:
        DeviceError: The name is not a device's, or this machine has no such device.
    """
    gpus = visible_gpus()
    cuda = [gpu for gpu in gpus if gpu.type == "cuda"]
    if wanted == "auto":
        return cuda or [torch.device("cpu")]  # mps has never been tried, so it must be asked for
    if wanted == "cuda" and cuda:
        return cuda
    named = [_device(name.strip(), wanted) for name in wanted.split(",")]
    if len(set(named)) != len(named):
        raise DeviceError(f"{wanted!r} names a device twice.")
    for device in named:
        if is_gpu(device) and device not in gpus:
            alike = ", ".join(str(gpu) for gpu in gpus if gpu.type == device.type)
            raise DeviceError(
                f"The device {device} was asked for, but PyTorch sees {alike or NONE_OF[device.type]} "
                "here. Use cpu, or auto to take what there is."
            )
    return named


def sent(values: npt.NDArray[Any], device: torch.device) -> Tensor:
    """Send a fresh array to a device as a tensor, without waiting for it.

    Args:
        values: Any numbers; on the CPU the tensor shares their memory.
        device: The target.

    Returns:
        A tensor of the same shape and type.
    """
    tensor = torch.from_numpy(values)
    if device.type == "mps":
        return tensor.to(device)  # it shares the host's memory, of which none need be pinned
    if device.type == "cpu":
        return tensor
    # From ordinary memory the copy would first wait for all that the device still has to do.
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    pinned.copy_(tensor)
    return pinned.to(device, non_blocking=True)


def wait_for(device: torch.device) -> None:
    """Wait until `device` has finished its work; a clock read earlier measures only the launches."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def with_float64(values: Tensor) -> Tensor:
    """Return `values` on a device that has float64: as they are, or on the CPU if they are on mps."""
    return values.cpu() if values.device.type == "mps" else values


def settle_on(device: torch.device, share: float | None = None) -> None:
    """Make `device` the one that this process works on. Call this once, before anything trains there.

    On a CUDA GPU this enables TF32 and cuDNN's search for the fastest algorithms for the whole process, and
    limits the memory that tensors may take. Requests beyond the limit are out-of-memory errors of this
    process and of none of those that have the other shares.

    Args:
        device: Where everything will be. Nothing is changed for a CPU or an Apple GPU.
        share: This process's part of a CUDA GPU's memory, its CUDA context included, above 0 and up to 1.
            None for no limit.
    """
    if device.type != "cuda":
        return
    # Some calls mean the current GPU; on any other than its own they would make a context there too.
    torch.cuda.set_device(device)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    if share is not None:
        total = torch.cuda.get_device_properties(device).total_memory
        # However small the share is, half of it is for tensors.
        fraction = max(share - CONTEXT_BYTES / total, share / 2)
        torch.cuda.set_per_process_memory_fraction(fraction, device)


def release_memory(device: torch.device) -> None:
    """Return unused cached memory to the device, for the next network to use.

    Call this outside of exception handlers: an error keeps alive everything its failed calls worked with.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def ran_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says, in one of many ways, that there was not enough memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in text for words in OUT_OF_MEMORY_WORDS
    )


def still_works(device: torch.device) -> bool:
    """Return whether this process can still use `device` after an error.

    A failed assertion in a kernel, an illegal address or a failed launch leaves a CUDA context behind
    in which every further call fails. Only a new process gets a new one.
    """
    try:
        wait_for(device)
    except RuntimeError:
        return False
    return True


def available_cores() -> int:
    """Return the number of CPU cores that this process may use: by its affinity and its container."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    limit = cpu_limit()
    return cores if limit is None else max(1, min(cores, int(limit)))


def _device(name: str, wanted: str) -> torch.device:
    found = re.fullmatch(r"cpu|mps(?::0)?|cuda(?::(0|[1-9][0-9]{0,1}))?", name)
    if found is None:
        raise DeviceError(
            "A device must be auto, cpu, cuda, mps, or a list such as cuda:0,cuda:1, "
            f"but got {wanted!r}."
        )
    kind = name.partition(":")[0]
    return torch.device("cpu") if kind == "cpu" else torch.device(kind, int(found[1] or 0))
