"""`cifar-search copy`."""

import click

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
    help="Optuna storage of the copy.  [default: sqlite:///TO-HOME/studies.db]",
)
@click.option("--name", metavar="NAME", help="The copy's name.  [default: the study's]")
def copy(
    study: str | None,
    storage: str | None,
    home: Home,
    to_home: Home | None,
    to_storage: str | None,
    name: str | None,
) -> None:
    """Copy a study, the newest by default, to another home, storage or name.

    The copy has all trials, notes, checkpoints and artifacts, and goes on as the study would have.
    A copy that was interrupted is no study; the same command makes it anew.
    """
    from search.errors import UsageError
    from search.formatting import one_line
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
    click.echo(f"Copied: study {made} with {copied.trials} trials{rest}.")
    click.echo(f"Look at it with: cifar-search status {made}{where_flags(place, target.url)}")
