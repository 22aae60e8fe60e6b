"""A sheet of augmented training images: its augmentation, and its plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from pydantic import ValidationError

from cifar_core.data.dataset import DataSet
from cifar_core.data.resident import splits_of
from cifar_core.data.split import split
from cifar_core.diagnostics import augmented_versions, one_of_each_class, short_names
from cifar_core.plots.sheet import sheet_figure
from cifar_core.plots.style import caption, write_png
from cifar_core.recipe import Augmentation, Recipe
from cifar_core.records import explain, listed
from cifar_core.text_files import one_line
from search.errors import UsageError
from search.formatting import number
from search.recipe_files import read_configuration
from search.workers.shared_images import identity_of
from spaces.files import load_space

__all__ = ["Sheet", "augmentation_of", "described", "draw_sheet", "with_settings"]


@dataclass(frozen=True)
class Sheet:
    """A drawn sheet.

    Attributes:
        figure: The plot.
        unchanged: No image differs from its original.
    """

    figure: Figure
    unchanged: bool

    def write(self, path: Path) -> None:
        """Write the sheet as a PNG file.

        Raises:
            OSError: The file cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(self.figure, path)


def augmentation_of(config: Path | None, space: str | None) -> tuple[str, Augmentation]:
    """Return the augmentation of a configuration file or a space, after its origin in words.

    Args:
        config: A configuration file, or None.
        space: Name or file of a space, or None; without either it is no augmentation.

    Raises:
        UsageError: The file is no configuration.
        SpaceError: The space is not there or not valid.
        RecipeError: The recipe is not valid.
    """
    if config is not None:
        return one_line(str(config)), read_configuration(config, "sheet").augmentation
    if space is None:
        return "augmentation", Augmentation()
    loaded = load_space(space)
    if loaded.known:
        first = loaded.known[0]
        origin = f"known configuration {one_line(first.name)!r} of space {loaded.name}"
        return origin, loaded.recipe_of(first.values).augmentation
    # Only this section: without its parameters, the rest may not be a valid recipe.
    section = {"augmentation": loaded.recipe.get("augmentation", {})}
    origin = f"fixed recipe of space {loaded.name}, which has no known configuration"
    return origin, Recipe.read(section, f"the recipe of space {loaded.name}").augmentation


def with_settings(augmentation: Augmentation, settings: Sequence[str]) -> Augmentation:
    """Return the augmentation with fields changed by ``FIELD=VALUE`` settings.

    Raises:
        UsageError: A setting is malformed, or the result is no valid augmentation.
    """
    values = augmentation.model_dump()
    for setting in settings:
        field, given, value = setting.partition("=")
        if not given or not field.strip():
            raise UsageError(f"--set takes FIELD=VALUE, such as strength=0.5, but got {setting!r}.")
        values[field.strip()] = _number_or_text(value.strip())
    try:
        return Augmentation.model_validate(values)
    except ValidationError as error:
        fields = ", ".join(Augmentation.model_fields)
        raise UsageError(
            f"--set gives no valid augmentation:\n{listed(explain(error))}\nThe fields are: {fields}."
        ) from error


def described(augmentation: Augmentation) -> str:
    """Return the fields that differ from their defaults, in words."""
    values, default = augmentation.model_dump(), Augmentation().model_dump()
    changed = [
        f"{name} {number(value) if isinstance(value, float) else value}"
        for name, value in values.items()
        if value != default[name]
    ]
    return ", ".join(changed) or "no augmentation"


def draw_sheet(augmentation: Augmentation, data: DataSet, columns: int, seed: int) -> Sheet:
    """Augment one training image of each class several times, and draw all of them.

    Args:
        augmentation: The augmentation.
        data: The images; the test files are not opened.
        columns: Number of versions of each image.
        seed: Random seed for the choice of images and their augmentation.
    """
    labelled = data.read_train()
    splits = splits_of(labelled, split(labelled))
    part = splits.train
    rows = one_of_each_class(part, seed)
    originals = part.images[rows]  # (classes, 3, 32, 32)
    versions = augmented_versions(
        part, rows, augmentation, columns, seed
    )  # (classes, columns, 3, 32, 32)
    names = short_names(data.classes)
    identity = identity_of(data, splits, official=labelled.official)
    figure = sheet_figure(
        originals.numpy(),
        versions.numpy(),
        [names[label] for label in part.labels[rows].tolist()],
        described(augmentation),
        caption(identity.described(), "training images", [seed]),
    )
    return Sheet(figure, unchanged=bool((versions == originals[:, None]).all()))


def _number_or_text(text: str) -> int | float | str:
    """A whole number, another number, or the text itself; the record says which it takes."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
