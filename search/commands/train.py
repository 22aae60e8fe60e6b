"""`cifar-search train`."""

from pathlib import Path
from typing import Any, Literal

import click

from search.commands import options
from search.commands.engine_option import engine
from search.workers.engine_options import EngineOptions

__all__ = ["train"]

INTERRUPTED = 130


class _TrainImages(click.ParamType[int | Literal["all"]]):
    """``all``, or a number of training images."""

    name = "N|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | Literal["all"]:
        if value == "all":
            return "all"
        return click.IntRange(10).convert(value, param, ctx)


@click.command()
@click.argument(
    "configs",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="CONFIG...",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    metavar="N",
    help="Number of trainings of each CONFIG, each from its own seed.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Random seed of the first training; the others follow.",
)
@click.option(
    "--train-images",
    type=_TrainImages(),
    help=(
        "Number of training images, the same number from each class.  [default: as many as the search that "
        "CONFIG was exported from; all, 45,000 of CIFAR-10, for a recipe of your own]"
    ),
)
@click.option(
    "--final",
    is_flag=True,
    help=(
        "Train on all training images, 50,000 of CIFAR-10, then open the test split. Use it once, at the "
        "very end. A plateau schedule needs validation images and trains on the others."
    ),
)
@click.option(
    "--restart", is_flag=True, help="Train anew what the output folder has of these seeds already."
)
@engine("Number of trainings at the same time.", "one per device; on Ray, what there is room for")
@click.option(
    "--plots/--no-plots",
    default=True,
    show_default=True,
    help="Plot curves, accuracy by class, confusion matrix and feature maps as PNG files.",
)
@click.option(
    "--image",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Index of the image to draw feature maps for.",
)
@options.device
@options.compile_networks
@options.data_folder
@options.trust
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=(
        "Folder for all output; of several CONFIGs, each has its own in it.  [default: CONFIG without its "
        "ending, with -final added for --final]"
    ),
)
@options.json_output
def train(
    configs: tuple[Path, ...],
    seeds: int,
    seed: int,
    train_images: int | Literal["all"] | None,
    final: bool,
    restart: bool,
    engine: EngineOptions,
    plots: bool,
    image: int,
    device: str,
    compile_networks: bool,
    data: str | None,
    trust: bool,
    out: Path | None,
    as_json: bool,
) -> int:
    """Train configurations, and test them at the very end.

    CONFIG is an exported file, or a recipe of your own (TOML, JSON, YAML). Several are trained from the
    same seeds, and compared on the same images. Every training is saved after each epoch: Ctrl-C finishes
    the epoch, and the same command continues. The test split is opened only with --final.
    """
    import json

    from rich.console import Console

    from cifar_core.data.dataset import open_data
    from cifar_core.device import resolve_devices, settle_on
    from cifar_core.networks import OwnNetwork
    from search.errors import UsageError
    from search.own_code import Consent
    from search.results.comparison import compare
    from search.results.configuration import common_scale, read_configurations
    from search.results.own_code import checked_code
    from search.results.retrain import RetrainRequest, retrain
    from search.results.subject import check_image, needs_validation
    from search.results.training_jobs import Stopped, Trained
    from search.signals import StopSwitch
    from search.views.training_words import (
        comparison_table,
        epoch_line,
        result_lines,
        scale_line,
        written_line,
    )

    if final and train_images is not None:
        raise UsageError("--final trains on all training images; leave out --train-images.")
    configurations = read_configurations(configs, out, "-final" if final else "")
    for one, path in zip(configurations, configs, strict=True):
        if isinstance(one.recipe.network, OwnNetwork):
            Consent(trust, path.parent).ask([one.recipe.network.builder], one.name)
    found = None if final or train_images is not None else common_scale(configurations)
    count, origin = (None, None) if found is None else (found[0], found[1].study)
    if isinstance(train_images, int):
        count = train_images
    folder = options.images_folder()
    places = resolve_devices(device)
    settle_on(places[0])
    images = open_data(data or str(folder), folder)
    check_image(image, images, final=final)
    if images.notice:
        click.echo(f"note: {images.notice}", err=True)
    for words in checked_code(configurations, images):
        click.echo(f"note: {words}", err=True)
    for one in configurations:
        click.echo(scale_line(one, images, count, origin, final=final), err=as_json)
    if final and any(needs_validation(one.recipe) for one in configurations):
        click.echo(
            "note: a plateau schedule needs validation images, so --final keeps "
            f"{images.train_images - images.most_train_images:,} for it; the test split is still opened at "
            "the end.",
            err=True,
        )
    several = len(configurations) > 1

    def show(trained: Trained) -> None:
        click.echo(epoch_line(trained, named=several), err=as_json)

    request = RetrainRequest(
        configurations=configurations,
        devices=tuple(places),
        seeds=seeds,
        first_seed=seed,
        train_images=count,
        final=final,
        plots=plots,
        image=image,
        compile_network=compile_networks,
        engine=engine,
        restart=restart,
    )
    try:
        with StopSwitch() as stop:
            results = retrain(
                request, images, show, lambda text: click.echo(f"note: {text}", err=True), stop
            )
    except (Stopped, KeyboardInterrupt):
        again = "the same command without --restart" if restart else "the same command"
        click.echo(f"Stopped. Every finished epoch is saved; {again} continues there.", err=True)
        return INTERRUPTED
    comparison = compare(results) if several else None
    if as_json:
        document = (
            results[0].to_dict()
            if comparison is None
            else {
                "comparison": comparison.to_dict(),
                "results": [result.to_dict() for result in results],
            }
        )
        click.echo(json.dumps(document, indent=2))
        return 0
    for result in results:
        for line in (*[result.configuration.name] * several, *result_lines(result)):
            click.echo(line)
        click.echo(written_line(result))
    if comparison is not None:
        console = Console(highlight=False)
        console.print(comparison_table(comparison), crop=False)
        click.echo(comparison.verdict)
    return 0
