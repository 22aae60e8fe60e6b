"""Trained networks as files: a state dict of PyTorch, safetensors, or a graph of ONNX."""

import json
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_core.files import write_atomically
from cifar_core.recipe import OwnNetwork, Recipe
from search.errors import ServiceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

__all__ = ["write_onnx", "write_safetensors", "write_weights"]

OPENED = "images (N, 3, 32, 32) float32 with values from 0 to 1; normalisation is part of the graph"
TOLERANCE = 1e-4
"""Largest difference between ONNX Runtime's logits and PyTorch's; rounding explains a hundredth of it."""
COMPARED = (1, 7)
"""Numbers of images in the batches that are compared."""


def read_state(checkpoint: Path) -> "dict[str, Tensor]":
    """Read the network from a training's state.

    Raises:
        ServiceError: The state is damaged.
    """
    from cifar_core.checkpoint import load_state  # which imports PyTorch
    from cifar_core.errors import CheckpointError

    try:
        state: dict[str, Tensor] = load_state(checkpoint)["network"]
    except (CheckpointError, KeyError) as error:
        raise ServiceError(f"The trained network cannot be exported: {error}") from error
    return state


def write_weights(checkpoint: Path, path: Path) -> None:
    """Write a trained network as `Module.load_state_dict` takes it: a dictionary of tensors.

    Args:
        checkpoint: The state of its training.
        path: The file.

    Raises:
        ServiceError: The file cannot be written, or the state is damaged.
    """
    import torch

    buffer = BytesIO()
    torch.save(read_state(checkpoint), buffer)
    _write(path, buffer.getvalue())


def write_safetensors(checkpoint: Path, path: Path, document: dict[str, Any]) -> None:
    """Write a trained network as safetensors, with recipe, preprocessing and provenance as metadata.

    Args:
        checkpoint: The state of its training.
        path: The file.
        document: The configuration, in sections; each is JSON in the metadata.

    Raises:
        ServiceError: The file cannot be written, or the state is damaged.
    """
    from safetensors.torch import save

    tensors = {name: value.contiguous() for name, value in read_state(checkpoint).items()}
    _write(path, save(tensors, metadata=_metadata(document)))


def write_onnx(checkpoint: Path, path: Path, document: dict[str, Any]) -> None:
    """Write a trained network as an ONNX graph, after a comparison of its logits with PyTorch's.

    Its input ``images`` is (N, 3, 32, 32) float32 with values from 0 to 1, as normalisation is part of the
    graph; its output ``logits`` is (N, 10), in the order of the classes in the metadata.

    Args:
        checkpoint: The state of its training.
        path: The file.
        document: The configuration, in sections; each is JSON in the metadata.

    Raises:
        ServiceError: ONNX is not installed, the logits differ, the file cannot be written, or the state is
            damaged.
        UsageError: The network is made by code of the user's.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - PyTorch's exporter needs it
    except ImportError as error:
        raise ServiceError(
            f"--format onnx needs ONNX, and {error.name} is not installed. Run: pip install "
            "'cifar-search[onnx]', or in a clone of the project: pip install '.[onnx]'"
        ) from error
    import torch

    from cifar_core.models import NETWORKS
    from search.results.export.loading import Preprocessing

    recipe = Recipe.read(document["recipe"])
    if isinstance(recipe.network, OwnNetwork):
        raise UsageError(
            f"The network is made by code of its own, {recipe.network.builder}, which an export does not "
            "run. Call it with its arguments, load the exported .pt, and export that as ONNX."
        )
    network = NETWORKS[recipe.network.name](
        recipe.network, len(document["preprocessing"]["classes"])
    )
    network.load_state_dict(read_state(checkpoint))
    whole = torch.nn.Sequential(Preprocessing.of(document["preprocessing"]), network).eval()
    program = torch.onnx.export(
        whole,
        (torch.rand(2, 3, 32, 32),),
        dynamo=True,
        verbose=False,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("N")},),
    )
    if program is None:
        raise ServiceError("PyTorch has made no ONNX graph of the network.")
    graph = program.model_proto
    for key, value in (_metadata(document) | {"input": OPENED}).items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, value
    content = graph.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    check_same_logits(whole, partial(_logits, session), path.name)
    _write(path, content)


def check_same_logits(network: "nn.Module", other: "Callable[[Tensor], Tensor]", name: str) -> None:
    """Compare the logits of a network with those that its file gives, on random images.

    Args:
        network: Takes images (N, 3, 32, 32) with values from 0 to 1, in evaluation mode.
        other: Does what the file says.
        name: The file, for the error.

    Raises:
        ServiceError: They differ by more than rounding.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    for count in COMPARED:
        images = torch.rand(count, 3, 32, 32, generator=generator)
        with torch.inference_mode():
            difference = float((network(images) - other(images)).abs().max())
        if not difference <= TOLERANCE:  # NaN is a difference, too
            raise ServiceError(
                f"{name} was not written: ONNX Runtime's logits differ from PyTorch's by {difference:.2g}, "
                f"and at most {TOLERANCE:g} is rounding. The other formats are not affected."
            )


def _logits(session: Any, images: "Tensor") -> "Tensor":
    import torch

    return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


def _metadata(document: dict[str, Any]) -> dict[str, str]:
    return {section: json.dumps(values) for section, values in document.items()}


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror}.") from error
