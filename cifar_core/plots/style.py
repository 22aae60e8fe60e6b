"""The common look of all figures, their captions, and how they become files."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from cifar_core.files import write_atomically

__all__ = [
    "CAPTION_SIZE",
    "DPI",
    "GREY",
    "MANY",
    "TRAIN",
    "VALIDATION",
    "add_caption",
    "caption",
    "styled",
    "wrapped",
    "write_png",
]

MANY = 20
"""Classes from which on a figure needs other proportions for its names to be read."""

DPI = 120
TRAIN, VALIDATION, GREY = "#0072B2", "#D55E00", "#555555"
"""Blue and vermilion of Okabe & Ito's palette (Color Universal Design, 2008), which people with any
of the common colour vision deficiencies can distinguish."""
CAPTION_SIZE = 7.0
LETTER = 0.55
"""Width of an average letter against the size of the type, generously."""
LOOK: dict[Any, Any] = {
    "figure.dpi": DPI,
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    # Names and paths may have a dollar sign that means itself.
    "text.parse_math": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """The look that figures are made and saved in, whatever the user's own matplotlib settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(LOOK)
        yield


def caption(data: str, split: str, seeds: Sequence[int]) -> str:
    """The line under a figure: what it was measured on.

    Args:
        data: The data set in words.
        split: Which part of it the figure shows.
        seeds: Seeds of the trainings, one after the other.

    >>> caption("CIFAR-10", "validation", [0]), caption("CIFAR-10", "test", [3, 4, 5])
    ('CIFAR-10; validation; seed 0', 'CIFAR-10; test; seeds 3-5')
    """
    named = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]}-{seeds[-1]}"
    return f"{data}; {split}; {named}"


def wrapped(text: str, width: float, size: float = CAPTION_SIZE) -> str:
    """`text` in lines that fit.

    Args:
        text: The text.
        width: The room there is, in inches.
        size: The size of the type in points, 72 to the inch.
    """
    return textwrap.fill(text, max(20, int(width * 72 / (LETTER * size))))


def add_caption(figure: Figure, text: str) -> None:
    """Write `text` small along the lower edge; a constrained layout leaves room for it."""
    lines = wrapped(text, figure.get_figwidth() - 0.2)
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=CAPTION_SIZE, color=GREY)


def write_png(figure: Figure, path: Path) -> None:
    """Save a figure as a PNG file that is there whole or not at all.

    Args:
        figure: The figure.
        path: The file; its folder must exist.
    """
    with io.BytesIO() as content:
        with styled():
            figure.savefig(content, format="png", dpi="figure")
        write_atomically(path, content.getvalue())
