"""`cifar-search confirm`."""

import click

from search.commands import options
from search.commands.background import Background, in_background
from search.commands.engine_option import engine
from search.home import Home
from search.study.choices import (
    DEFAULT_CONFIRM,
    DEFAULT_CONFIRM_SEEDS,
    MOST_CONFIRM_SEEDS,
    MOST_FINALISTS,
)
from search.workers.engine_options import EngineOptions

__all__ = ["confirm"]


@click.command()
@options.study_argument
@options.storage
@options.home
@click.option(
    "--top",
    type=click.IntRange(1, MOST_FINALISTS),
    metavar="K",
    help=f"Number of best trials.  [default: the study's, which is {DEFAULT_CONFIRM} at first]",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, MOST_CONFIRM_SEEDS),
    metavar="N",
    help=(
        "Trainings of each at most; those that are clearly behind get two.  "
        f"[default: the study's, which is {DEFAULT_CONFIRM_SEEDS} at first]"
    ),
)
@engine(
    "Number of trials that train at the same time. Several can share a GPU, which small networks do not "
    "fill; each gets an equal part of its memory."
)
@options.device
@options.compile_networks
@options.hang_after
@options.data_folder
@options.trust
@options.track
@options.detach
@options.json_output
def confirm(
    study: str | None,
    storage: str | None,
    home: Home,
    top: int | None,
    seeds: int | None,
    engine: EngineOptions,
    device: str,
    compile_networks: bool,
    hang_after: float,
    data: str | None,
    trust: bool,
    track: tuple[str, ...],
    detach: bool,
    as_json: bool,
) -> int:
    """Train the best of a study anew, and say which is better.

    The best trials and the best known configurations are trained to the end on fresh seeds, and scored on
    validation images that took no part in the search. Trainings that a study has are not repeated, so more
    seeds can be added at any time. Ctrl-C finishes the running epochs, saves and stops.
    """
    from search.request import ConfirmRequest

    request = ConfirmRequest(
        study, storage, top, seeds, engine, device, data, compile_networks, hang_after, trust, track
    )

    def search(background: Background | None = None) -> int:
        from search.commands.running import run_search
        from search.service.confirm import confirm as confirm_study

        return run_search(
            home,
            storage or home.storage_url(),
            data,
            lambda observe, folder: confirm_study(home, request, observe, folder),
            serve=None,
            as_json=as_json,
            background=background,
        )

    return in_background(search, as_json=as_json) if detach else search()
