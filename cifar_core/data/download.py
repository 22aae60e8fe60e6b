"""Fetching CIFAR-10 with torchvision, so that a failure leaves nothing behind."""

import contextlib
import http.client
import socket
import sys
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from cifar_core.data.cifar10 import Source, find
from cifar_core.errors import DataError

__all__ = ["download"]

SILENCE = 20.0  # seconds without a byte from the other side, after which it counts as gone

# What fetching, checking and unpacking raise: OSError holds urllib's errors, timeouts and a full
# disk; RuntimeError is torchvision's for a wrong checksum.
_FAILURES = (
    OSError,
    RuntimeError,
    EOFError,
    http.client.HTTPException,
    tarfile.TarError,
    zlib.error,
)


def download(root: Path) -> Source:
    """Download CIFAR-10 (about 170 MB), showing progress on the standard error.

    All work is done in a folder of its own inside `root`, and the finished images are moved into
    place at the end: a failed download leaves nothing behind, and of two processes that download
    into one folder neither sees the other's half-written files. An intact archive that somebody
    has put into `root` is used as it is.

    Args:
        root: The folder that gets a `cifar-10-batches-py`; made if it is not there.

    Returns:
        Where the images are: what `find(root)` now returns.

    Raises:
        DataError: The images could not be fetched or stored; its text gives the cause.
    """
    present = find(root)
    if present is not None:
        return present
    made: list[Path] = []
    try:
        made += [folder for folder in (root, *root.parents) if not folder.exists()]
        root.mkdir(parents=True, exist_ok=True)
        _fetch(root.absolute())
    except _FAILURES as error:
        raise DataError(f"Downloading CIFAR-10 into {root} failed: {_words(error)}.") from error
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it holds the images now, which is as it should be
                folder.rmdir()
    source = find(root)
    if source is None:
        raise DataError(f"Downloading CIFAR-10 into {root} failed: the archive has no images.")
    return source


def _fetch(root: Path) -> None:
    """Put `cifar-10-batches-py` into `root`, an absolute path to a folder that exists."""
    # Both take a second or more to import, and only a download needs them.
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    with (
        tempfile.TemporaryDirectory(prefix="cifar-10-download-", dir=root) as workshop,
        contextlib.redirect_stdout(sys.stderr),  # the standard output is for results
        warnings.catch_warnings(action="ignore"),  # torchvision's unpickling: pytorch/vision #9340
        _giving_up_after(SILENCE),
    ):
        archive = root / CIFAR10.filename
        if check_integrity(archive, CIFAR10.tgz_md5):
            (Path(workshop) / CIFAR10.filename).symlink_to(archive)
        CIFAR10(workshop, download=True)
        try:
            (Path(workshop) / CIFAR10.base_folder).rename(root / CIFAR10.base_folder)
        except OSError:
            if find(root) is None:  # otherwise another process was quicker
                raise


@contextlib.contextmanager
def _giving_up_after(seconds: float) -> Iterator[None]:
    """Let every socket made inside wait at most so long, as torchvision takes no timeout."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _words(error: BaseException) -> str:
    """An exception's own words on one line, without urllib's wrapping; its type if it has none."""
    words = " ".join(str(error).split()).removeprefix("<urlopen error ").removesuffix(">")
    return words.rstrip(".") or type(error).__name__
