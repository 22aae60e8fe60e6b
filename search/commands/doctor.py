"""`cifar-search doctor`."""

import json

import click

from search.commands import options
from search.home import Home
from search.request import DoctorRequest

__all__ = ["doctor"]


@click.command()
@options.data_folder
@options.home
@options.storage
@options.device
@options.workers
@options.json_output
def doctor(
    home: Home,
    data: str | None,
    storage: str | None,
    device: str,
    workers: int | None,
    as_json: bool,
) -> int:
    """See what works here and what does not, and how fast a search would be.

    It looks at versions, devices, images, home and storage, trains for some seconds in all workers at
    once, and says how long a trial and a search take at that speed. Nothing is made, downloaded or left
    behind. The exit code is 1 if a search could not run here.
    """
    from rich.console import Console

    from search.commands.printing import page_console
    from search.errors import ServiceError
    from search.formatting import one_line

    try:
        from search.doctor.examine import examine
        from search.views.doctor_page import examination_page
    except (ImportError, OSError) as error:  # a library that is not whole says so when it is loaded
        raise ServiceError(
            f"The installation is not whole: {one_line(str(error))}. Make it again: make clean start, "
            "or pip install --force-reinstall cifar-search"
        ) from error

    request = DoctorRequest(data=data, storage=storage, device=device, workers=workers)
    folder = options.images_folder()
    with Console(stderr=True).status("Looking") as shown:
        found = examine(home, request, folder, lambda what: shown.update(f"{what} ..."))
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        page_console().print(examination_page(found))
    return 0 if found.works else 1
