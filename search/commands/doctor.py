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
    """Check this machine, and estimate the speed of a search.

    Checks versions, devices, images, home and storage, trains for a few seconds in all workers at once,
    and estimates the time of a trial and of a search from that. Nothing is created, downloaded or left
    behind. The exit code is 1 if a search could not run here.
    """
    from rich.console import Console

    from search.commands.printing import page_console
    from search.errors import ServiceError
    from search.formatting import one_line

    try:
        from search.doctor.examine import examine
        from search.views.doctor_page import examination_page, examination_to_dict
    except (ImportError, OSError) as error:  # an incomplete library fails when it is imported
        raise ServiceError(
            f"The installation is incomplete: {one_line(str(error))}. Repeat it: make clean start, or "
            "pip install --force-reinstall cifar-search"
        ) from error

    request = DoctorRequest(data=data, storage=storage, device=device, workers=workers)
    folder = options.images_folder()
    with Console(stderr=True).status("Checking") as shown:
        found = examine(home, request, folder, lambda what: shown.update(f"{what} ..."))
    if as_json:
        click.echo(json.dumps(examination_to_dict(found), indent=2))
    else:
        page_console().print(examination_page(found))
    return 0 if found.works else 1
