"""Kernels that a training step would launch on a GPU, counted by dispatch on tensors without content."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Launches"]

NO_KERNEL = {"detach", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
"""Operations beside views that compute nothing."""


class Launches(TorchDispatchMode):
    """Counts the operations that compute on a device, each of which is one kernel or a few.

    A convolution's or BatchNorm's backward pass counts once, and so does a fused optimizer's step.

    Attributes:
        counts: How often each operation was called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count an operation and do it."""
        name = func.overloadpacket.__name__
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        on_device = any(one.device.type != "cpu" for one in tensors) or (kwargs or {}).get("device")
        if name.startswith("_fused_"):
            self.counts[name] += 1
            return None  # there is no such kernel for tensors without content
        result = func(*args, **(kwargs or {}))
        if on_device and not func.is_view and name not in NO_KERNEL:
            self.counts[name] += 1
        return result
