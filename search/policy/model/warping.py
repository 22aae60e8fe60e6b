"""Accuracies as a Gaussian process wants them: centred, of variance about 1, and without a long tail."""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

__all__ = ["normal_scores", "ranks_and_distances"]

Floats = npt.NDArray[np.float64]

LEAST = 2
"""Accuracies above the median without which their distances say nothing."""


def normal_scores(accuracies: Floats) -> Floats:
    """Return the normal scores of ranks, the mean rank among equals (Blom 1958, with an offset of 1/2).

    Neither the scale of accuracies matters, nor how they are spread, nor whether some are at chance.

    Args:
        accuracies: (n,), finite.

    Returns:
        (n,) scores, by which the accuracies keep their order.
    """
    return np.asarray(ndtri((_ranks(accuracies) - 0.5) / len(accuracies)))


def ranks_and_distances(accuracies: Floats) -> Floats:
    """Return the normal scores of ranks, moved half of the way to true distances above the median.

    How poor a poor trial is tells nothing about the best, but ranks alone hide how far the best lie apart,
    and nothing can be predicted to be much better than the best rank. The half-rank warping of Song et al.
    2024, "The Vizier Gaussian Process Bandit Algorithm" (arXiv 2408.11527), has distances alone there.
    Where scores are mostly luck, or their rankings cross, half of it was better (docs/SEARCH.md).

    Args:
        accuracies: (n,), finite.

    Returns:
        (n,) scores, by which the accuracies keep their order.
    """
    scores = normal_scores(accuracies)
    above = accuracies - np.median(accuracies)
    upper = above > 0.0
    if upper.sum() < LEAST:
        return scores
    distances = scores - scores[~upper].max()  # many may be equal to the median
    distances[upper] = above[upper] / np.sqrt(np.mean(above[upper] ** 2))
    return np.asarray((scores + distances) / 2.0)


def _ranks(accuracies: Floats) -> Floats:
    """Return ranks from 1 on, the mean rank among equals.

    `scipy.stats.rankdata` gives the same, but importing `scipy.stats` takes a second of every command.
    """
    _, which, counts = np.unique(accuracies, return_inverse=True, return_counts=True)
    return np.asarray((counts.cumsum() - (counts - 1) / 2)[which])
