"""A trial as a program of one file, which trains its recipe with PyTorch alone."""

from typing import Any

from cifar_core.data.dataset import SYNTHETIC
from cifar_core.recipe import OwnNetwork, Recipe
from search import __version__
from search.errors import UsageError
from search.formatting import counted, percent

__all__ = ["program_of"]

OTHERS = "images of CIFAR-10 (not the official files)"


def program_of(document: dict[str, Any], name: str, weights: str | None) -> str:
    """Return the program of an exported configuration.

    Args:
        document: The configuration, in sections.
        name: The program's file.
        weights: The file of its trained weights; None if there is none.

    Raises:
        UsageError: The study does not know how images are normalised, as it is of an older version.
    """
    from cifar_core.standalone.program import standalone_program
    from cifar_core.standalone.training import Facts

    preprocessing, origin = document["preprocessing"], document.get("provenance")
    if "mean" not in preprocessing:
        raise UsageError(
            "The study does not say how images are normalised, as it was searched with an older version. "
            "Export it as toml, and train that with cifar-search train."
        )
    red, green, blue = preprocessing["mean"]
    red_std, green_std, blue_std = preprocessing["std"]
    facts = Facts(
        mean=(red, green, blue),
        std=(red_std, green_std, blue_std),
        train_images=45_000 if origin is None else origin["data"]["train"],
    )
    recipe = Recipe.read(document["recipe"])
    if isinstance(recipe.network, OwnNetwork):
        raise UsageError(
            f"The network is made by code of its own, {recipe.network.builder}, and a program has only "
            "code of PyTorch's and this project's. Export it as toml, and train that with "
            "cifar-search train --trust."
        )
    if origin is not None and origin["data"]["name"] not in {"cifar10", SYNTHETIC}:
        raise UsageError(
            "Programs read CIFAR-10 alone, and this study is of other images. Export it as toml, and train "
            "that with cifar-search train."
        )
    return standalone_program(recipe, facts, _title(document, name, weights))


def _title(document: dict[str, Any], name: str, weights: str | None) -> str:
    origin = document.get("provenance")
    lines = ["A network for CIFAR-10 and its training, in PyTorch alone."]
    if origin is not None:
        images = "images of CIFAR-10" if origin["data"]["official"] else OTHERS
        if origin["data"]["name"] == SYNTHETIC:
            images = "synthetic images"
        epochs = counted(origin["epochs"], "epoch")
        lines += [
            "",
            f"It is trial {origin['trial']} of the study {_harmless(origin['study'])}, with",
            f"{percent(origin['validation_accuracy'])} validation accuracy after {epochs}",
            f"on {origin['data']['train']:,} {images}.",
        ]
    uses = {
        f"python {name} --data DIR": "train it on the same number of images",
        f"python {name} --data DIR --final": "train it on all images, then open the test images, once",
    }
    if weights is not None:
        uses[f"python {name} --data DIR --weights {weights}"] = "measure the weights of the search"
    width = max(map(len, uses))
    lines += ["", *(f"    {use:{width}}  {purpose}" for use, purpose in uses.items()), ""]
    lines += [
        "DIR holds cifar-10-batches-py or cifar-10-batches-bin. Accuracies are those on the 5,000 training",
        "images that the search held out. Random numbers are drawn in another order than there, so that",
        "accuracies differ from its as much as those of two seeds do.",
        "",
        f"Written by cifar-search {__version__}.",
    ]
    return "\n".join(lines)


def _harmless(name: str) -> str:
    """Return a study's name as it can stand in a docstring."""
    return repr(name)[1:-1].replace('"', "'")
