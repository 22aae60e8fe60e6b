"""The words of `cifar-search train`: what it is about to do, each epoch, and what came of it."""

import re

from rich.table import Table
from rich.text import Text

from cifar_core.data.dataset import DataSet
from search.confirmation.statistics import LEVEL
from search.formatting import counted, duration, one_line, percent, points
from search.results.comparison import Comparison
from search.results.configuration import Configuration
from search.results.subject import needs_validation
from search.results.training_jobs import Trained
from search.results.training_result import Accuracy, Result

__all__ = ["comparison_table", "epoch_line", "result_lines", "scale_line", "written_line"]


def scale_line(
    configuration: Configuration,
    data: DataSet,
    train_images: int | None,
    origin: str | None,
    *,
    final: bool,
) -> str:
    """Say how long and on how many images a configuration is trained, and why.

    Args:
        configuration: The configuration.
        data: The images.
        train_images: Number of images to train on; None for all.
        origin: Study that the number was taken from; None if it was given, or is the default.
        final: All images are trained on.
    """
    recipe = configuration.recipe
    epochs, most = counted(recipe.epochs, "epoch"), data.most_train_images
    if final:
        kept = needs_validation(recipe)
        count = f"{most:,}" if kept else f"all {data.train_images:,}"
        return f"{configuration.name}: {epochs} on {count} images, and then one test per seed"
    count = f"{train_images:,}" if train_images else f"all {most:,}"
    words = f"{configuration.name}: {epochs} on {count} training images"
    if origin is None:
        return words
    words += f", as in study {one_line(origin)}"
    return words if train_images == most else f"{words} (all {most:,}: --train-images all)"


def epoch_line(trained: Trained, *, named: bool) -> str:
    """Return an epoch in a line.

    Args:
        trained: The epoch.
        named: Say which configuration it belongs to.
    """
    job, epoch = trained.job, trained.epoch
    line = f"{job.configuration.name}  " if named else ""
    line += (
        f"seed {job.seed}  epoch {epoch.number}/{job.configuration.recipe.epochs}  "
        f"loss {epoch.train_loss:.3f}  train {percent(epoch.train_accuracy)}"
    )
    if job.images.held_out:  # otherwise the validation images are trained on
        line += f"  validation {percent(epoch.validation_accuracy)}"
    if epoch.back_to is not None:
        line += f"  back to epoch {epoch.back_to}"
    if epoch.converged:
        line += "  converged"
    line += f"  {epoch.images_per_second:,.0f} images/s"
    if trained.seconds_left > 0.0:
        line += f"  {duration(trained.seconds_left)} left"
    return line


def result_lines(result: Result) -> list[str]:
    """Return what came of a configuration's trainings: accuracy, cost, and what the search said of it."""
    split = result.split
    lines = [f"{split} accuracy {_accuracy(result.accuracy)}"]
    if result.flip_averaged is not None:
        averaged = _accuracy(result.flip_averaged)
        lines.append(f"{split} accuracy {averaged}, averaged over each image and its mirror image")
    lines.append(f"on {result.data.described()}")
    cost = result.cost
    lines.append(
        f"cost: {counted(cost.epochs, 'epoch')}, {cost.images:,} images, {duration(cost.seconds)}, "
        f"{_power(cost.multiply_adds)} multiply-adds; to classify an image, "
        f"{cost.multiply_adds_per_image / 1e6:.1f} M"
    )
    lines += [*_search(result), *_published(result)]
    shown = (
        f"{name} {'-' if one is None else f'{100 * one:.0f}'}"
        for name, one in result.per_class.items()
    )
    lines.append(f"{split} accuracy by class, in %: {'  '.join(shown)}")
    return lines


def comparison_table(comparison: Comparison) -> Table:
    """Return the configurations side by side, the highest mean first."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("", overflow="fold")
    for heading in (f"{comparison.results[0].split}\naccuracy", "spread", "differ-\nence"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("multiply-\nadds", justify="right", no_wrap=True)
    for result, gap in zip(comparison.results, comparison.differences, strict=True):
        accuracy = result.accuracy
        spread = "-" if accuracy.spread is None else f"{100 * accuracy.spread:.1f}"
        first = result is comparison.results[0]
        table.add_row(
            Text(f"  {result.configuration.name}"),
            percent(accuracy.mean),
            spread,
            "-" if first else f"{100 * gap.value:+z.1f} +- {100 * gap.half_width:.1f}",
            f"{result.cost.multiply_adds_per_image / 1e6:.1f} M",
        )
    return table


def written_line(result: Result) -> str:
    """Name the written files; those of each seed once."""
    names = [file.name for file in result.files]
    if len(result.runs) > 1:
        names = [re.sub(r"-\d+\.", "-SEED.", name) for name in names]
    folder = one_line(str(result.configuration.out))
    return f"Written to {folder}: {', '.join(dict.fromkeys(names))}"


def _power(value: float) -> str:
    return re.sub(r"e\+?0*", "e", f"{value:.1e}")


def _accuracy(accuracy: Accuracy) -> str:
    if accuracy.spread is None or accuracy.half_width is None:
        return f"{percent(accuracy.mean)}, one run"
    mean, spread, half = (
        100.0 * one for one in (accuracy.mean, accuracy.spread, accuracy.half_width)
    )
    return (
        f"{mean:.1f} +- {spread:.1f} % over {len(accuracy.values)} seeds, {100 * LEVEL:.0f} % interval "
        f"{mean - half:.1f} to {mean + half:.1f} %"
    )


def _search(result: Result) -> list[str]:
    """Return what the search said of the configuration, and how the result differs."""
    origin = result.configuration.provenance
    if origin is None:
        return []
    trial = f"trial {origin.trial} of study {one_line(origin.study)}"
    if result.configuration.unchanged is None:
        return [
            f"the search: the recipe is no longer that of {trial}, so their scores are not compared"
        ]
    score = percent(origin.validation_accuracy)
    words = f"the search: {score} validation accuracy for {trial}, one run"
    if origin.confirmed is not None:
        mean, half = origin.confirmed.validation_accuracy, origin.confirmed.half_width
        words += f"; confirmed {100 * mean:.1f} +- {100 * half:.1f} %"
    of_search, now = origin.data, result.data
    if (of_search.name, of_search.official) != (now.name, now.official):
        return [f"{words}; on other images, so the difference means nothing"]
    if result.split == "test" or of_search.train != now.train:
        return [f"{words}; on {of_search.train:,} training images"]
    return [
        f"{words}; the difference is {points(result.accuracy.mean - origin.validation_accuracy)}"
    ]


def _published(result: Result) -> list[str]:
    """The published figure that a test is to be held against, where its space knows one."""
    origin = result.configuration.provenance
    known = None if origin is None or result.data.name != "cifar10" else origin.published()
    if known is None or known.published is None or result.split != "test":
        return []
    return [f"published: {100 * known.published:.0f} % test accuracy for {one_line(known.name)}"]
