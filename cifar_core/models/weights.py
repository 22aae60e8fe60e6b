"""Trained weights for a network: from a file or torchvision's server, read as data and never as code."""

import hashlib
import http.client
import pickle
import urllib.request
import warnings
import zipfile
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor, nn

from cifar_core.checkpoint import check_archive
from cifar_core.errors import WeightsError
from cifar_core.files import write_atomically
from cifar_core.text_files import first_line

__all__ = ["IMAGENET_URL", "load_weights"]

IMAGENET_URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
"""torchvision's ResNet18_Weights.IMAGENET1K_V1; the name holds the start of the file's SHA-256."""

SILENCE = 20.0  # seconds without a byte from the server, after which it counts as gone

LAST_LAYER = "fc."
SHOWN = 3  # misfits that an error lists


def load_weights(network: nn.Module, weights: str) -> None:
    """Give `network` trained weights in all layers but its last, which stays as it is.

    Args:
        network: A network whose last layer is called ``fc``; its other weights are overwritten.
        weights: ``imagenet``, which is downloaded once (45 MB) into torch.hub's cache and compared with
            its checksum; or the path of a file that holds a state dict.

    Raises:
        WeightsError: The file cannot be had or read, or its weights are another network's; the text
            says which file and what to do.
    """
    path = _imagenet() if weights == "imagenet" else _file(weights)
    _fill(network, _read(path), path)


def _imagenet() -> Path:
    """The file of torchvision's weights in torch.hub's cache, downloaded if it is not there."""
    name = PurePosixPath(IMAGENET_URL).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    elsewhere = f"download {name} elsewhere and set network.weights to its path"
    try:
        if path.is_file():
            if not _is_imagenet(path.read_bytes()):
                raise WeightsError(
                    f"{path} is damaged: its checksum is not that of {IMAGENET_URL}. Delete the file, "
                    "and it will be downloaded again."
                )
            return path
        # torch.hub's own function has no timeout, and prints to the standard output.
        with urllib.request.urlopen(IMAGENET_URL, timeout=SILENCE) as response:
            content: bytes = response.read()
        if not _is_imagenet(content):
            raise WeightsError(
                f"What came from {IMAGENET_URL} is not the file that should be there: its checksum "
                f"differs. Try again, or {elsewhere}."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except (OSError, http.client.HTTPException) as error:  # OSError holds urllib's and timeouts
        raise WeightsError(
            f"The weights at {IMAGENET_URL} could not be brought to {path}: {_words(error)}. "
            f"Without a network, {elsewhere}."
        ) from error
    return path


def _file(name: str) -> Path:
    """The file that the user names."""
    try:
        path = Path(name).expanduser()
        found = path.is_file()  # a pipe would be waited for
    except (OSError, RuntimeError) as error:  # a folder that must not be entered, no such home
        raise WeightsError(
            f"The file of weights {name!r} cannot be looked for: {_words(error)}. Set network.weights to "
            "another file, to 'imagenet' or to 'random'."
        ) from error
    if not found:
        raise WeightsError(
            f"There is no file of weights at {path}. Set network.weights to a file, to 'imagenet' or "
            "to 'random'."
        )
    return path


def _is_imagenet(content: bytes) -> bool:
    prefix = PurePosixPath(IMAGENET_URL).stem.rpartition("-")[2]
    return hashlib.sha256(content).hexdigest().startswith(prefix)


def _read(path: Path) -> dict[str, Tensor]:
    """The state dict in a file, on the CPU."""
    try:
        if zipfile.is_zipfile(path):  # else it is PyTorch's old format, or nothing
            check_archive(path)
        with warnings.catch_warnings(action="ignore"):  # what they are about is refused below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own text says how to run what is in the file, which is not what to do.
        raise WeightsError(
            f"{path} is not a file of weights: it is damaged, or holds more than tensors. Nothing in it "
            "was run. Set network.weights to a file that torch.save made of a state dict."
        ) from error
    except Exception as error:  # what a damaged file makes a reader do is nearly anything
        raise WeightsError(
            f"{path} cannot be read as a file of weights: {_words(error)}. Fetch it once more, or set "
            "network.weights to another file."
        ) from error
    if not isinstance(state, dict):
        found = f"it is a {type(state).__name__}"
    else:
        others = (
            f"its entry {name!r:.60} is a {type(value).__name__}"
            for name, value in state.items()
            if not (isinstance(name, str) and isinstance(value, Tensor))
        )
        found = next(others, "" if state else "it is empty")
    if found:
        raise WeightsError(
            f"What {path} holds is not a state dict of names and tensors: {found}. Save "
            "network.state_dict() itself, and set network.weights to that file."
        )
    whole: dict[str, Tensor] = state
    return whole


def _fill(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Overwrite all weights but the last layer's with those that came from `path`."""
    # A plain dict has no note of its version, so PyTorch does without counts of batches in it.
    given = {name: value for name, value in state.items() if not name.startswith(LAST_LAYER)}
    wanted = {
        name: value
        for name, value in network.state_dict().items()
        if not name.startswith(LAST_LAYER)
    }
    misfits = [
        f"{name} is missing"
        for name in wanted.keys() - given.keys()
        if not name.endswith(".num_batches_tracked")
    ]
    misfits += [f"{name} is not known here" for name in given.keys() - wanted.keys()]
    misfits += [
        f"{name} is {_shape(value)} instead of {_shape(wanted[name])}"
        for name, value in given.items()
        if name in wanted and value.shape != wanted[name].shape
    ]
    if not misfits:
        try:
            network.load_state_dict(given, strict=False)
        except RuntimeError as error:  # sparse tensors, for one
            misfits = [_words(error)]
    if misfits:
        more = len(misfits) - SHOWN
        listed = "; ".join(sorted(misfits)[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise WeightsError(
            f"The weights in {path} are not those of this network: {listed}. Set network.weights to a "
            "state dict with torchvision's names and shapes of ResNet18."
        )


def _shape(value: Tensor) -> str:
    return "x".join(str(side) for side in value.shape) or "a single number"


def _words(error: BaseException) -> str:
    """An exception's first line, without urllib's wrapping; its type if it has none."""
    words = first_line(error).removeprefix("<urlopen error ").removesuffix(">")
    return words.rstrip(".:") or type(error).__name__
