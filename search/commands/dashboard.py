"""`cifar-search dashboard`."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import click

from search.commands import options
from search.dashboard.access import PASSWORD_VARIABLE, Access, access_to, chosen_password
from search.dashboard.public_url import PublicUrl
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
@click.option(
    "--url",
    metavar="URL",
    help="Address that browsers open where a reverse proxy serves the dashboard, such as "
    "https://host/prefix/.",
)
@click.option("--read-only", is_flag=True, help="Refuse every request that would change something.")
def dashboard(
    storage: str | None, home: Home, host: str, port: int, url: str | None, read_only: bool
) -> None:
    """Serve optuna-dashboard to browsers on this machine, until Ctrl-C.

    From another machine, open it through a tunnel, which is encrypted: after
    ssh -L 8080:localhost:8080 HOST, http://localhost:8080/ there is this machine's dashboard. The same
    works for `start --dashboard` and `resume --dashboard`, with the port that they print.

    With --host, others on the network can open it; that connection is NOT encrypted. With --url, it expects
    a reverse proxy in front, which may speak TLS, and may keep or remove the path of the URL. In both cases
    it asks for the password in the environment variable CIFAR_SEARCH_PASSWORD, or else for one that it
    generates and prints. With --read-only it asks for a password only if that variable is set.
    """
    from search.dashboard.app import serving
    from search.storage.opening import existing_storage

    place = place_of(host, port)
    public = None if url is None else PublicUrl.parse(url)
    access, generated = access_to(place, chosen_password(), read_only=read_only, public=public)
    opened = existing_storage(home, storage)
    # Who needs a password is not decided by the permissions of a file.
    access = replace(access, read_only=read_only or opened.read_only)
    with serving(opened, place, home, access) as address:
        click.echo(f"The dashboard is at {public or address} (Ctrl-C ends it).")
        for line in _explained(place, access, urlsplit(address).port or 0, generated):
            click.echo(line)
        if opened.read_only and not read_only:
            click.echo("The reason: the database cannot be written to where it is.")
        # A Ctrl-C that comes while a connection's thread starts is noticed only when this one wakes up.
        while not threading.Event().wait(0.5):
            pass


def _explained(place: Place, access: Access, port: int, generated: bool) -> Iterator[str]:
    """Yield who can open it, with which password, and what to beware of."""
    name = socket.gethostname()
    if access.public is not None:
        yield f"The proxy must pass requests on to {place.url(port)}."
    if place.everybody:
        yield f"From other machines, it is at http://{name}:{port}/, or at this machine's IP address."
    if generated:
        yield f"Its password, with any user name, is: {access.password}"
        yield f"(a new one at every start; set {PASSWORD_VARIABLE} for a permanent one)"
    elif access.password is not None:
        yield f"It asks for the password in {PASSWORD_VARIABLE}, with any user name."
    elif access.public is not None or not place.loopback:
        yield "It has no password: anyone who can reach it can see every study."
    if access.read_only:
        yield "It is read-only: nothing can be changed."
    if not place.loopback:
        secrets = "everything" if access.password is None else "everything, including the password"
        yield f"The connection is NOT encrypted: anyone on the network can read {secrets}."
        yield f"Safer, without --host:  ssh -L {port}:localhost:{port} {name}"
