"""Host-made numbers on their way to the pictures' device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["sent"]


def sent(values: npt.NDArray[np.generic[Any]], device: torch.device) -> Tensor:
    """A fresh array as a tensor on a device, without waiting for it.

    Args:
        values: Any numbers; on the CPU the tensor shares their memory.
        device: Where to.

    Returns:
        A tensor of the same shape and type.
    """
    tensor = torch.from_numpy(values)
    if device.type == "cpu":
        return tensor
    # From ordinary memory the copy would first wait for all that the device still has to do.
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    pinned.copy_(tensor)
    return pinned.to(device, non_blocking=True)
