"""`cifar-search train`."""

from pathlib import Path

import click

from search.commands import options

__all__ = ["train"]


@click.command()
@click.argument("config", type=click.Path(path_type=Path, dir_okay=False), metavar="CONFIG")
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    metavar="N",
    help="Number of trainings, each from its own seed.",
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
    type=click.IntRange(10),
    metavar="N",
    help="Number of training images, the same number from each class.  [default: 45,000, all]",
)
@click.option(
    "--final",
    is_flag=True,
    help=(
        "Train on all 50,000 images, then open the test split. Use it once, at the very end. "
        "A plateau schedule needs validation images and trains on 45,000."
    ),
)
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
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for all output.  [default: CONFIG without its ending]",
)
@options.json_output
def train(
    config: Path,
    seeds: int,
    seed: int,
    train_images: int | None,
    final: bool,
    plots: bool,
    image: int,
    device: str,
    compile_networks: bool,
    data: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Train one configuration, and test it at the very end.

    CONFIG is an exported file, or a recipe of your own (TOML, JSON, YAML). The test split is opened only
    with --final.
    """
    import json
    import re

    from cifar_core.data.dataset import open_data
    from cifar_core.device import resolve_devices, settle_on
    from cifar_core.epoch import Epoch
    from search.errors import UsageError
    from search.formatting import one_line, percent
    from search.recipe_files import read_configuration
    from search.results.retrain import RetrainRequest, retrain
    from search.results.subject import needs_validation

    if final and train_images is not None:
        raise UsageError("--final trains on all 50,000 images; leave out --train-images.")
    recipe = read_configuration(config)
    folder = options.images_folder()
    (place, *others) = resolve_devices(device)
    if others and device != "auto":
        raise UsageError("train runs on one device; name one, such as --device cuda:0.")
    settle_on(place)
    images = open_data(data or str(folder), folder)
    if images.notice:
        click.echo(f"note: {images.notice}", err=True)
    held_out = not final or needs_validation(recipe)
    if final and held_out:
        click.echo(
            "note: a plateau schedule needs validation images, so --final trains on 45,000 images and "
            "keeps 5,000 for it; the test split is still opened at the end.",
            err=True,
        )

    def show(run_seed: int, epoch: Epoch) -> None:
        line = (
            f"seed {run_seed}  epoch {epoch.number}/{recipe.epochs}  loss {epoch.train_loss:.3f}  "
            f"train {percent(epoch.train_accuracy)}"
        )
        if held_out:  # otherwise the validation images are trained on
            line += f"  validation {percent(epoch.validation_accuracy)}"
        if epoch.back_to is not None:
            line += f"  back to epoch {epoch.back_to}"
        if epoch.converged:
            line += "  converged"
        click.echo(f"{line}  {epoch.images_per_second:,.0f} images/s", err=as_json)

    request = RetrainRequest(
        recipe=recipe,
        device=place,
        out=out or config.with_suffix(""),
        seeds=seeds,
        first_seed=seed,
        train_images=train_images,
        final=final,
        plots=plots,
        image=image,
        compile_network=compile_networks,
    )
    result = retrain(request, images, show, lambda text: click.echo(f"note: {text}", err=True))
    if as_json:
        click.echo(json.dumps(result.to_dict(), indent=2))
        return
    spread = "" if result.spread is None else f" +- {percent(result.spread)}"
    click.echo(
        f"{result.split} accuracy {percent(result.mean)}{spread}, {seeds} "
        f"run{'s' if seeds > 1 else ''}, on {result.data.described()}"
    )
    shown = (
        f"{name} {'-' if one is None else f'{100 * one:.0f}'}"
        for name, one in result.per_class.items()
    )
    click.echo(f"{result.split} accuracy by class, in %: {'  '.join(shown)}")
    names = [file.name for file in result.files]
    if seeds > 1:
        names = [re.sub(r"-\d+\.", "-SEED.", name) for name in names]
    click.echo(f"Written to {one_line(str(request.out))}: {', '.join(dict.fromkeys(names))}")
