"""The learning-rate range test: a sweep upwards through the rates, and what it says about bounds.

The rate rises step by step on the training part (Smith 2015, arXiv 1506.01186, section 3.3), and the loss
of each step is kept. A sweep trains a copy and leaves the training untouched.

    sweeps = [sweep(Training(recipe, splits, seed=seed, device=device)) for seed in range(3)]
    finding = find_bounds(sweeps)
    print(finding.words)
"""

from cifar_core.lr_range.finding import Finding, find_bounds
from cifar_core.lr_range.minima import Minimum
from cifar_core.lr_range.ramp import Ramp
from cifar_core.lr_range.sweep import Sweep, sweep

__all__ = ["Finding", "Minimum", "Ramp", "Sweep", "find_bounds", "sweep"]
