"""`cifar-search sheet`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.commands import options

if TYPE_CHECKING:
    from cifar_core.recipe import Augmentation

__all__ = ["sheet"]


@click.command()
@click.argument(
    "config", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[CONFIG]"
)
@click.option(
    "--space",
    metavar="NAME|FILE",
    help="Show the augmentation of a space's first known configuration.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the augmentation, such as strength=0.5; can be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="augmentations.png",
    show_default=True,
    metavar="FILE.png",
    help="The sheet.",
)
@click.option(
    "--columns",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="Augmented versions of each image.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Chooses the images and what happens to them.",
)
@options.data_folder
def sheet(
    config: Path | None,
    space: str | None,
    settings: tuple[str, ...],
    out: Path,
    columns: int,
    seed: int,
    data: str | None,
) -> None:
    """Draw augmented training images of each class, of a configuration, a space, or --set."""
    from search.errors import ServiceError, UsageError

    if config is not None and space is not None:
        raise UsageError("Give a CONFIG or --space, not both.")
    if config is None and space is None and not settings:
        raise UsageError(
            "There is nothing to show: give a CONFIG file, --space NAME, or an augmentation such as "
            "--set policy=auto --set strength=1."
        )
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out must end in .png, but got {out}.")
    origin, base = _chosen(config, space)
    record = _changed(base, settings)
    click.echo(f"{origin}{', changed by --set' if settings else ''}: {_described(record)}")
    try:
        _draw(record, data, columns, seed, out)
    except OSError as error:
        raise ServiceError(f"{out} cannot be written: {error.strerror}.") from error
    click.echo(str(out))


def _chosen(config: Path | None, space: str | None) -> tuple[str, "Augmentation"]:
    """What is to be shown before --set, and where it comes from in words."""
    from cifar_core.recipe import Augmentation, Recipe
    from search.formatting import one_line
    from search.recipe_files import read_configuration
    from spaces.files import load_space

    if config is not None:
        return one_line(str(config)), read_configuration(config).augmentation
    if space is None:
        return "augmentation", Augmentation()
    loaded = load_space(space)
    if loaded.known:
        first = loaded.known[0]
        named = f"known configuration {one_line(first.name)!r} of space {loaded.name}"
        return named, loaded.recipe_of(first.values).augmentation
    # Only this section: without its parameters the rest may be no recipe.
    section = {"augmentation": loaded.recipe.get("augmentation", {})}
    named = f"fixed recipe of space {loaded.name}, which has no known configuration"
    return named, Recipe.read(section, f"the recipe of space {loaded.name}").augmentation


def _changed(record: "Augmentation", settings: Sequence[str]) -> "Augmentation":
    """`record` with the fields that --set names."""
    from pydantic import ValidationError

    from cifar_core.records import explain, listed
    from search.errors import UsageError

    values = record.model_dump()
    for setting in settings:
        field, given, value = setting.partition("=")
        if not given or not field.strip():
            raise UsageError(f"--set takes FIELD=VALUE, such as strength=0.5, but got {setting!r}.")
        values[field.strip()] = _value(value.strip())
    try:
        return type(record).model_validate(values)
    except ValidationError as error:
        fields = ", ".join(type(record).model_fields)
        raise UsageError(
            f"--set makes no valid augmentation:\n{listed(explain(error))}\nThe fields are: {fields}."
        ) from error


def _value(text: str) -> int | float | str:
    """A whole number, a number, or else the text itself; the record says which of them it takes."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _described(record: "Augmentation") -> str:
    """The fields that are not what they are by default."""
    plain, default = record.model_dump(), type(record)().model_dump()
    changed = [f"{name} {value}" for name, value in plain.items() if value != default[name]]
    return ", ".join(changed) or "no augmentation"


def _draw(
    record: "Augmentation",
    data: str | None,
    columns: int,
    seed: int,
    out: Path,
) -> None:
    """Read the images, augment some of those that a search would train on, and write the sheet."""
    from cifar_core.data.dataset import open_data
    from cifar_core.data.resident import Part
    from cifar_core.data.split import split
    from cifar_core.diagnostics import augmented_versions, one_of_each_class, short_names
    from cifar_core.plots.sheet import sheet_figure
    from cifar_core.plots.style import caption, write_png
    from search.study.settings import DataIdentity

    place = options.images_folder()
    found = open_data(data or str(place), place)
    if found.notice:
        click.echo(f"note: {found.notice}", err=True)
    labelled = found.read_train()
    parts = split(labelled)
    part = Part.of(labelled.images[parts.train], labelled.labels[parts.train])
    rows = one_of_each_class(part, seed)
    versions = augmented_versions(part, rows, record, columns, seed)
    if bool((versions == part.images[rows][:, None]).all()):
        click.echo(
            "note: no image is changed; a policy, for one, needs a strength above 0.", err=True
        )
    names = short_names(found.classes)
    identity = DataIdentity(
        name=found.name,
        official=labelled.official,
        train=len(part),
        validation=len(parts.validation),
        split=parts.digest,
    )
    figure = sheet_figure(
        part.images[rows].numpy(),
        versions.numpy(),
        [names[label] for label in part.labels[rows].tolist()],
        _described(record),
        caption(identity.described(), "training images", [seed]),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_png(figure, out)
