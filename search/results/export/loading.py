"""An exported network, ready for use: the module, and what images go through before it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from cifar_core.checkpoint import check_archive
from cifar_core.models import NETWORKS
from cifar_core.networks import OwnNetwork
from cifar_core.text_files import first_line
from search.command_lines import command_line
from search.errors import UsageError
from search.recipe_files import ENDINGS, read_configuration_file

__all__ = ["Preprocessing", "load_export"]


class Preprocessing(nn.Module):
    """Images as a network takes them.

    Args:
        mean: Mean of the red, green and blue channel, for values from 0 to 1.
        std: Their standard deviations.
        classes: Names of the classes, in the order of the network's logits.

    Attributes:
        classes: As given.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float], classes: tuple[str, ...]) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    @classmethod
    def of(cls, section: Mapping[str, Any], origin: str = "The configuration") -> Self:
        """Make it from the section `preprocessing` of an exported configuration.

        Raises:
            UsageError: The section lacks something.
        """
        try:
            numbers = [[float(one) for one in section[key]] for key in ("mean", "std")]
            mean, std = numbers
            classes = tuple(str(one) for one in section["classes"])
            fits = len(mean) == len(std) == 3 and len(classes) >= 2 and 0.0 not in std
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            raise UsageError(
                f"{origin} does not say how images are normalised: its section [preprocessing] needs three "
                "numbers as `mean`, three as `std`, and two `classes` or more. Export it again from a "
                "study that this version has searched."
            )
        return cls(mean, std, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images (N, 3, 32, 32): float ones with values from 0 to 1, or uint8 ones."""
        floats = images / 255 if images.dtype == torch.uint8 else images
        return (floats - self.mean) / self.std


def load_export(path: str | Path) -> tuple[nn.Module, Preprocessing]:
    """Load a trained network that `cifar-search export` has written.

    Args:
        path: The configuration, such as ``best-1.toml``; its weights are beside it, in ``best-1.pt``.

    Returns:
        The network in evaluation mode, on the CPU, from normalised images (N, 3, 32, 32) to logits (N, 10),
        and what normalises images, whose `classes` are the names of the logits.

    Raises:
        UsageError: The file is no exported configuration, or its weights are missing or another network's.
        RecipeError: It has no valid recipe.
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise UsageError(
            f"{path} is no exported configuration, which ends in one of {', '.join(ENDINGS)}."
        )
    found = read_configuration_file(path)
    transform = Preprocessing.of(found.preprocessing or {}, str(path))
    weights = path.with_suffix(".pt")
    if not weights.exists():
        raise UsageError(
            f"There is no {weights}, the trained network of {path.name}: it was not kept, or was not "
            f"copied with it. To train one: {command_line('train', path)}"
        )
    record = found.recipe.network
    if isinstance(record, OwnNetwork):
        raise UsageError(
            f"The network of {path.name} is made by code of its own, {record.builder}, which is not run "
            f"here. Call it with its arguments, and let the module load {weights.name}."
        )
    network = NETWORKS[record.name](record, len(transform.classes))
    try:
        check_archive(weights)
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:  # what a damaged file makes a reader do is nearly anything
        raise UsageError(
            f"{weights} does not hold the network of {path.name}: {first_line(error)}"
        ) from error
    return network.eval(), transform
