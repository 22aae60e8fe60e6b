"""Figures of a hundred classes: every name has a line of its own."""

from itertools import pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cifar_core.plots.classes import classes_figure
from cifar_core.plots.confusion import confusion_figure

NAMES = [f"class_name_{number}" for number in range(100)]
ACCURACIES = {name: None if name == NAMES[7] else 0.5 for name in NAMES}
COUNTS = [[int(row == column) for column in range(100)] for row in range(100)]


@pytest.mark.parametrize(
    "figure",
    [classes_figure(ACCURACIES, 0.5, "made up"), confusion_figure(COUNTS, NAMES, "made up")],
    ids=["accuracy", "confusion"],
)
def test_no_name_covers_another(figure: Figure) -> None:
    FigureCanvasAgg(figure).draw()
    seen: list[str] = []
    for axes in figure.axes:
        labels = axes.get_yticklabels()
        seen += [label.get_text() for label in labels]
        boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
        assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))
    assert seen == NAMES
