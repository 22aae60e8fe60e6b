"""An image, and what the convolutions of a network make of it."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from cifar_core.plots.style import CAPTION_SIZE, GREY, styled, wrapped

__all__ = ["SHOWN", "feature_maps_figure", "mosaic"]

SHOWN = 64
"""Maps of a layer that are shown at most."""
WIDTH, MARGIN, HEADING = 10.0, 0.15, 0.32
"""Inches: of the figure, around it, and above each layer."""
TILE, GAP = 32, 3
"""Values: the least side that a map is enlarged to, and the room between maps."""

Floats = npt.NDArray[np.float32]


def mosaic(maps: Floats) -> Floats:
    """Lay the first maps of a layer side by side, 8 to 16 in a row.

    Args:
        maps: (C, H, W); at most `SHOWN` of them are laid.

    Returns:
        (height, width); every value of a map is a square, and between maps is NaN.
    """
    channels, height, width = maps[:SHOWN].shape
    columns = min(16, max(8, channels))
    rows = math.ceil(channels / columns)
    scale = math.ceil(TILE / max(height, width))
    down, right = height * scale + GAP, width * scale + GAP
    canvas = np.full((rows * down - GAP, columns * right - GAP), np.nan, np.float32)
    for index, one in enumerate(maps[:SHOWN]):
        top, left = index // columns * down, index % columns * right
        tile = one.repeat(scale, axis=0).repeat(scale, axis=1)
        canvas[top : top + height * scale, left : left + width * scale] = tile
    return canvas


def feature_maps_figure(
    image: npt.NDArray[np.uint8], label: str, layers: Mapping[str, Floats], caption: str
) -> Figure:
    """Draw an image and, below it, the maps after each convolution, all of a layer on one scale.

    Args:
        image: (3, H, W), 0-255.
        label: What to call the image.
        layers: Maps (C, H, W) by the name of their layer.
        caption: The line under the figure.
    """
    with styled():
        room = WIDTH - 2 * MARGIN
        tiled = {name: mosaic(maps) for name, maps in layers.items()}
        heights = {name: room * len(tiles) / tiles.shape[1] for name, tiles in tiled.items()}
        note = wrapped(caption, room)
        foot = MARGIN + 0.15 * len(note.splitlines())
        side = 1.2
        height = HEADING + side + sum(heights.values()) + len(layers) * HEADING + MARGIN + foot
        figure = Figure(figsize=(WIDTH, height), dpi=100)
        below = height - HEADING - side
        axes = figure.add_axes((MARGIN / WIDTH, below / height, side / WIDTH, side / height))
        axes.imshow(image.transpose(1, 2, 0), interpolation="nearest")
        axes.set_title(label, loc="left")
        axes.set_axis_off()
        for name, tiles in tiled.items():
            below -= HEADING + heights[name]
            box = (MARGIN / WIDTH, below / height, room / WIDTH, heights[name] / height)
            axes = figure.add_axes(box)
            finite = tiles[np.isfinite(tiles)]
            low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
            axes.imshow(
                np.ma.masked_invalid(tiles),
                cmap="viridis",
                vmin=low,
                vmax=high,
                interpolation="nearest",
                aspect="auto",
            )
            axes.set_title(_heading(name, layers[name], float(low), float(high)), loc="left")
            axes.set_axis_off()
        figure.text(
            MARGIN / WIDTH,
            MARGIN / 2 / height,
            note,
            fontsize=CAPTION_SIZE,
            color=GREY,
            va="bottom",
        )
    return figure


def _heading(name: str, maps: Floats, low: float, high: float) -> str:
    channels, height, width = maps.shape
    count = f"the first {SHOWN} of {channels} maps" if channels > SHOWN else f"{channels} maps"
    return f"{name}: {count} of {height} x {width}, from {low:.3g} (dark) to {high:.3g} (bright)"
