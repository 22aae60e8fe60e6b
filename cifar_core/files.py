"""Files that are there whole or not at all."""

import errno
import os
import tempfile
from pathlib import Path

__all__ = ["make_durable", "write_atomically"]


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Write a file so that every reader, and every restart, finds the old content or the new.

    Args:
        path: The file; its folder must exist.
        content: Its content, one piece after another.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        make_durable(path.parent)  # the name is the folder's, not the file's
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def make_durable(path: Path) -> None:
    """Put what was written to a file, or the names in a folder, on the disk: power may fail then.

    A file that is not there has nothing to lose, and some file systems cannot do it for folders.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)
