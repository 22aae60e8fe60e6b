"""`cifar-search copy`."""

import click

from search.command_lines import command_line
from search.commands import options
from search.home import TO_STORAGE_VARIABLE, Home

__all__ = ["copy"]


@click.command()
@options.study_argument
@options.storage
@options.home
@options.to_home
@click.option(
    "--to-storage",
    envvar=TO_STORAGE_VARIABLE,
    show_envvar=True,
    metavar="URL",
    help="Optuna storage for the copy.  [default: sqlite:///TO-HOME/studies.db]",
)
@click.option("--name", metavar="NAME", help="Name of the copy.  [default: the study's name]")
def copy(
    study: str | None,
    storage: str | None,
    home: Home,
    to_home: Home | None,
    to_storage: str | None,
    name: str | None,
) -> None:
    """Copy a study to another home, storage or name.

    The newest study is copied by default, with all its trials, notes, checkpoints and artifacts. The copy
    continues as the study would have. An interrupted copy is discarded; run the command again.
    """
    from search.errors import UsageError
    from search.formatting import counted, one_line
    from search.storage.opening import existing_storage, open_storage
    from search.storage.study_copy import copy_study
    from search.storage.urls import where_flags

    if to_home is None and name is None:
        raise UsageError("Give --to-home DIR, --name NAME, or both.")
    place = to_home or home
    opened = existing_storage(home, storage)
    place.create()
    target = open_storage(to_storage or place.storage_url())
    copied = copy_study(home, opened, study, place, target, name)
    for words in copied.lacking:
        click.echo(f"note: {one_line(words)}", err=True)
    rest = f", {copied.unfinished} of them unfinished" if copied.unfinished else ""
    made = copied.study.name
    click.echo(f"Copied: study {one_line(made)} with {counted(copied.trials, 'trial')}{rest}.")
    look = command_line("status", made, flags=where_flags(place, target.url))
    click.echo(f"Look at it with: {look}")
