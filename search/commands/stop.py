"""`cifar-search stop`."""

import time

import click

from search.commands import options
from search.home import Home

__all__ = ["stop"]


@click.command()
@options.study_argument
@options.storage
@options.home
@click.option("--no-wait", is_flag=True, help="Don't wait until the search has stopped.")
def stop(study: str | None, storage: str | None, home: Home, no_wait: bool) -> None:
    """Stop a running search: its epochs are finished and saved, nothing is lost."""
    from search.reading import open_existing

    name = open_existing(home, storage, study).name
    folder = home.study(name)
    if folder.holder() is None:
        click.echo(f"Study {name} is not running.")
        return
    folder.stop_request.touch()
    click.echo(f"Study {name} is asked to stop; its running trials finish their epoch.")
    while not no_wait and folder.holder() is not None:
        time.sleep(0.2)
    if not no_wait:
        click.echo(f"Stopped. Go on with: cifar-search resume {name}{home.flag}")
