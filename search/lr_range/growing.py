"""The curves of sweeps while they are made, thinned for a terminal."""

from collections.abc import Sequence

import numpy as np

from cifar_core.lr_range import Sweep
from cifar_core.lr_range.smoothing import smooth
from search.events import Observer, SweepCurve
from search.workers.messages import SweepTask

__all__ = ["GrowingCurves"]

POINTS = 120
"""At most, of a curve: 20 a decade, half of the smoothing window apart."""


class GrowingCurves:
    """Tells how far the sweeps have come.

    Args:
        observe: Told each curve anew whenever it has grown.
    """

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self._losses: dict[str, list[float]] = {}

    def grow(self, task: SweepTask, losses: Sequence[float]) -> None:
        """Add the newest losses of a sweep under way."""
        known = self._losses.setdefault(task.key, [])
        known += losses
        self._tell(task, known, done=False)

    def end(self, task: SweepTask, sweep: Sweep) -> None:
        """Tell a whole sweep."""
        self._losses.pop(task.key, None)
        self._tell(task, sweep.loss, done=True)

    def lose(self, task: SweepTask) -> None:
        """Forget a sweep whose worker has died: it is made again."""
        self._losses.pop(task.key, None)

    def _tell(self, task: SweepTask, losses: Sequence[float], *, done: bool) -> None:
        rates = np.array(task.ramp.rates(task.recipe.batch_size))
        known = np.array(losses)
        finite = np.isfinite(known)
        count = len(known) if finite.all() else int(finite.argmin())
        smoothed = smooth(np.log10(rates[:count]), known[:count])
        thinned = np.linspace(0, len(rates) - 1, min(POINTS, len(rates))).round().astype(int)
        lr = tuple(float(f"{rate:.4g}") for rate in rates[thinned])
        loss = tuple(float(f"{smoothed[one]:.4g}") for one in thinned if one < count)
        self._observe(SweepCurve(task.subject, task.name, lr, loss, done))
