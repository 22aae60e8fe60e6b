"""`cifar-search export`."""

from pathlib import Path

import click

from search.commands import options
from search.home import Home
from search.results.export.formats import FORMATS, Format

__all__ = ["export"]


@click.command()
@options.study_argument
@options.storage
@options.home
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    metavar="K",
    help="Number of configurations, the best first.  [default: 1]",
)
@click.option(
    "--trial",
    type=click.IntRange(0),
    metavar="N",
    help="This trial instead, complete or not.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="toml",
    show_default=True,
    help=(
        "Format of the files: a configuration (toml, json, yaml), a program that trains it with PyTorch "
        "alone (python), or the trained network with all that belongs to it (safetensors, onnx)."
    ),
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder to write to.  [default: HOME/exports/STUDY]",
)
def export(
    study: str | None,
    storage: str | None,
    home: Home,
    top: int | None,
    trial: int | None,
    format_: Format,
    out: Path | None,
) -> None:
    """Write the best configurations, or any trial, as files.

    Configurations and programs have the trained network beside them if the search has kept it. Each file
    has the recipe and the origin of its score; the newest study is taken by default.
    """
    from search.commands.error_messages import for_terminal
    from search.errors import UsageError
    from search.results.export.configurations import export_best, export_trial
    from search.results.reader import open_existing

    if top is not None and trial is not None:
        raise UsageError("Give either --top K or --trial N.")
    found = open_existing(home, storage, study)
    own, folder = found.folder(home), out or home.exports(found.name)
    if trial is not None:
        written = export_trial(found, own, folder, trial, format_)
    else:
        written = export_best(found, own, folder, top or 1, format_)
    for path in written.paths:
        click.echo(path)
    for note in written.notes:
        click.echo(f"note: {for_terminal(note)}", err=True)
