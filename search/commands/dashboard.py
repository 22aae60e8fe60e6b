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
    help="Address or name of this machine to listen on; 0.0.0.0 and :: are all its addresses.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--read-only", is_flag=True, help="Refuse every request that would change something.")
def dashboard(storage: str | None, home: Home, host: str, port: int, read_only: bool) -> None:
    """Serve optuna-dashboard to browsers on this machine, until Ctrl-C.

    From another machine it is best looked at through a tunnel, which is encrypted:
    ssh -L 8080:localhost:8080 HOST makes http://localhost:8080/ there this machine's. That works for the
    dashboard of `start --dashboard` and `resume --dashboard` too, with the port that they print.

    With another --host, others on the network can open it. The connection is NOT encrypted. It asks for
    the password in the environment variable CIFAR_SEARCH_PASSWORD, and without one for a password that it
    makes up and prints. With --read-only it asks for none but that in CIFAR_SEARCH_PASSWORD.
    """
    from search.dashboard.app import serving
    from search.storage.opening import existing_storage

    place = place_of(host, port)
    access, generated = access_to(place, chosen_password(), read_only=read_only)
    with serving(existing_storage(home, storage), place, home, access) as address:
        click.echo(f"The dashboard is at {address} (Ctrl-C ends it).")
        for line in _explained(place, access, urlsplit(address).port or 0, generated):
            click.echo(line)
        # A Ctrl-C that arrives while a connection's thread starts is seen only when this one wakes up.
        while not threading.Event().wait(0.5):
            pass


def _explained(place: Place, access: Access, port: int, generated: bool) -> Iterator[str]:
    """Who can open it, with what, and what to beware of."""
    name = socket.gethostname()
    if place.everybody:
        yield f"From other machines it is at http://{name}:{port}/, or at this machine's IP address."
    if generated:
        yield f"Its password, with any user name, is: {access.password}"
        yield f"(new at every start; {PASSWORD_VARIABLE} sets one that stays)"
    elif access.password is not None:
        yield f"It asks for the password in {PASSWORD_VARIABLE}, with any user name."
    elif not place.loopback:
        yield "It has no password: whoever reaches it can see every study."
    if access.read_only:
        yield "It is read-only: nothing can be changed with it."
    if not place.loopback:
        secrets = "everything" if access.password is None else "everything, the password too"
        yield f"The connection is NOT encrypted: who listens on the network can read {secrets}."
        yield f"Safer, without --host:  ssh -L {port}:localhost:{port} {name}"
