"""Cells of a grid: published figures beside measured ones."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from cifar_core.data.split import validation_images
from search.policy.factory import SEED
from search.study.rows import TrialRow
from search.study.settings import Settings
from spaces.files import load_space, shipped_names
from spaces.grid import Published
from spaces.space import Space, Values

__all__ = ["Cell", "cells_of", "incomparable"]


ALL_IMAGES = 50_000 - validation_images(50_000)


@dataclass(frozen=True)
class Cell:
    """One combination of a grid's choices.

    Attributes:
        values: The combination.
        published: Its published figures, or None.
        accuracies: Validation accuracy after the last epoch of each complete training, 0-1.
        train_losses: Mean training loss of their last epochs.
        train_accuracies: Accuracy on augmented training images in their last epochs, 0-1.
        epochs: Validation accuracy after each epoch, averaged over the trainings, 0-1.
        lost: Number of trainings that diverged or failed; they are in no figure.
    """

    values: Values
    published: Published | None
    accuracies: tuple[float, ...]
    train_losses: tuple[float, ...]
    train_accuracies: tuple[float, ...]
    epochs: tuple[float, ...]
    lost: int = 0

    @property
    def mean(self) -> float | None:
        """Mean accuracy; None before the first training is complete."""
        return statistics.fmean(self.accuracies) if self.accuracies else None

    @property
    def spread(self) -> float | None:
        """Sample standard deviation of the accuracies; None for fewer than two."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None

    @property
    def train_loss(self) -> float | None:
        """Mean training loss; None before the first training is complete."""
        return statistics.fmean(self.train_losses) if self.train_losses else None

    @property
    def train_accuracy(self) -> float | None:
        """Mean training accuracy, 0-1; None before the first training is complete."""
        return statistics.fmean(self.train_accuracies) if self.train_accuracies else None

    def to_dict(self) -> dict[str, Any]:
        """Return the cell as plain JSON."""
        return {
            **asdict(self),
            "published": self.published.model_dump(mode="json") if self.published else None,
            "mean": self.mean,
            "spread": self.spread,
            "n": len(self.accuracies),
        }


def cells_of(space: Space, rows: list[TrialRow], *, comparable: bool = True) -> list[Cell]:
    """Return the cells of a grid in the order of its file, with their measured figures.

    Args:
        space: The grid's space.
        rows: Its trials.
        comparable: The published figures may stand beside the measured ones.
    """
    published = space.grid.published if space.grid is not None and comparable else []
    found = []
    for values in space.cells():
        all_own = [row for row in rows if _without_seed(row.values) == values]
        own = [row for row in all_own if row.state == "complete"]
        accuracies = [one.validation_accuracy for one in own]
        found.append(
            Cell(
                values,
                next((one for one in published if one.values == values), None),
                tuple(one for one in accuracies if one is not None),
                _last(own, "train_loss"),
                _last(own, "train_accuracy"),
                _mean_by_epoch(own),
                sum(row.state in {"pruned", "failed"} for row in all_own),
            )
        )
    return found


def incomparable(settings: Settings) -> str | None:
    """Return why a grid's figures must not stand beside the published ones; None where they may.

    The published ones are of CIFAR-10, all training images but those for validation, and the epochs of the
    space's file.
    """
    space, data = settings.space, settings.data
    if space.grid is None or not space.grid.published:
        return None
    reasons = []
    if not data.is_cifar10:
        reasons.append(
            f"they are of CIFAR-10, and these of {data.title.removesuffix(', not CIFAR-10')}"
        )
    elif data.train < ALL_IMAGES:
        reasons.append(f"they are of {ALL_IMAGES:,} training images, and these of {data.train:,}")
    usual = load_space(space.name).epochs if space.name in shipped_names() else space.epochs
    if space.epochs != usual:
        reasons.append(f"they are of up to {usual} epochs, and these of {space.epochs}")
    if settings.scale == "quick" and not reasons:
        reasons.append("this is a quick run")
    return f"Published figures are not shown: {'; '.join(reasons)}." if reasons else None


def _without_seed(values: Values) -> Values:
    return {name: value for name, value in values.items() if name != SEED}


def _last(rows: list[TrialRow], key: str) -> tuple[float, ...]:
    values = [row.history[-1].get(key) for row in rows if row.history]
    return tuple(float(one) for one in values if one is not None)


def _mean_by_epoch(rows: list[TrialRow]) -> tuple[float, ...]:
    histories = [[epoch["validation_accuracy"] for epoch in row.history] for row in rows]
    length = min((len(one) for one in histories), default=0)
    return tuple(statistics.fmean(one[index] for one in histories) for index in range(length))
