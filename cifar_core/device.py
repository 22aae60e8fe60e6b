"""Device policy: the one place that knows how a CPU and a GPU are used differently."""

import os
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from cifar_core.errors import DeviceError
from cifar_core.recipe import Recipe

__all__ = ["Backend", "available_cores", "backend_of", "resolve_devices"]


@dataclass(frozen=True)
class Backend:
    """How a training runs on its device.

    Attributes:
        device: Where network and pictures live.
        autocast: The type that convolutions and matrix products compute in, or None for float32.
        evaluation_batch: Pictures in a batch without gradients: large enough to fill the device,
            small enough for a CPU's cache.
    """

    device: torch.device
    autocast: torch.dtype | None
    evaluation_batch: int

    def precision(self) -> AbstractContextManager[object]:
        """The context that forward passes run in. bfloat16 needs no loss scaling."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast)

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, in the memory format that convolutions prefer there."""
        # torch's stubs do not know this overload of Module.to.
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def backend_of(recipe: Recipe, device: torch.device) -> Backend:
    """How `recipe` is trained on `device`.

    On a GPU, TF32 and cuDNN's choice of algorithms are switched on for the process.
    """
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    if recipe.precision == "auto":
        autocast = torch.bfloat16 if on_gpu else None
    else:
        autocast = torch.bfloat16 if recipe.precision == "bfloat16" else None
    return Backend(device, autocast, evaluation_batch=2_500 if on_gpu else 250)


def resolve_devices(wanted: str) -> list[torch.device]:
    """The devices that a word of the command line names.

    Args:
        wanted: ``auto`` (every GPU, or the CPU where there is none), ``cpu``, ``cuda`` (every GPU), or
            names such as ``cuda:0,cuda:1``.

    Raises:
        DeviceError: The name is not a device's, or this machine has no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = [torch.device("cuda", index) for index in range(count)]
    if wanted == "auto":
        return gpus or [torch.device("cpu")]
    if wanted == "cuda" and gpus:
        return gpus
    named = [_device(name.strip(), wanted) for name in wanted.split(",")]
    if len(set(named)) != len(named):
        raise DeviceError(f"--device names a device twice: {wanted}")
    for device in named:
        if device.type == "cuda" and device not in gpus:
            here = ", ".join(str(gpu) for gpu in gpus) or "no CUDA device"
            raise DeviceError(
                f"--device asks for {device}, but PyTorch sees {here} here. "
                "Use --device cpu, or --device auto to take what there is."
            )
    return named


def available_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device(name: str, wanted: str) -> torch.device:
    found = re.fullmatch(r"cpu|cuda(?::(0|[1-9][0-9]{0,1}))?", name)
    if found is None:
        raise DeviceError(
            f"--device must be auto, cpu, cuda, or a list such as cuda:0,cuda:1, but got {wanted!r}."
        )
    return torch.device("cpu") if name == "cpu" else torch.device("cuda", int(found[1] or 0))
