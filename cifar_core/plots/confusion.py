"""The confusion matrix as a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cifar_core.plots.style import MANY, add_caption, styled

__all__ = ["confusion_figure"]

DARK = 0.5
"""Share from which a cell is so dark that its number must be white."""


def confusion_figure(
    counts: Sequence[Sequence[int]], names: Sequence[str], caption: str, *, percent: bool = False
) -> Figure:
    """Draw a confusion matrix; a cell is the darker the larger its share of the true class is.

    Args:
        counts: Images by true class (row) and predicted class (column).
        names: Names of the classes.
        caption: The line under the figure.
        percent: Write percent of the true class's images in place of counts. More than 20 classes have no
            numbers.
    """
    with styled():
        many = len(names) > MANY
        # Numbers in ten thousand cells would only blacken them.
        side = max(7.0, 0.14 * len(names))
        figure = Figure(figsize=(side, side - 0.4), layout="constrained")
        axes = figure.subplots()
        table = np.array(counts)  # (classes, classes)
        share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
        for (row, column), part in () if many else np.ndenumerate(share):
            text = f"{100 * part:.0f}" if percent else str(table[row, column])
            colour = "white" if part > DARK else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        places = range(len(names))
        turned = 90 if many else 45
        axes.set_xticks(places, names, rotation=turned, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, names)
        if many:
            axes.tick_params(labelsize=7)
        axes.set_xlabel("Predicted class")
        axes.set_ylabel("True class")
        unit = "percent of the true class" if percent else "images"
        heading = "the darker, the larger the share of the true class" if many else unit
        axes.set_title(f"Confusion matrix ({heading})", loc="left")
        axes.grid(visible=False)
        add_caption(figure, caption)
    return figure
