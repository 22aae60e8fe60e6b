"""`cifar-search dashboard`."""

import threading

import click

from search.commands import options
from search.home import Home

__all__ = ["dashboard"]


@click.command()
@options.storage
@options.home
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
def dashboard(storage: str | None, home: Home, port: int) -> None:
    """Serve optuna-dashboard to browsers on this machine, until Ctrl-C.

    It listens on 127.0.0.1 only. From elsewhere, forward the port: ssh -L 8080:localhost:8080 HOST
    """
    from search.dashboard import serving
    from search.reading import existing_storage

    with serving(existing_storage(home, storage), port, home.artifacts) as address:
        click.echo(f"The dashboard is at {address} (Ctrl-C ends it).")
        # A Ctrl-C that arrives while a connection's thread starts is seen only when this one wakes up.
        while not threading.Event().wait(0.5):
            pass
