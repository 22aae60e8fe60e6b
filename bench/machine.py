"""What figures were taken on."""

import platform

import torch

from cifar_core.device import available_cores
from search.doctor.machine import cpu_name

__all__ = ["described_machine"]


def described_machine(device: torch.device) -> str:
    """Hardware and versions, in a line."""
    where = f"{available_cores()} cores of {cpu_name()}"
    if device.type == "cuda":
        where = f"{torch.cuda.get_device_name(device)}, {where}"
    return f"{where}; Python {platform.python_version()}, PyTorch {torch.__version__}"
