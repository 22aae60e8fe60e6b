"""The winner on images: its network on the validation part, and its augmentation on training images."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.image import imsave

from cifar_core.checkpoint import load_state
from cifar_core.data.dataset import SYNTHETIC, DataSet, folder_of
from cifar_core.data.locating import locate
from cifar_core.data.resident import Normalization, Splits, splits_of
from cifar_core.data.split import split
from cifar_core.device import backend_of
from cifar_core.diagnostics import (
    augmented_versions,
    class_accuracies,
    confusion,
    one_of_each_class,
    short_names,
)
from cifar_core.errors import CheckpointError, DataError, NetworkError, UntrustedError
from cifar_core.models import network_of
from cifar_core.recipe import Recipe
from search.home import StudyFolder
from search.report.record import Diagnosis, Missing, Versions
from search.results.augmentation_sheet import described
from search.study.rows import TrialRow
from search.study.settings import DataIdentity

__all__ = ["Images", "diagnosed", "find_images", "sheet_of"]

COLUMNS = 7
GAP = 2
"""Pixels between the images of a sheet."""


class Images:
    """The images of a study, read again.

    Attributes:
        splits: Both parts, as the study has them.
        classes: Names of the classes.
    """

    def __init__(self, splits: Splits, classes: tuple[str, ...]) -> None:
        self.splits = splits
        self.classes = classes


def find_images(identity: DataIdentity, data: str | None, folder: Path) -> Images | Missing:
    """Read the images of a study where they are; nothing is downloaded, and no test file is opened.

    Args:
        identity: The images of the study.
        data: The value of ``--data``; None for the default.
        folder: The folder of the images by default.
    """
    try:
        if identity.name == SYNTHETIC:
            found = DataSet(SYNTHETIC)
        else:
            place = folder_of(data or str(folder), folder)
            source = locate(place)
            if source is None:
                return Missing(f"There are no images in {place}; name their folder with --data.")
            found = DataSet.of(source)
        labelled = found.read_train()
        splits = splits_of(
            labelled, split(labelled, identity.train, confirming=identity.confirming)
        )
    except (DataError, OSError) as error:
        return Missing(f"The images cannot be read: {error}")
    if splits.digest != identity.split:
        return Missing(
            "The images found are not those of the study; name the folder that it was started with "
            "with --data."
        )
    return Images(splits, short_names(found.classes))


def diagnosed(row: TrialRow, folder: StudyFolder, images: Images | Missing) -> Diagnosis | Missing:
    """Measure the network of a trial on the validation images.

    Args:
        row: The trial.
        folder: The study's files, which have its checkpoint if it was kept.
        images: The images of the study.
    """
    path, origin = folder.checkpoint(row.number), "the search"
    if not path.exists():
        path, origin = folder.confirmation(row.number, 1), "its first confirming training"
    if not path.exists():
        return Missing(
            f"The trained network of trial {row.number} is not in this home. Studies keep that of the best "
            "trial; --keep N keeps more."
        )
    if isinstance(images, Missing):
        return images
    recipe = Recipe.read(row.recipe, f"the recipe of trial {row.number}")
    try:
        weights = load_state(path)["network"]
        network = network_of(_untrained(recipe).network, images.splits.train.classes)
        network.load_state_dict(weights)
    except UntrustedError:
        return Missing(
            f"The network of trial {row.number} is made by code of its own, which a report runs only with "
            "--trust, in the folder of the code."
        )
    except (CheckpointError, NetworkError, LookupError, RuntimeError, TypeError) as error:
        return Missing(f"The trained network of trial {row.number} cannot be read: {error}")
    cpu, validation = torch.device("cpu"), images.splits.validation
    backend = backend_of(recipe, cpu)
    normalize = Normalization.of(recipe, images.splits)
    counts = confusion(backend.place(network), validation, normalize, backend)
    return Diagnosis(
        trial=row.number,
        origin=origin,
        accuracy=int(counts.diagonal().sum()) / len(validation),
        per_class=dict(zip(images.classes, class_accuracies(counts), strict=True)),
        confusion=counts.tolist(),
    )


def sheet_of(row: TrialRow, images: Images | Missing, seed: int) -> Versions | Missing:
    """Draw what the augmentation of a trial does to an image of each class.

    Args:
        row: The trial.
        images: The images of the study.
        seed: Random seed.
    """
    if isinstance(images, Missing):
        return images
    augmentation = Recipe.read(row.recipe, f"the recipe of trial {row.number}").augmentation
    part = images.splits.train
    rows = one_of_each_class(part, seed)
    originals = part.images[rows]  # (R, 3, 32, 32)
    versions = augmented_versions(part, rows, augmentation, COLUMNS, seed)  # (R, N, 3, 32, 32)
    tiles = torch.cat([originals[:, None], versions], dim=1).numpy()
    return Versions(
        png=_png(tiles),
        classes=tuple(images.classes[label] for label in part.labels[rows].tolist()),
        columns=1 + COLUMNS,
        words=described(augmentation),
        unchanged=bool((versions == originals[:, None]).all()),
    )


def _untrained(recipe: Recipe) -> Recipe:
    """The recipe with random weights: those of the checkpoint replace any, so none are fetched."""
    if getattr(recipe.network, "weights", "random") == "random":
        return recipe
    return recipe.model_copy(
        update={"network": recipe.network.model_copy(update={"weights": "random"})}
    )


def _png(tiles: npt.NDArray[np.uint8]) -> bytes:
    """Lay out (R, C, 3, H, W) as one picture, with transparent gaps."""
    rows, columns, _, height, width = tiles.shape
    size = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 4)
    canvas = np.zeros(size, dtype=np.uint8)
    for row, column in np.ndindex(rows, columns):
        top, left = row * (height + GAP), column * (width + GAP)
        place = (slice(top, top + height), slice(left, left + width))
        canvas[*place, :3] = tiles[row, column].transpose(1, 2, 0)
        canvas[*place, 3] = 255
    with io.BytesIO() as content:
        imsave(content, canvas, format="png")
        return content.getvalue()
