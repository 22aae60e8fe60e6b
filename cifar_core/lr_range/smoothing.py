"""Smoothing of losses against the learning rate."""

import numpy as np
import numpy.typing as npt

__all__ = ["smooth"]

WINDOW = 0.12
"""Standard deviation, in decades, of the centred smoothing window: no lag in log lr, unlike an
exponential moving average, which moves the curve to the right."""
FARTHEST = 6.0
"""Standard deviations from which on a point weighs nothing."""

Curve = npt.NDArray[np.float64]


def smooth(x: Curve, y: Curve) -> Curve:
    """Return a Gaussian mean around each point; at the ends over the side that there is.

    Args:
        x: Decimal logarithms of the rates, ascending, of shape (N,).
        y: Losses, of shape (N,).
    """
    # Only over neighbours that weigh something: every point with every other would be a matrix of
    # gigabytes where a sweep goes over several epochs.
    first = np.searchsorted(x, x - FARTHEST * WINDOW, side="left")
    behind = np.searchsorted(x, x + FARTHEST * WINDOW, side="right")
    smoothed = np.empty_like(y)
    for here, (start, end) in enumerate(zip(first, behind, strict=True)):
        weight = np.exp(-0.5 * ((x[start:end] - x[here]) / WINDOW) ** 2)
        smoothed[here] = weight @ y[start:end] / weight.sum()
    return smoothed
