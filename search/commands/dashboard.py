"""`cifar-search dashboard`."""

import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import click

from search.commands import options
from search.dashboard.access import PASSWORD_VARIABLE, Access, access_to, chosen_password
from search.dashboard.server import LOOPBACK, Place, place_of
from search.home import Home

__all__ = ["dashboard"]


@click.command()
@options.storage
@options.home
@click.option(
    "--host",
    default=LOOPBACK,
    show_default=True,
    metavar="ADDRESS",
    help="Address or name of this machine to listen on; 0.0.0.0 and :: mean all its addresses.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option("--read-only", is_flag=True, help="Refuse all requests that would change something.")
def dashboard(storage: str | None, home: Home, host: str, port: int, read_only: bool) -> None:
    """Serve optuna-dashboard to browsers.

    It serves browsers on this machine until Ctrl-C. From another machine, it is best reached through a
    tunnel, which is encrypted: after ssh -L 8080:localhost:8080 HOST it is at http://localhost:8080/
    there. This also works for the dashboards of `start --dashboard` and `resume --dashboard`, with the
    port that they print.

    With another --host, others on the network can open it. The connection is NOT encrypted. The password
    is taken from the environment variable CIFAR_SEARCH_PASSWORD; without it, a new one is made up and
    printed. With --read-only, no password is made up.
    """
    from search.dashboard.app import serving
    from search.storage.opening import existing_storage

    place = place_of(host, port)
    access, generated = access_to(place, chosen_password(), read_only=read_only)
    with serving(existing_storage(home, storage), place, home.artifacts, access) as address:
        click.echo(f"The dashboard is at {address} (Ctrl-C ends it).")
        for line in _explained(place, access, urlsplit(address).port or 0, generated):
            click.echo(line)
        # A Ctrl-C that comes while a connection's thread starts is noticed only when this one wakes up.
        while not threading.Event().wait(0.5):
            pass


def _explained(place: Place, access: Access, port: int, generated: bool) -> Iterator[str]:
    """The ways to open it, its password, and its risks."""
    name = socket.gethostname()
    if place.everybody:
        yield f"From other machines, it is at http://{name}:{port}/, or at this machine's IP address."
    if generated:
        yield f"Its password, with any user name, is: {access.password}"
        yield f"(a new one at every start; set {PASSWORD_VARIABLE} for a permanent one)"
    elif access.password is not None:
        yield f"It asks for the password in {PASSWORD_VARIABLE}, with any user name."
    elif not place.loopback:
        yield "It has no password: anyone who reaches it can see every study."
    if access.read_only:
        yield "It is read-only: nothing can be changed."
    if not place.loopback:
        secrets = "everything" if access.password is None else "everything, including the password"
        yield f"The connection is NOT encrypted: anyone on the network can read {secrets}."
        yield f"Safer, without --host:  ssh -L {port}:localhost:{port} {name}"
