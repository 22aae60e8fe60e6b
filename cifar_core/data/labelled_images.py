"""Labelled images, as they were read."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LabelledImages"]


@dataclass(frozen=True)
class LabelledImages:
    """Images and their labels.

    Attributes:
        images: (N, 3, 32, 32) uint8, red, green and blue planes.
        labels: (N,) int64, 0-9.
        official: Every file that was read has the checksum of the official download.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    official: bool
