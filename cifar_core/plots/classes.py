"""Accuracy of each class."""

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from cifar_core.plots.style import GREY, MANY, TRAIN, add_caption, styled

__all__ = ["classes_figure"]

COLUMN = 25
"""Classes below each other where there are many."""


def classes_figure(accuracies: Mapping[str, float | None], accuracy: float, caption: str) -> Figure:
    """Draw a bar for each class, with its value in percent, and a line for all classes together.

    Args:
        accuracies: Accuracy by class name, 0-1, in the order to draw; None where a class has no
            images.
        accuracy: Accuracy over all images, 0-1.
        caption: The line under the figure.
    """
    if len(accuracies) > MANY:
        return _many(accuracies, accuracy, caption)
    with styled():
        figure = Figure(figsize=(8.0, 4.0), layout="constrained")
        axes = figure.subplots()
        values = [100 * (value or 0.0) for value in accuracies.values()]
        bars = axes.bar(range(len(values)), values, width=0.7, color=TRAIN)
        shown = ["-" if value is None else f"{100 * value:.0f}" for value in accuracies.values()]
        # On white, or the dashed line would strike a number out.
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        axes.bar_label(bars, shown, padding=3, bbox=behind)
        axes.axhline(100 * accuracy, color=GREY, linestyle="--", linewidth=1.0, zorder=0.5)
        axes.set_title(
            f"Accuracy by class (%); all classes {100 * accuracy:.1f} %, dashed", loc="left"
        )
        axes.set_ylim(0.0, 105.0)
        axes.set_yticks(range(0, 101, 20))
        # Names of two words stand on two lines.
        names = [name.replace(" ", "\n") for name in accuracies]
        axes.set_xticks(range(len(names)), names)
        axes.grid(visible=False, axis="x")
        axes.tick_params(axis="x", length=0)
        add_caption(figure, caption)
    return figure


def _many(accuracies: Mapping[str, float | None], accuracy: float, caption: str) -> Figure:
    """The same with lying bars in columns of at most 25, so that each name has its line."""
    names = list(accuracies)
    columns = math.ceil(len(names) / COLUMN)
    with styled():
        figure = Figure(figsize=(3.2 * columns, 0.19 * COLUMN + 0.9), layout="constrained")
        for index, axes in enumerate(figure.subplots(1, columns, squeeze=False)[0]):
            shown = names[COLUMN * index : COLUMN * (index + 1)]
            values = [accuracies[name] for name in shown]
            bars = axes.barh(
                range(len(shown)), [100 * (value or 0.0) for value in values], color=TRAIN
            )
            labels = ["-" if value is None else f"{100 * value:.0f}" for value in values]
            behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            axes.bar_label(bars, labels, padding=2, fontsize=7, bbox=behind)
            axes.axvline(100 * accuracy, color=GREY, linestyle="--", linewidth=1.0, zorder=0.5)
            axes.set_xlim(0.0, 112.0)
            axes.set_ylim(COLUMN - 0.4, -0.6)
            axes.set_yticks(range(len(shown)), shown, fontsize=7)
            axes.set_xticks(range(0, 101, 50))
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", length=0)
        figure.suptitle(
            f"Accuracy by class (%); all classes {100 * accuracy:.1f} %, dashed", x=0.01, ha="left"
        )
        add_caption(figure, caption)
    return figure
