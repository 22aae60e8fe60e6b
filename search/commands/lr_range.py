"""`cifar-search lr-range`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from search.commands import options
from search.request import LrRangeRequest, Scale

if TYPE_CHECKING:
    from search.events import Observer

__all__ = ["lr_range"]


@click.command("lr-range")
@click.option(
    "--space",
    multiple=True,
    callback=options.only_one,
    metavar="NAME|FILE",
    help="Measure at the corners that a search of this space measures.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Measure one configuration: an exported file, or a recipe of your own (TOML, JSON, YAML).",
)
@click.option(
    "--low",
    type=float,
    metavar="LR",
    help="First learning rate.  [default: by space; 1e-10]",
)
@click.option(
    "--high", type=float, metavar="LR", help="Last learning rate.  [default: by space; 10]"
)
@click.option(
    "--linear", is_flag=True, help="Raise the rate by equal steps instead of equal ratios."
)
@click.option(
    "--epochs",
    type=click.FloatRange(0, 1_000, min_open=True),
    metavar="N",
    help="Length of a sweep, in epochs.  [default: 4,000 images per decade]",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 20),
    metavar="N",
    help="Number of sweeps per recipe, whose median is taken.  [default: by space; 3]",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Random seed.",
)
@click.option(
    "--scale",
    type=click.Choice(get_args(Scale)),
    default="auto",
    show_default=True,
    help="With --space: quick measures its smaller version; auto: quick if there is no GPU.",
)
@click.option(
    "--train-images",
    type=click.IntRange(10),
    metavar="N",
    help="Number of training images, the same number from each class.  [default: by space; 45,000, all]",
)
@options.workers
@options.device
@options.data_folder
@options.trust
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png",
    help="Plot loss against learning rate, and both against the step, for each learning rate.",
)
@options.json_output
def lr_range(
    space: str | None, config: Path | None, plot: Path | None, as_json: bool, **wishes: object
) -> None:
    """Measure which learning rates to search.

    Raises the rate step by step and watches the loss, on training images only. A search makes the same
    measurement before its first trial.
    """
    from search.commands.printing import page_console
    from search.errors import ServiceError, UsageError
    from search.formatting import one_line
    from search.lr_range.plots import write_plots
    from search.lr_range.report import run_lr_range
    from search.views.lr_range_page import report_page

    if (space is None) == (config is None):
        raise UsageError("Give either --space NAME or --config FILE.")
    if plot is not None and plot.suffix.lower() != ".png":
        raise UsageError(f"--plot must end in .png, but got {plot}.")
    epochs = wishes["epochs"]
    if isinstance(epochs, float) and not isfinite(epochs):
        raise UsageError(f"--epochs must be a number, such as 1 or 0.5, but got {epochs}.")
    request = LrRangeRequest(space=space, config=config, **wishes)  # type: ignore[arg-type] # click has checked them
    folder = options.images_folder()
    with _shown() as observe:
        report = run_lr_range(request, observe, folder)
    # The answer comes first: a plot that cannot be written must not hide it.
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        out = page_console()
        out.print(report_page(report, out.width, ascii_only="utf" not in out.encoding.lower()))
    if plot is None:
        return
    try:
        written = write_plots(report, plot)
    except OSError as error:
        raise ServiceError(f"{plot} cannot be written: {error.strerror}.") from error
    for path in written:
        click.echo(one_line(str(path)), err=as_json)


@contextmanager
def _shown() -> Iterator["Observer"]:
    """An observer that shows progress and notes on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from search.events import Event, Notice, SweepsProgress
    from search.formatting import one_line

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        bar = progress.add_task("LR-range test: sweeps", total=None)

        def observe(event: Event) -> None:
            match event:
                case Notice(text):
                    console.print(f"note: {one_line(text)}", markup=False)
                case SweepsProgress(done, total):
                    progress.update(bar, completed=done, total=total)

        yield observe
