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
        labels: (N,) int64, from 0 to one less than `classes`.
        official: Every file that was read has the checksum of the official download.
        classes: Number of classes; by default CIFAR-10's.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    official: bool
    classes: int = 10
