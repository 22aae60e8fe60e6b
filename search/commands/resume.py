"""`cifar-search resume`."""

import click

from search.commands import options
from search.commands.background import Background, in_background
from search.commands.engine_option import engine
from search.home import Home
from search.workers.engine_options import EngineOptions

__all__ = ["resume"]


@click.command()
@options.study_argument
@options.storage
@options.home
@click.option(
    "--trials",
    type=click.IntRange(1),
    metavar="N",
    help="New total of trials.  [default: unchanged]",
)
@click.option(
    "--timeout",
    type=options.Duration(),
    metavar="TIME",
    help="New total time, such as 30m or 2h.  [default: unchanged]",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    metavar="N",
    help="Stop starting trials after N in a row without improvement.  [default: unchanged]",
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
@click.option(
    "--keep",
    type=click.IntRange(0),
    metavar="N",
    help="New number of best trials whose trained networks are kept.  [default: unchanged]",
)
@options.confirm("unchanged")
@options.track
@options.dashboard
@options.detach
@options.json_output
def resume(
    study: str | None,
    storage: str | None,
    home: Home,
    trials: int | None,
    timeout: float | None,
    patience: int | None,
    engine: EngineOptions,
    device: str,
    compile_networks: bool,
    hang_after: float,
    keep: int | None,
    data: str | None,
    confirm: int | None,
    trust: bool,
    track: tuple[str, ...],
    dashboard: bool,
    dashboard_port: int,
    dashboard_url: str | None,
    detach: bool,
    as_json: bool,
) -> int:
    """Continue a study.

    The newest study is continued by default, to its own total of trials. Interrupted trials continue from
    their last epoch; nothing is trained twice.
    """
    from search.request import ResumeRequest

    request = ResumeRequest(
        study,
        storage,
        trials,
        timeout,
        engine,
        device,
        data,
        compile_networks,
        keep,
        hang_after,
        patience,
        confirm,
        trust,
        track,
    )

    def search(background: Background | None = None) -> int:
        from search.commands.running import run_search, serve_wish
        from search.service.resume import resume as resume_search

        return run_search(
            home,
            storage or home.storage_url(),
            data,
            lambda observe, folder: resume_search(home, request, observe, folder),
            serve=serve_wish(dashboard, dashboard_port, dashboard_url),
            as_json=as_json,
            background=background,
        )

    return in_background(search, as_json=as_json) if detach else search()
