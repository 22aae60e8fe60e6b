"""A stand-in for training: learning curves of any configuration of a space, fitted to recorded ones.

A forest of extremely randomised trees (Geurts et al. 2006) gives the mean curve of a configuration. What it
leaves unexplained is given back: each configuration also gets, always the same, the residual curve of one
of the three records that are nearest to it, as it was when that record was not among those fitted. So
scores are spread as the recorded ones are, early and late ones disagree as they do, configurations that are
alike come to something alike, and still a part is luck, as with seeds. It is more luck than there is: a
forest of two hundred records leaves unexplained what a thousand would explain, and no sampler can learn
that part. With a smaller share of luck the truth is approached from the other side.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold

from spaces.space import Space

__all__ = ["Records", "Surrogate", "encoded", "quality", "read_records"]

Floats = npt.NDArray[np.float64]
NEIGHBOURS = 3


@dataclass(frozen=True)
class Records:
    """Recorded learning curves of random configurations.

    Attributes:
        about: How they were made.
        space: The space that they are configurations of.
        values: The configurations.
        curves: (N, epochs) validation accuracy after each epoch.
        average: (N, epochs) the same with averaged weights.
        seconds: (N,) mean seconds of an epoch.
        check: (N,) accuracy at the end on images that no score was taken on.
    """

    about: Mapping[str, Any]
    space: Space
    values: Sequence[Mapping[str, Any]]
    curves: Floats
    average: Floats
    seconds: Floats
    check: Floats


class Surrogate:
    """What training a configuration would yield.

    Args:
        records: What it is fitted to.
        seed: Of the forest.
        luck: Share of the residuals that is given back, 0-1.

    Attributes:
        records: As given.
        space: What it knows the configurations of.
        epochs: Of a training.
    """

    def __init__(self, records: Records, seed: int = 0, luck: float = 1.0) -> None:
        self.records = records
        self.space = records.space
        self.epochs = records.curves.shape[1]
        features = self._features(records.values)
        target = np.column_stack([records.curves, records.check, np.log(records.seconds)])
        self._forest = _Forest(_fitted(features, target, seed))
        self._recorded = features
        self._residuals = luck * (target - _left_out(features, target, seed))[:, :-1]
        self._known: dict[str, tuple[Floats, float, float]] = {}

    def _features(self, values: Sequence[Mapping[str, Any]]) -> Floats:
        return np.array([encoded(self.space, one) for one in values])

    def _of(self, values: Mapping[str, Any]) -> tuple[Floats, float, float]:
        key = json.dumps(values, sort_keys=True)
        if key not in self._known:
            own = self._features([values])[0]
            row = self._forest(own)
            digest = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
            distance = np.abs(self._recorded - own).mean(1)
            chosen = np.argsort(distance)[:NEIGHBOURS][digest % NEIGHBOURS]
            curve = np.clip(row[:-1] + self._residuals[chosen], 0.0, 1.0)
            self._known[key] = (curve[:-1], float(curve[-1]), float(np.exp(row[-1])))
        return self._known[key]

    def curve(self, values: Mapping[str, Any]) -> Floats:
        """(epochs,) accuracy after each epoch."""
        return self._of(values)[0]

    def check(self, values: Mapping[str, Any]) -> float:
        """Accuracy at the end on images that no score was taken on."""
        return self._of(values)[1]

    def seconds(self, values: Mapping[str, Any]) -> float:
        """Seconds of an epoch."""
        return self._of(values)[2]

    def described(self) -> str:
        """What it stands in for, in words."""
        about = self.records.about
        return (
            f"{len(self.records.values)} recorded trainings of space {about['space']}, narrow networks, "
            f"{about['epochs']} epochs; {about['data']}, {about['train']:,} training images, "
            f"scores on {about['validation']:,} validation images"
        )

    def train(self, values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
        """The curve, epoch by epoch."""
        for index, accuracy in enumerate(self.curve(values)):
            yield index + 1, float(accuracy)


def quality(records: Records, seed: int = 0) -> dict[str, float]:
    """How well the forest predicts records that it was not fitted to, in ten folds.

    Returns:
        Rank correlation and share of variance explained (R squared) of the accuracy at the end, and the
        standard deviation of what is left, in points.
    """
    features = np.array([encoded(records.space, one) for one in records.values])
    predicted = _left_out(features, records.curves, seed)[:, -1]
    actual = records.curves[:, -1]
    left = actual - predicted
    return {
        "rank correlation": float(spearmanr(predicted, actual).statistic),
        "R squared": float(1 - left.var() / actual.var()),
        "residual, points": float(100 * left.std()),
    }


def read_records(path: Path, space: Space, least: int = 1) -> Records:
    """Records as `bench.curves` writes them.

    The space is without parameters that no record has: they are younger than the records.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = found["curves"]
    if len(rows) < least:
        raise SystemExit(f"{path} holds {len(rows)} curves, but at least {least} are needed.")
    there = {name for row in rows for name in row["values"]}
    parameters = {name: one for name, one in space.parameters.items() if name in there}
    return Records(
        found["about"],
        space.model_copy(update={"parameters": parameters}),
        [row["values"] for row in rows],
        np.array([row["accuracy"] for row in rows]),
        np.array([row["average"] for row in rows]),
        np.array([np.mean(row["seconds"]) for row in rows]),
        np.array([row["check"] for row in rows]),
    )


def _left_out(features: Floats, target: Floats, seed: int) -> Floats:
    """Each record as predicted by a forest that has not seen it."""
    predicted = np.zeros_like(target)
    for fitted, left in KFold(10, shuffle=True, random_state=seed).split(features):
        predicted[left] = _fitted(features[fitted], target[fitted], seed).predict(features[left])
    return predicted


def _fitted(features: Floats, target: Floats, seed: int) -> ExtraTreesRegressor:
    forest = ExtraTreesRegressor(300, min_samples_leaf=2, max_features=0.5, random_state=seed)
    return forest.fit(features, target)


class _Forest:
    """The same forest for one configuration at a time, some two hundred times as fast."""

    def __init__(self, forest: ExtraTreesRegressor) -> None:
        trees = [tree.tree_ for tree in forest.estimators_]
        starts = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
        self._roots = starts
        self._feature = np.concatenate([tree.feature for tree in trees])
        self._threshold = np.concatenate([tree.threshold for tree in trees])
        # A leaf leads to itself.
        self._left, self._right = (
            np.concatenate(
                [
                    np.where(next_ < 0, np.arange(len(next_)), next_) + start
                    for next_, start in zip(side, starts, strict=True)
                ]
            )
            for side in (
                [tree.children_left for tree in trees],
                [tree.children_right for tree in trees],
            )
        )
        self._value = np.concatenate([tree.value[:, :, 0] for tree in trees])
        self._depth = max(tree.max_depth for tree in trees)

    def __call__(self, row: Floats) -> Floats:
        """The mean over the trees, (targets,)."""
        row = row.astype(np.float32)  # as scikit-learn compares
        at = self._roots
        for _ in range(self._depth):
            goes_left = row[self._feature[at]] <= self._threshold[at]
            at = np.where(goes_left, self._left[at], self._right[at])
        return np.asarray(self._value[at].mean(0))


def encoded(space: Space, values: Mapping[str, Any]) -> list[float]:
    """A configuration as numbers: ranges from 0 to 1, a column for each choice, -1 for what is left out."""
    row: list[float] = []
    for name, parameter in space.parameters.items():
        choices = parameter.extremes() if parameter.choices or parameter.variants else None
        value = values.get(name)
        if choices is not None:
            row += [float(value == choice) if value is not None else -1.0 for choice in choices]
        elif value is None:
            row.append(-1.0)
        else:
            low, high = (float(end) for end in parameter.extremes())
            own = float(value)
            if parameter.log:
                low, high, own = (float(np.log(x)) for x in (low, high, own))
            row.append((own - low) / (high - low))
    return row
