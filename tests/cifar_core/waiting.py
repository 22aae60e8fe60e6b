"""A watch over every operation: does it make the host wait for its GPU?

A host that never waits for a GPU is always ahead of it, so that the GPU never waits for the host. Of each
operation of PyTorch it is known whether it waits, so that it can be seen where there is no GPU: the
operations run on tensors without content, and the watch looks at each of them on its way.

There are two kinds of such tensors. Fake ones on ``cuda`` go exactly the way of a GPU's and refuse to mix
devices, but have no backward pass where there is no GPU. Those on ``meta`` have one: on them a whole
training runs, backward pass and optimizer included. Its operations are the same but for the choice between
kernels that do the same.

What is no operation is not seen, such as `torch.cuda.synchronize`, nor what a kernel does inside. Where
there is a GPU, `test_cuda_training.py` has CUDA itself say whether anything waits.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = [
    "WAITS",
    "HostWaitsError",
    "Watch",
    "watching",
]

COUNTED = "how many there are is the size of the result"
FACTORISED = "the library's word on whether it worked is read"
VALUE = "its value is read, if it is on the device, and handed over as a number"
WAITS = {
    "_local_scalar_dense": "a value is read: item(), float(), int(), bool(), if, while, range, round",
    "equal": "its answer is Python's True or False",
    "allclose": "its answer is Python's True or False",
    "nonzero": COUNTED,
    "argwhere": COUNTED,
    "masked_select": COUNTED,
    "_unique2": COUNTED,
    "unique_dim": COUNTED,
    "unique_consecutive": COUNTED,
    "bincount": "the largest value is the size of the result",
    "histc": "without bounds the smallest and the largest value are read",
    "repeat_interleave": "without output_size the repeats are summed up to know the size of the result",
    "index": "the places of a boolean index are counted; an index on the host is copied first",
    "index_put": "as index; to set one number, masked_fill needs to count nothing",
    "masked_fill": VALUE,
    "index_fill": VALUE,
    "_linalg_check_errors": FACTORISED,
    "_linalg_eigh": FACTORISED,
    "_linalg_svd": FACTORISED,
    "linalg_lstsq": FACTORISED,
    "_to_copy": "between host and device; does not wait from pinned memory to the device, non_blocking",
    "copy": "between host and device; does not wait from pinned memory to the device, non_blocking",
}
"""Operations of ``torch.ops.aten`` that make the host wait, and why. `index` and what follows it, and
`repeat_interleave`, do so under the condition that is named. In-place variants have the same names."""

TELLING_TAGS = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
"""What PyTorch itself says of an operation whose result's shape, or whose answer, depends on values."""


class HostWaitsError(AssertionError):
    """An operation makes the host wait for its device."""


@contextmanager
def watching(answer: float | None = None) -> Iterator["Watch"]:
    """Look at all operations: one that makes the host wait for a device raises `HostWaitsError`.

    Args:
        answer: What every value that is read is said to be, instead of an error; the reads are counted.
    """
    with _WatchForValues(), Watch(answer) as watch:
        yield watch


class Watch(TorchDispatchMode):
    """The watch, as `watching` gives it.

    Args:
        answer: As there.

    Attributes:
        reads: The functions that have read something, one entry for each read.
    """

    def __init__(self, answer: float | None = None) -> None:
        super().__init__()
        self.reads: list[str] = []
        self._answer = answer
        self._pinned: set[StorageWeakRef] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Look at an operation, and do it if it is harmless."""
        kwargs = dict(kwargs or {})
        # Others are questions about a tensor, and a profiler's marks.
        if getattr(func, "namespace", None) != "aten":
            return func(*args, **kwargs)
        # In inference mode operations arrive that are made of others. Those are what is looked at.
        with self:
            made = func.decompose(*args, **kwargs)
        if made is not NotImplemented:
            return made
        name = func.overloadpacket.__name__.removesuffix("_")
        if name.removeprefix("_") == "pin_memory":
            return self._remember(args[0].clone())
        if kwargs.get("pin_memory"):  # only a machine with a GPU can do it
            return self._remember(func(*args, **{**kwargs, "pin_memory": False}))
        reason = self._reason(func, name, args, kwargs)
        if reason is not None:
            return self._answered(func, name, args, kwargs, reason)
        if name.startswith("_fused_"):
            # An optimizer's step is one kernel, given numbers and pointers. There is none for such tensors.
            return None
        return func(*args, **kwargs)

    def _remember(self, pinned: Tensor) -> Tensor:
        self._pinned.add(StorageWeakRef(pinned.untyped_storage()))
        return pinned

    def _reason(
        self, func: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> str | None:
        """Why an operation makes the host wait; None if it does not."""
        if name in {"_to_copy", "copy"}:
            return self._reason_to_copy(name, args, kwargs)
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        if not any(_is_on_device(one) for one in tensors):
            return None
        match name:
            case "index" | "index_put":
                indices = [one for one in args[1] if one is not None]
                harmless = all(
                    _is_on_device(one) and one.dtype not in {torch.bool, torch.uint8}
                    for one in indices
                )
            case "repeat_interleave":
                harmless = kwargs.get("output_size") is not None
            case "masked_fill" | "index_fill":
                value = args[-1]
                harmless = not (isinstance(value, Tensor) and _is_on_device(value))
            case _:
                harmless = name not in WAITS and not any(tag in func.tags for tag in TELLING_TAGS)
        return None if harmless else WAITS.get(name, "its result depends on values on the device")

    def _reason_to_copy(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> str | None:
        if name == "copy":
            target, source = args[0].device, args[1]
            non_blocking = bool(args[2]) if len(args) > 2 else kwargs.get("non_blocking", False)
        else:
            source = args[0]
            target = torch.device(kwargs.get("device") or source.device)
            non_blocking = kwargs.get("non_blocking", False)
        if (target.type == "cpu") != _is_on_device(source):
            return None  # both are on the host, or both on the device
        pinned = StorageWeakRef(source.untyped_storage()) in self._pinned
        return None if target.type != "cpu" and pinned and non_blocking else WAITS[name]

    def _answered(
        self, func: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], reason: str
    ) -> Any:
        source = args[-1] if name == "copy" else args[0]
        is_read = name in {"_local_scalar_dense", "_to_copy"} and _is_on_device(source)
        if self._answer is None or not is_read:
            raise HostWaitsError(f"{func} makes the host wait in {_caller()}: {reason}")
        self.reads.append(_caller())
        dtype = kwargs.get("dtype") or source.dtype
        if name == "_to_copy":
            return torch.full(source.shape, self._answer, dtype=dtype, device="cpu")
        if dtype == torch.bool:
            return bool(self._answer)
        return self._answer if dtype.is_floating_point else int(self._answer)


class _WatchForValues(TorchFunctionMode):
    """Sees where Python's values become a tensor, which on ``meta`` is no operation."""

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in {torch.tensor, torch.as_tensor, Tensor.new_tensor}:
            sent = _is_on_device(result) and not any(isinstance(one, Tensor) for one in args)
        elif func in {Tensor.__getitem__, Tensor.__setitem__}:
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            sent = _is_on_device(args[0]) and any(
                isinstance(one, list | np.ndarray) for one in index
            )
        else:
            sent = False
        if sent:
            raise HostWaitsError(
                f"{func} makes the host wait in {_caller()}: its values are copied"
            )
        return result


def _is_on_device(tensor: Tensor) -> bool:
    return tensor.device.type != "cpu"


def _caller() -> str:
    """The innermost function that belongs neither to PyTorch nor to this file."""
    libraries = (str(Path(torch.__file__).parent), __file__)
    frame = sys._getframe()
    while frame.f_code.co_filename.startswith(libraries) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_name
