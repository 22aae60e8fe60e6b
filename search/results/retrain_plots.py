"""Plots of retrained networks: curves, accuracy by class, confusion matrix and feature maps."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from cifar_core.plots.classes import classes_figure
from cifar_core.plots.confusion import confusion_figure
from cifar_core.plots.curves import curves_figure
from cifar_core.plots.feature_maps import feature_maps_figure
from cifar_core.plots.style import caption, write_png
from search.results.subject import Run, Subject
from search.study.settings import DataIdentity

__all__ = ["plot_curves", "plot_run"]


def plot_run(subject: Subject, run: Run, maps: Mapping[str, Tensor], folder: Path) -> list[Path]:
    """Draw the diagnostics of one training into a folder; return the files."""
    below = caption(subject.identity.described(), subject.split, [run.seed])
    figures = {
        f"classes-{run.seed}.png": classes_figure(run.per_class, run.accuracy, below),
        f"confusion-{run.seed}.png": confusion_figure(run.confusion, subject.classes, below),
        f"features-{run.seed}.png": feature_maps_figure(
            subject.part.images[subject.image].cpu().numpy(),
            f"{subject.split} image {subject.image}: {subject.label}",
            {name: values.numpy() for name, values in maps.items()},
            below,
        ),
    }
    for name, figure in figures.items():
        write_png(figure, folder / name)
    return [folder / name for name in figures]


def plot_curves(runs: Sequence[Run], data: DataIdentity, path: Path, *, validation: bool) -> None:
    """Draw the loss and accuracy curves of all trainings into one file.

    Args:
        runs: The trainings.
        data: The images.
        path: The file.
        validation: Draw the validation curves, which mean nothing where those images are trained on.
    """
    parts = "train and validation" if validation else "train"
    below = caption(data.described(), parts, [run.seed for run in runs])
    write_png(curves_figure([run.history for run in runs], below, validation=validation), path)
