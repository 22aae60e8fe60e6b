"""Images beside what an augmentation makes of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from cifar_core.plots.style import CAPTION_SIZE, GREY, styled, wrapped

__all__ = ["corner_of", "sheet_figure"]

RESOLUTION = 100
"""Pixels to the inch."""
SCALE, GAP = 3, 5
"""Pixels: the side that a pixel of an image is drawn with, and the room between images."""
LEFT, TOP, LINE = 120, 26, 16
"""Pixels: left of the images for names, above them for headings, and of a line of text."""
NARROWEST = 480
TITLE_SIZE = 9.0

Bytes = npt.NDArray[np.uint8]


def corner_of(row: int, column: int, side: int, title_lines: int = 1) -> tuple[int, int]:
    """Return the place of an image's upper left pixel on a sheet: pixels from the left, from the top.

    Args:
        row: Counted from 0.
        column: Counted from 0, which is the original.
        side: Pixels of an image's side.
        title_lines: Lines of the title.
    """
    step = side * SCALE + GAP
    return LEFT + column * step, GAP + title_lines * LINE + TOP + row * step


def sheet_figure(
    originals: Bytes, versions: Bytes, names: Sequence[str], title: str, caption: str
) -> Figure:
    """Draw a row for each image: as it is, then its versions, each pixel a square of `SCALE`.

    Args:
        originals: (R, 3, H, H), 0-255.
        versions: (R, N, 3, H, H), 0-255.
        names: A name for each row.
        title: What was done to the images.
        caption: The line under the sheet.
    """
    rows, count, _, side, _ = versions.shape
    width = max(NARROWEST, corner_of(0, count + 1, side)[0])
    room = (width - 2 * GAP) / RESOLUTION
    heading, note = wrapped(title, room, TITLE_SIZE), wrapped(caption, room)
    lines = len(heading.splitlines())
    height = corner_of(rows, 0, side, lines)[1] + GAP + LINE * len(note.splitlines())
    with styled():
        figure = Figure(figsize=(width / RESOLUTION, height / RESOLUTION), dpi=RESOLUTION)

        def write(x: float, y: float, text: str, **how: Any) -> None:
            figure.text(x / width, 1 - y / height, text, **how)

        write(GAP, GAP, heading, va="top")
        images = np.concatenate([originals[:, None], versions], axis=1)  # (R, 1 + N, 3, H, H)
        for (row, column), _ in np.ndenumerate(images[:, :, 0, 0, 0]):
            left, top = corner_of(row, column, side, lines)
            pixels = images[row, column].transpose(1, 2, 0).repeat(SCALE, 0).repeat(SCALE, 1)
            # figimage copies pixel by pixel, where axes would resample; it counts from below.
            figure.figimage(pixels, left, height - top - side * SCALE)
            if row == 0:
                above = "original" if column == 0 else str(column)
                write(left + side * SCALE / 2, top - GAP, above, ha="center", va="bottom")
            if column == 0:
                write(left - 2 * GAP, top + side * SCALE / 2, names[row], ha="right", va="center")
        write(GAP, height - GAP, note, va="bottom", color=GREY, fontsize=CAPTION_SIZE)
    return figure
