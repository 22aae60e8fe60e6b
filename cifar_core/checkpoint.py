"""Training states on disk: written whole or not at all, read as data and never as code."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from cifar_core.errors import CheckpointError
from cifar_core.files import write_atomically
from cifar_core.text_files import first_line

__all__ = ["check_archive", "load_state", "save_state"]


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write `state` to `path`; a kill at any moment leaves the old file or the new one."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_state(path: Path) -> dict[str, Any]:
    """Read a state that `save_state` wrote, on the CPU.

    Raises:
        CheckpointError: There is no such file, or it is truncated, or not a training state.
    """
    try:
        check_archive(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no saved state at {path}.") from error
    except Exception as error:  # what a damaged file makes a reader do is nearly anything
        raise CheckpointError(
            f"{path} is not a whole training state: {first_line(error)}"
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is not a training state: it holds a {type(state).__name__}.")
    return state


def check_archive(path: Path) -> None:
    """Look through a file in PyTorch's zip format, which torch.load does not: it compares no checksums.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not an ordinary file, or a part is damaged, or would be larger in memory than
            in the file: PyTorch compresses nothing.
        zipfile.BadZipFile: It is not an archive.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError("it is not a file")
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("a part of it is compressed")
        if damaged := archive.testzip():
            raise ValueError(f"its part {damaged!r:.60} is damaged")
