"""The part of the live page that shows the curves of the LR-range test while they grow."""

from rich.console import RenderableType
from rich.text import Text

from cifar_core.plots.lr_curve import Curve
from search.events import SweepCurve
from search.views.lr_chart import NARROWEST, chart
from search.views.progress import Progress

__all__ = ["sweep_curves"]

HIGHEST, LOWEST = 16, 8
WIDEST = 100


def sweep_curves(
    progress: Progress, width: int, room: int, ascii_only: bool
) -> list[RenderableType]:
    """Return the curves as one chart; nothing where there is no curve, or no room for one.

    Args:
        progress: The progress.
        width: Columns of the terminal.
        room: Lines that are free.
        ascii_only: Avoid braille characters, which the terminal cannot show.
    """
    curves = [_curve(one) for _, one in sorted(progress.curves.items()) if one.loss]
    if not curves or width < NARROWEST or room <= LOWEST:
        return []
    heading = Text("\nloss against learning rate, so far", style="dim")
    height = min(HIGHEST, room - 2)
    return [heading, chart(curves, min(width, WIDEST), height, ascii_only=ascii_only)]


def _curve(one: SweepCurve) -> Curve:
    return Curve(one.name, one.lr, one.loss, one.loss, growing=True)
