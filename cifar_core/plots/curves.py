"""Loss and accuracy against the epoch."""

import math
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cifar_core.epoch import Epoch
from cifar_core.plots.style import TRAIN, VALIDATION, add_caption, styled

__all__ = ["curves_figure"]

Reading = Callable[[Epoch], float]
PANELS: tuple[tuple[str, Reading, Reading], ...] = (
    ("Loss", lambda epoch: epoch.train_loss, lambda epoch: epoch.validation_loss),
    (
        "Accuracy (%)",
        lambda epoch: 100 * epoch.train_accuracy,
        lambda epoch: 100 * epoch.validation_accuracy,
    ),
)


def curves_figure(
    histories: Sequence[Sequence[Epoch]], caption: str, *, validation: bool = True
) -> Figure:
    """Draw how loss and accuracy went, a panel each.

    The training's figures are those of the epoch while it was trained: with augmentation, dropout
    and label smoothing.

    Args:
        histories: The epochs of each training; several trainings have a thin line each.
        caption: The line under the figure.
        validation: Draw the validation part too.
    """
    with styled():
        figure = Figure(figsize=(9.0, 3.8), layout="constrained")
        width = 1.6 if len(histories) == 1 else 0.8
        for axes, (title, *readings) in zip(figure.subplots(1, 2), PANELS, strict=True):
            kinds = [("train", TRAIN, "--", readings[0])]
            if validation:
                kinds.append(("validation", VALIDATION, "-", readings[1]))
            for label, colour, dashes, reading in kinds:
                for index, history in enumerate(histories):
                    axes.plot(
                        [epoch.number for epoch in history],
                        [_finite(reading(epoch)) for epoch in history],
                        color=colour,
                        linestyle=dashes,
                        linewidth=width,
                        # A run of one epoch is a point.
                        marker="o",
                        markersize=2 * width,
                        label="" if index else label,
                    )
            axes.set_title(title, loc="left")
            axes.set_xlabel("Epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.legend()
        add_caption(figure, caption)
    return figure


def _finite(value: float) -> float:
    """Infinities leave a gap, as NaN does; they would leave no room for the rest."""
    return value if math.isfinite(value) else math.nan
