"""Images to augment, sources of draws, and a check that nothing waits for a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

examples = settings(deadline=None, max_examples=40)
seeds = st.integers(0, 2**31)
sides = st.integers(5, 12)
counts = st.integers(1, 30)


def random_images(count: int, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    """Noise without black pixels, so that zeros that an augmentation brings in can be told."""
    shape = (count, 3, height, width)
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=seeded(seed))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chooser(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class NothingWaits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails on an operation that makes host and device wait for each other, or mixes devices.

    What comes from the host must come from pinned memory by a copy that does not block. That can
    only be seen where the images are on a GPU, if only a fake one.
    """

    WAITING = ("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pinned: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        assert name not in self.WAITING, f"{func} waits"
        if name in {"index", "index_put", "index_put_"}:
            kinds = {each.dtype for each in args[1] if each is not None}
            assert not kinds & {torch.bool, torch.uint8}, f"{func} with a mask waits"
        result = func(*args, **kwargs)
        tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor)]
        devices = len({each.device for each in tensors})
        if name == "empty" and kwargs.get("pin_memory"):
            self.pinned.append(result)
        elif name == "_to_copy" and devices > 1:
            pinned = any(_memory(args[0]) == _memory(each) for each in self.pinned)
            assert pinned, f"{func} from memory that is not pinned waits"
            assert kwargs.get("non_blocking"), f"{func} waits"
        else:
            assert devices <= 1, f"{func} mixes devices, or waits"
        return result


def _memory(tensor: Tensor) -> int:
    """What two tensors share only if they share their memory: fake ones have no address."""
    return tensor.untyped_storage()._cdata
