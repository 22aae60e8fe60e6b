"""The pickles of CIFAR-10 and CIFAR-100, opened only after their checksums have been compared."""

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["unpickled"]


def unpickled(content: bytes) -> dict[bytes, Any]:
    """Return the entries of a pickle that holds nothing but numbers, texts, lists and uint8 arrays.

    Args:
        content: A file whose checksum is that of a published one.

    Raises:
        Exception: Nearly any, as a pickle's instructions can fail in nearly any way.
    """
    batch = _BatchUnpickler(io.BytesIO(content), encoding="bytes").load()
    return {key if isinstance(key, bytes) else key.encode(): batch[key] for key in batch}


class _BatchUnpickler(pickle.Unpickler):
    """Builds numbers, strings, lists, dicts and uint8 arrays; refuses everything else.

    The checksum alone already keeps foreign pickles out; this is the second lock.
    """

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return the stand-in for `module_name.global_name`, one of the five names of array pickles."""
        try:
            return _ARRAY_PARTS[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module_name}.{global_name}, which images do not need"
            ) from None


def _blank_array(*_: object) -> npt.NDArray[np.uint8]:
    """An array to be filled by the pickle's next instructions."""
    return np.empty(0, np.uint8)


def _uint8(name: str | bytes, *_: object) -> np.dtype[np.uint8]:
    """A dtype of its own, as the pickle's next instruction sets its state.

    The further arguments are the same for every array pickle. The published files have them as
    numbers, which np.dtype of NumPy 2.4 warns about (pytorch/vision issue 9340).
    """
    if name not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"it holds an array of {name!r}, and not of bytes")
    return np.dtype(np.uint8, copy=True)


def _latin1(text: str, *_: object) -> bytes:
    """The bytes that Python 3 writes as text in a pickle of protocol 2."""
    return text.encode("latin1")


_ARRAY_PARTS: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _blank_array,  # NumPy 1, and the published files
    ("numpy._core.multiarray", "_reconstruct"): _blank_array,  # NumPy 2
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _uint8,
    ("_codecs", "encode"): _latin1,
}
