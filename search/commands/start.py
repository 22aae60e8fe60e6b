"""`cifar-search start`."""

from typing import get_args

import click

from search.commands import options
from search.commands.background import Background, in_background
from search.commands.engine_option import engine
from search.home import Home
from search.request import Scale, StartRequest
from search.study.choices import DEFAULT_CONFIRM, Pruner, SearchSampler, Switch

__all__ = ["start"]

LARGEST_SEED = 2**52
"""Seeds of a grid are parameters, and Optuna's databases keep parameters as floats."""


def _default(name: str) -> object:
    """The default of an option, which the request holds."""
    return StartRequest.__dataclass_fields__[name].default


@click.command()
@click.option(
    "--space",
    required=True,
    multiple=True,
    callback=options.only_one,
    metavar="NAME|FILE",
    help="Space to search.",
)
@click.option("--study", metavar="NAME", help="Name of the study.  [default: the space's name]")
@options.storage
@options.home
@click.option(
    "--trials",
    type=click.IntRange(1),
    metavar="N",
    help="Total number of trials, over all sessions of the study.  [default: by space]",
)
@click.option(
    "--timeout",
    type=options.Duration(),
    metavar="TIME",
    help="Total time, such as 30m or 2h.  [default: no limit]",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    metavar="N",
    help="Stop starting trials after N in a row without improvement.  [default: no limit]",
)
@click.option(
    "--epochs",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Epochs per trial.  [default: by space]",
)
@click.option(
    "--train-images",
    type=click.IntRange(10),
    metavar="N",
    help="Number of training images, the same number from each class.  [default: 45,000, all]",
)
@click.option(
    "--scale",
    type=click.Choice(get_args(Scale)),
    default=_default("scale"),
    show_default=True,
    help="quick: the space's smaller version, minutes on a CPU; auto: quick if there is no GPU.",
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
    "--lr-bounds",
    default=_default("lr_bounds"),
    show_default=True,
    metavar="auto|off|LOW:HIGH",
    help="Learning-rate bounds: measured by an LR-range test, the space's own, or yours.",
)
@click.option(
    "--sampler",
    type=click.Choice(get_args(SearchSampler)),
    help="Method that chooses configurations: model is freeze-thaw's Gaussian process; with promotion, tpe "
    "chooses every other one and the rest are random.  [default: model; none in a grid]",
)
@click.option(
    "--pruner",
    type=click.Choice(get_args(Pruner)),
    help="Method that stops trials early; freeze-thaw pauses them and continues the most promising.  "
    "[default: freeze-thaw; none in a grid]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=_default("seed"),
    show_default=True,
    metavar="N",
    help="Random seed.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Number of trainings per cell of a grid, from --seed on.  [default: by space]",
)
@click.option(
    "--keep",
    type=click.IntRange(0),
    default=_default("keep"),
    show_default=True,
    metavar="N",
    help="Keep the trained networks of the N best trials, and export them with their configurations.",
)
@click.option(
    "--warm-start",
    multiple=True,
    metavar="STUDY|FILE",
    help=(
        "Try early what was best before: the five best trials of an older study of the same storage that "
        "are not tried anyway, or an exported configuration, as far as they fit. Can be repeated."
    ),
)
@click.option(
    "--known",
    type=click.Choice(get_args(Switch)),
    default=_default("known"),
    show_default=True,
    help="Try the space's known configurations first. off: begin with none of them.",
)
@click.option(
    "--experience",
    type=click.Choice(get_args(Switch)),
    default=_default("experience"),
    show_default=True,
    help="Learn from the trials of older studies of the same storage that searched the same parameters.",
)
@click.option(
    "--beliefs",
    type=click.Choice(get_args(Switch)),
    default=_default("beliefs"),
    show_default=True,
    help="Look first where the space's file and the LR-range test expect the best values.",
)
@options.confirm(f"{DEFAULT_CONFIRM}; off in a grid")
@options.track
@options.dashboard
@options.detach
@options.json_output
def start(
    home: Home,
    dashboard: bool,
    dashboard_port: int,
    dashboard_url: str | None,
    detach: bool,
    as_json: bool,
    data: str | None,
    **wishes: object,
) -> int:
    """Search a space and export its best configuration.

    Measures learning-rate bounds, runs trials, and confirms the best on fresh seeds. The same command
    continues a search that was stopped or killed. Ctrl-C finishes the running epochs, saves and stops; a
    second one stops at once.
    """
    request = StartRequest(data=data, **wishes)  # type: ignore[arg-type] # click has checked them

    def search(background: Background | None = None) -> int:
        from search.commands.running import run_search, serve_wish
        from search.service.start import start as start_search

        return run_search(
            home,
            request.storage or home.storage_url(),
            data,
            lambda observe, folder: start_search(home, request, observe, folder),
            serve=serve_wish(dashboard, dashboard_port, dashboard_url),
            as_json=as_json,
            space=str(request.space),
            background=background,
        )

    return in_background(search, as_json=as_json) if detach else search()
