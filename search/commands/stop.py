"""`cifar-search stop`."""

import time
from pathlib import Path
from socket import gethostname

import click

from search.command_lines import command_line
from search.commands import options
from search.home import Home

__all__ = ["stop"]

SECONDS_BETWEEN_LOOKS = 0.2


@click.command()
@options.study_argument
@options.storage
@options.home
@click.option("--no-wait", is_flag=True, help="Do not wait until the search has stopped.")
@click.option("--trial", type=click.IntRange(0), metavar="N", help="Drop only this trial.")
def stop(
    study: str | None, storage: str | None, home: Home, no_wait: bool, trial: int | None
) -> None:
    """Stop a running search, or drop one of its trials.

    Nothing is lost: running trials finish and save their epoch first. A trial that is dropped counts as
    failed, and the search goes on with others.
    """
    from search.formatting import one_line
    from search.storage.opening import existing_storage
    from search.storage.study_lock import StudyLock
    from search.storage.urls import where_flags
    from search.study.dropping import drop
    from search.study.study import open_study

    opened = existing_storage(home, storage)
    found = open_study(opened, study)
    name = found.name
    if trial is not None:
        drop(found.optuna, trial)
        click.echo(f"Trial {trial} of study {one_line(name)} is dropped: it counts as failed.")
        return
    lock = StudyLock(home, opened, name)
    owner = lock.owner()
    if owner is None:
        click.echo(f"Study {name} is not running.")
        return
    lock.request_stop()
    click.echo(f"Study {name} was asked to stop; its running trials finish their epoch.")
    if no_wait:
        return
    while lock.owner() is not None:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    # Its checkpoints are in the home in which it ran.
    place = home if owner.home in {None, str(home.root.resolve())} else Home(Path(owner.home))
    there = "" if owner.host in {None, gethostname()} else f"on {owner.host}, "
    again = command_line(
        "resume",
        name,
        flags=where_flags(place, opened.url),
        trust=bool(found.settings.space.builders),
    )
    click.echo(f"Stopped. Continue with: {there}{again}")
