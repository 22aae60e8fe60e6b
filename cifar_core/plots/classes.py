"""Accuracy of each class."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from cifar_core.plots.style import GREY, TRAIN, add_caption, styled

__all__ = ["classes_figure"]


def classes_figure(accuracies: Mapping[str, float | None], accuracy: float, caption: str) -> Figure:
    """Draw a bar for each class, with its value in percent, and a line for all classes together.

    Args:
        accuracies: Accuracy by class name, 0-1, in the order to draw; None where a class has no
            images.
        accuracy: Accuracy over all images, 0-1.
        caption: The line under the figure.
    """
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
