"""The trainings of one configuration over several seeds: mean, spread, interval, and what they cost."""

import statistics
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from pathlib import Path
from typing import Any

from cifar_core.models.counting import count
from search.confirmation.statistics import LEVEL, quantile
from search.results.configuration import Configuration
from search.results.subject import Run
from search.study.settings import DataIdentity
from search.study.study import versions

__all__ = ["Accuracy", "Cost", "Result"]

PASSES = 3
"""Forward passes that a training step counts for: the backward pass computes two products where the forward
pass computes one."""


@dataclass(frozen=True)
class Cost:
    """The cost of trainings, without the parts that a kill has undone.

    Attributes:
        epochs: Epochs of all of them together.
        images: Images that steps were made on.
        seconds: Time of training and validation, summed over the trainings.
        multiply_adds: Of all these steps, forward and backward.
        multiply_adds_per_image: Of the network, for classifying one image.
    """

    epochs: int
    images: int
    seconds: float
    multiply_adds: int
    multiply_adds_per_image: int

    def to_dict(self) -> dict[str, Any]:
        """Return the cost as plain JSON."""
        return {
            "epochs": self.epochs,
            "images": self.images,
            "seconds": round(self.seconds, 2),
            "multiply_adds": self.multiply_adds,
            "multiply_adds_per_image": self.multiply_adds_per_image,
        }


@dataclass(frozen=True)
class Accuracy:
    """An accuracy over seeds.

    Attributes:
        values: Of each training, 0-1.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean, 0-1."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Their sample standard deviation; None for a single training."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def half_width(self) -> float | None:
        """Half the width of the mean's interval, by Student's t over seeds; None for a single training."""
        spread, n = self.spread, len(self.values)
        return None if spread is None else quantile(LEVEL, n - 1) * spread / sqrt(n)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain JSON."""
        return {
            "mean": self.mean,
            "spread": self.spread,
            "half_width": self.half_width,
            "level": LEVEL,
        }


@dataclass(frozen=True)
class Result:
    """The trainings of one configuration.

    Attributes:
        configuration: The configuration.
        device: Where it was trained and measured.
        split: ``validation``, or ``test`` after a final training.
        image: Index of the image whose feature maps were drawn.
        data: The data set and its split.
        runs: The trainings.
        files: The written files, in order.
    """

    configuration: Configuration
    device: str
    split: str
    image: int
    data: DataIdentity
    runs: tuple[Run, ...]
    files: tuple[Path, ...]

    @property
    def accuracy(self) -> Accuracy:
        """Share of the measured images that are classified right."""
        return Accuracy(tuple(run.accuracy for run in self.runs))

    @property
    def flip_averaged(self) -> Accuracy | None:
        """The same by the mean of the logits of an image and of its mirror image; None if not measured."""
        found = tuple(run.flip_averaged for run in self.runs if run.flip_averaged is not None)
        return Accuracy(found) if found else None

    @property
    def per_class(self) -> dict[str, float | None]:
        """Mean accuracy by class name, 0-1; None for a class without images."""
        # All runs measure the same images, so that a class is empty in all of them or in none.
        shares = {
            name: [run.per_class[name] for run in self.runs] for name in self.runs[0].per_class
        }
        return {
            name: None
            if None in values
            else statistics.fmean(one for one in values if one is not None)
            for name, values in shares.items()
        }

    @cached_property
    def cost(self) -> Cost:
        """The cost of the trainings."""
        recipe, trained = self.configuration.recipe, self.data.train
        batch = min(recipe.batch_size, trained)
        epochs = [epoch for run in self.runs for epoch in run.history]
        images = len(epochs) * (trained // batch * batch)
        each = count(recipe.network).multiply_adds
        return Cost(
            epochs=len(epochs),
            images=images,
            seconds=sum(epoch.seconds for epoch in epochs),
            multiply_adds=PASSES * each * images,
            multiply_adds_per_image=each,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the file names as plain JSON."""
        origin, averaged = self.configuration.unchanged, self.flip_averaged
        return {
            "recipe": self.configuration.recipe.to_dict(),
            "measured_on": self.split,
            "images_measured": len(self.runs[0].correct),
            "image": self.image,
            "data": self.data.model_dump(mode="json"),
            "device": self.device,
            "versions": dict(versions()),
            "accuracy": self.accuracy.to_dict(),
            "flip_averaged_accuracy": averaged.to_dict() if averaged else None,
            "cost": self.cost.to_dict(),
            "search": None if origin is None else origin.model_dump(mode="json"),
            "runs": [run.to_dict() for run in self.runs],
        }
