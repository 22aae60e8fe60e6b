"""`cifar-search export`."""

from pathlib import Path

import click

from search.commands import options
from search.home import Home

__all__ = ["export"]


@click.command()
@options.study_argument
@options.storage
@options.home
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    metavar="K",
    help="Number of configurations, the best first.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["toml", "json", "yaml"]),
    default="toml",
    show_default=True,
    help="Format of the files.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder to write to.  [default: HOME/exports/STUDY]",
)
def export(
    study: str | None, storage: str | None, home: Home, top: int, format_: str, out: Path | None
) -> None:
    """Write the best configurations as files.

    Each file has the recipe and the origin of its score; the newest study is taken by default.
    """
    from search.results.export import FORMATS, export_best
    from search.results.reader import open_existing

    found = open_existing(home, storage, study)
    (checked,) = [one for one in FORMATS if one == format_]
    own = found.folder(home)
    for path in export_best(found, own, out or home.exports(found.name), top, checked):
        click.echo(path)
