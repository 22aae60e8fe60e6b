"""The cost of an epoch of a configuration, learned from the trials.

The logarithm of the cost is a linear function of a configuration's features, by ridge regression:
widths and batch sizes are features on a log scale, so powers of them can be learned, and so can what an
augmentation costs.

The caller says what the epochs of a trial cost. If it is their measured seconds, only trials that paused
or ended teach it; costs are rounded, so that the noise of a clock rarely changes a choice.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["relative_costs"]

Floats = npt.NDArray[np.float64]

LEAST = 6
"""Trials without which all configurations are taken to cost the same."""
STRENGTH = 1.0
"""Of the ridge, in trials: with so few the slopes are hardly believed."""
GRAIN = 0.05
"""Logarithms of costs are rounded to multiples of this: 5 %."""
BEYOND = np.log(2.0)
"""A configuration may cost so much more than the dearest trained, or less than the cheapest."""


def relative_costs(features: Floats, costs: Floats, asked: Floats) -> Floats:
    """Return what an epoch costs, as multiples of the median of the trials.

    Args:
        features: (n, d) of the trials' configurations.
        costs: (n,) what their epochs cost, above 0.
        asked: (k, d) features of those to be predicted.

    Returns:
        (k,) multiples; 1 for all as long as too little is known.
    """
    if len(costs) < LEAST:
        return np.ones(len(asked))
    logs = np.log(costs)
    usual = np.median(logs)
    centre = features.mean(0)
    design = features - centre
    inverse = design.T @ design + STRENGTH * np.eye(features.shape[1])
    slopes = np.linalg.solve(inverse, design.T @ (logs - logs.mean()))
    found = (asked - centre) @ slopes + logs.mean() - usual
    low, high = logs.min() - usual - BEYOND, logs.max() - usual + BEYOND
    return np.asarray(np.exp(GRAIN * np.round(np.clip(found, low, high) / GRAIN)))
