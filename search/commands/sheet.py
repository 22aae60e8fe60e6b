"""`cifar-search sheet`."""

from pathlib import Path

import click

from search.commands import options

__all__ = ["sheet"]


@click.command()
@click.argument(
    "config", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[CONFIG]"
)
@click.option(
    "--space",
    metavar="NAME|FILE",
    help="Use the augmentation of a space's first known configuration.",
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
    help="File to write.",
)
@click.option(
    "--columns",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="Number of augmented versions of each image.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Random seed for the choice of images and their augmentation.",
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
    """Draw augmented training images.

    Shows images of each class and several versions of each, with the augmentation of a configuration or a
    space, or the one that --set describes.
    """
    from cifar_core.data.dataset import open_data
    from search.errors import ServiceError, UsageError
    from search.results.augmentation_sheet import (
        augmentation_of,
        described,
        draw_sheet,
        with_settings,
    )

    if config is not None and space is not None:
        raise UsageError("Give a CONFIG or --space, not both.")
    if config is None and space is None and not settings:
        raise UsageError(
            "There is nothing to show: give a CONFIG file, --space NAME, or an augmentation such as "
            "--set policy=auto --set strength=1."
        )
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out must end in .png, but got {out}.")
    origin, base = augmentation_of(config, space)
    augmentation = with_settings(base, settings)
    changed = ", changed by --set" if settings else ""
    click.echo(f"{origin}{changed}: {described(augmentation)}")
    folder = options.images_folder()
    images = open_data(data or str(folder), folder)
    if images.notice:
        click.echo(f"note: {images.notice}", err=True)
    drawn = draw_sheet(augmentation, images, columns, seed)
    if drawn.unchanged:
        click.echo(
            "note: no image is changed; a policy, for example, needs a strength above 0.", err=True
        )
    try:
        drawn.write(out)
    except OSError as error:
        raise ServiceError(f"{out} cannot be written: {error.strerror}.") from error
    click.echo(str(out))
