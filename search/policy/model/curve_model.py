"""A Gaussian process over the training curves of a search, which predicts how they end.

Its scores are warped accuracies of all looks at all trials (`warping`): whatever lies below the median is
told by its rank alone, so trials at chance are nothing special, and the best keep some of their distances.
Scores of older studies are warped within their own study.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.policy.knowledge import ExperienceRecord
from search.policy.model.encoding import Encoding
from search.policy.model.gaussian_process import Points, Posterior, Prior, fit
from search.policy.model.warping import ranks_and_distances
from search.policy.work import looks_of

__all__ = ["Curve", "CurveModel", "Forecasts", "Hyperparameters"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_ROWS = 300
"""Scores that the process is conditioned on; beyond it the time for a decision would grow with their
cube."""
MOST_FITTED = 160
"""Scores that hyperparameters are fitted to: forty times as slow as to condition on them."""
MOST_EXPERIENCE = 80
"""Scores of older studies, all together."""
ITERATIONS = 20
GROWTH = 1.12
"""Growth in the number of scores after which hyperparameters are fitted again."""
LEAST = 4
"""Scores without which nothing is predicted."""


@dataclass(frozen=True)
class Curve:
    """A trial as the model sees it.

    Attributes:
        unit: (p,) coordinates of its configuration.
        scores: Validation accuracy by epoch; what is no number counts as the worst.
        open: It may be trained further, so its newest score is never left out.
    """

    unit: Floats
    scores: Mapping[int, float]
    open: bool = False


@dataclass(frozen=True)
class Hyperparameters:
    """The hyperparameters of the last fit, as stored in the study, from which a resumed search continues.

    Attributes:
        rows: Scores that there were.
        logs: Logarithms of the hyperparameters.
    """

    rows: int
    logs: tuple[float, ...]


class CurveModel:
    """The model of a search.

    Args:
        encoding: Of its configurations.
        epochs: Of a whole training.
        experience: Trainings of older studies.
        warp: Makes scores of (n,) accuracies, which keep their order.
    """

    def __init__(
        self,
        encoding: Encoding,
        epochs: int,
        experience: Sequence[ExperienceRecord] = (),
        warp: Callable[[Floats], Floats] = ranks_and_distances,
    ) -> None:
        self._encoding = encoding
        self._epochs, self._warp = epochs, warp
        self._looks = looks_of(epochs)
        self.prior = Prior(encoding.groups, 1)
        self._old, self._old_scores = self._experience(experience)

    def observe(
        self, curves: Sequence[Curve], known: Hyperparameters | None
    ) -> tuple["Forecasts | None", Hyperparameters | None]:
        """Condition the process on what was observed.

        Args:
            curves: The trials, in a fixed order.
            known: The hyperparameters of the time before.

        Returns:
            What the process predicts, None as long as it has nothing to predict from; and the
            hyperparameters, which are `known` unless it was time to fit them anew.

        Raises:
            FitError: The process cannot be conditioned on these scores.
        """
        index, epochs, accuracies = _rows(curves, self._looks)
        if len(index) < LEAST or np.ptp(accuracies) == 0.0:
            return None, known
        units = np.array([one.unit for one in curves])
        features = self._encoding.features(units)
        scores = self._warp(accuracies)
        kept = _kept(scores, index, epochs, curves)
        own = self.points(features[index[kept]], epochs[kept])
        points = own + self._old
        all_scores = np.concatenate([scores[kept], self._old_scores])
        size = len(self.prior.mean)
        if known is None or len(known.logs) != size or len(index) >= GROWTH * known.rows:
            start = self.prior.mean if known is None or len(known.logs) != size else known.logs
            some = _spread(all_scores, MOST_FITTED)
            logs = fit(points[some], all_scores[some], self.prior, np.array(start), ITERATIONS)
            # Six digits are what the study keeps, so they are also what is used.
            known = Hyperparameters(len(index), tuple(round(float(one), 6) for one in logs))
        posterior = Posterior.condition(points, all_scores, self.prior, np.array(known.logs))
        return Forecasts(self, posterior, scores, accuracies), known

    def points(self, features: Floats, epochs: Ints) -> Points:
        """Configurations of this search at (n,) epochs."""
        progress = np.log(epochs) / max(np.log(self._epochs), 1e-9)
        return Points(features, progress[:, None], np.zeros(len(features), dtype=np.int64))

    def _experience(self, records: Sequence[ExperienceRecord]) -> tuple[Points, Floats]:
        """Older trainings as points; the scores of each study are ranked among themselves."""
        found = self.points(np.zeros((0, len(self._encoding.groups))), np.zeros(0, dtype=np.int64))
        scores = np.zeros(0)
        tasks = sorted({one.task for one in records})
        for number, task in enumerate(tasks, start=1):
            own = [one for one in records if one.task == task]
            curves = [Curve(self._encoding.unit(one.values), one.scores) for one in own]
            most = max(one.epochs for one in own)
            index, epochs, accuracies = _rows(curves, _ends(looks_of(most)))
            if len(index) < LEAST:
                continue
            ranked = self._warp(accuracies)
            some = _spread(ranked, max(LEAST, MOST_EXPERIENCE // len(tasks)))
            features = self._encoding.features(np.array([one.unit for one in curves]))
            progress = np.log(epochs[some]) / max(np.log(most), 1e-9)
            old = np.full(len(some), number)
            found += Points(features[index[some]], progress[:, None], old)
            scores = np.concatenate([scores, ranked[some]])
        return found, scores


@dataclass(frozen=True)
class Forecasts:
    """The predictions of the process, as scores of variance about 1, comparable only to each other.

    Attributes:
        model: Its model.
        posterior: The process.
        scores: (n,) those of this search that were observed.
        accuracies: (n,) the same as accuracies.
    """

    model: CurveModel
    posterior: Posterior
    scores: Floats
    accuracies: Floats

    def predict(self, features: Floats, epochs: Ints) -> tuple[Floats, Floats]:
        """Mean and standard deviation of configurations after (n,) epochs; (n,) each."""
        return self.posterior.predict(self.model.points(features, epochs))

    def believing(self, features: Floats, epochs: Ints) -> "Forecasts":
        """The same, as if these had come out as predicted."""
        posterior = self.posterior.believing(self.model.points(features, epochs))
        return Forecasts(self.model, posterior, self.scores, self.accuracies)

    def accuracy(self, score: float) -> float:
        """Return the accuracy that a score stands for.

        Scores beyond those that were seen continue the straight line of their upper half: an end is
        predicted before any was seen.
        """
        order = np.argsort(self.scores, kind="stable")
        inside = float(np.clip(score, self.scores[order[0]], self.scores[order[-1]]))
        upper = self.scores >= np.median(self.scores)
        slope = np.ptp(self.accuracies[upper]) / max(np.ptp(self.scores[upper]), 1e-9)
        seen = np.interp(inside, self.scores[order], self.accuracies[order])
        return float(np.clip(seen + slope * (score - inside), 0.0, 1.0))


def _rows(curves: Sequence[Curve], looks: Sequence[int]) -> tuple[Ints, Ints, Floats]:
    """The scores at the looks: which curve, after which epoch, and the accuracy; (n,) each."""
    found = [
        (number, epoch, curve.scores[epoch])
        for number, curve in enumerate(curves)
        for epoch in looks
        if epoch in curve.scores
    ]
    index = np.array([one[0] for one in found], dtype=np.int64)
    epochs = np.array([one[1] for one in found], dtype=np.int64)
    accuracies = np.array([one[2] for one in found], dtype=np.float64)
    if len(found):
        worst = np.nanmin(accuracies) if np.isfinite(accuracies).any() else 0.0
        accuracies = np.where(np.isfinite(accuracies), accuracies, worst)
    return index, epochs, accuracies


def _ends(looks: Sequence[int]) -> Sequence[int]:
    return (looks[0], looks[-1]) if len(looks) > 1 else looks


def _spread(scores: Floats, most: int) -> Ints:
    """Return the best half of `count` scores, and others evenly spaced in their order."""
    if len(scores) <= most:
        return np.arange(len(scores))
    order = np.argsort(-scores, kind="stable")
    best, others = order[: most // 2], np.sort(order[most // 2 :])
    steps = np.linspace(0, len(others) - 1, most - len(best)).round().astype(np.int64)
    return np.sort(np.concatenate([best, others[steps]]))


def _kept(scores: Floats, index: Ints, epochs: Ints, curves: Sequence[Curve]) -> Ints:
    """Which scores are used of too many: the newest of open trials, the best, and a spread."""
    if len(scores) <= MOST_ROWS:
        return np.arange(len(scores))
    newest: Iterable[int] = {
        int(number): row for row, number in enumerate(index) if curves[int(number)].open
    }.values()
    sure = np.array(sorted(newest)[-MOST_ROWS // 2 :], dtype=np.int64)
    rest = np.setdiff1d(np.arange(len(scores)), sure)
    return np.sort(np.concatenate([sure, rest[_spread(scores[rest], MOST_ROWS - len(sure))]]))
