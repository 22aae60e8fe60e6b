"""A configuration to train: its recipe, its origin in a search, and the scale that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from cifar_core.recipe import Recipe
from cifar_core.records import Record, explain, listed, no_control
from cifar_core.text_files import one_line
from search.errors import UsageError
from search.recipe_files import read_configuration_file
from search.study.settings import DataIdentity
from spaces.errors import SpaceError
from spaces.files import load_space, shipped_names
from spaces.space import Known

__all__ = ["Configuration", "ConfirmedScore", "Provenance", "common_scale", "read_configurations"]

Name = Annotated[str, AfterValidator(no_control)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class ConfirmedScore(Record):
    """The conclusion of a confirmation about the configuration.

    Attributes:
        validation_accuracy: Mean accuracy, 0 to 1.
        half_width: Half the width of its interval, 0 to 1.
        seeds: Number of trainings.
    """

    model_config = ConfigDict(extra="ignore")

    validation_accuracy: Share
    half_width: Annotated[float, Field(ge=0.0)]
    seeds: Annotated[int, Field(ge=1)]


class Provenance(Record):
    """The origin of a configuration, from the section of this name in an exported file.

    Attributes:
        study: The study.
        space: Name of its space.
        trial: The trial.
        validation_accuracy: Its score in the search, 0 to 1.
        recipe_digest: Digest of the trial's recipe; the recipe of the file may have been changed since.
        data: The images of the study.
        confirmed: What a confirmation says about it; None without one.
        own_code: Hashes of the files that make its network; None where no code of the user's does.
    """

    model_config = ConfigDict(extra="ignore")

    study: Name
    space: Name
    trial: Annotated[int, Field(ge=0)]
    validation_accuracy: Share
    recipe_digest: Name
    data: DataIdentity
    confirmed: ConfirmedScore | None = None
    own_code: dict[Name, Name] | None = None

    def published(self) -> Known | None:
        """Return the space's known configuration of the highest published test accuracy, or None."""
        if self.space not in shipped_names():
            return None
        try:
            known = load_space(self.space).known
        except SpaceError:
            return None
        found = [one for one in known if one.published is not None]
        return max(found, key=lambda one: one.published or 0.0, default=None)


@dataclass(frozen=True)
class Configuration:
    """A configuration to train.

    Attributes:
        name: Its file, as it was given, on one line.
        recipe: The recipe.
        out: Folder for what its trainings leave.
        provenance: Its origin; None for a recipe that was written by hand.
    """

    name: str
    recipe: Recipe
    out: Path
    provenance: Provenance | None = None

    @classmethod
    def read(cls, path: Path, out: Path) -> Self:
        """Read a configuration from its file.

        Raises:
            UsageError: It is no configuration, or its section `provenance` is not as `export` writes it.
            RecipeError: It has no valid recipe.
        """
        found = read_configuration_file(path)
        return cls(one_line(str(path)), found.recipe, out, _provenance(found.provenance, path))

    @property
    def unchanged(self) -> Provenance | None:
        """The origin, if the recipe is still that of the trial."""
        origin = self.provenance
        return origin if origin and origin.recipe_digest == self.recipe.digest else None


def read_configurations(
    files: Sequence[Path], out: Path | None, suffix: Literal["", "-final"]
) -> tuple[Configuration, ...]:
    """Read configurations, each with a folder of its own.

    Args:
        files: The files.
        out: The folder of a single one, or the folder of the folders of several; by default each has the
            name of its file without its ending, beside the file.
        suffix: What is added to a default name.

    Raises:
        UsageError: A file is no configuration, or two of them would have the same folder.
        RecipeError: A file has no valid recipe.
    """
    folders = dict[Path, Path]()
    found = []
    for file in files:
        beside = file.with_name(f"{file.stem}{suffix}")
        folder = beside if out is None else out if len(files) == 1 else out / file.stem
        if (other := folders.get(folder)) is not None:
            raise UsageError(
                f"{file} is given twice."
                if other == file
                else f"{other} and {file} would both be written to {folder}. Give one another name."
            )
        folders[folder] = file
        found.append(Configuration.read(file, folder))
    return tuple(found)


def common_scale(configurations: Sequence[Configuration]) -> tuple[int, Provenance] | None:
    """Return the number of training images that the searches used, and one of these; None if none is known.

    Raises:
        UsageError: They used different numbers, so that trainings on them cannot be compared.
    """
    origins = [one.provenance for one in configurations if one.provenance is not None]
    scales = {origin.data.train: origin for origin in origins}
    if len(scales) > 1:
        lines = [
            f"{one.name}: {one.provenance.data.train:,} images"
            for one in configurations
            if one.provenance is not None
        ]
        raise UsageError(
            "The configurations were found with different numbers of training images:\n"
            f"{listed(lines)}\nName one for all, such as --train-images {max(scales)}."
        )
    return next(iter(scales.items()), None)


def _provenance(section: Any, path: Path) -> Provenance | None:
    if section is None:
        return None
    try:
        return Provenance.model_validate(section)
    except ValidationError as error:
        raise UsageError(
            f"Section [provenance] of {path} is not as cifar-search export writes it:\n"
            f"{listed(explain(error))}\n"
            "Export the configuration again, or remove the section and give --train-images."
        ) from error
