"""The images that a retrained network is measured on, and the figures that are measured there."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from cifar_core.data.dataset import DataSet
from cifar_core.data.resident import Normalization, Part, Splits, splits_of
from cifar_core.data.split import split
from cifar_core.device import Backend, backend_of
from cifar_core.diagnostics import class_accuracies, confusion, feature_maps, short_names
from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from cifar_core.trainer import Training
from search.errors import UsageError
from search.study.settings import DataIdentity

__all__ = ["Run", "Subject", "needs_validation"]


@dataclass(frozen=True)
class Run:
    """One training and its measurement.

    Attributes:
        seed: The seed of the training.
        loss: Mean cross-entropy on the measured images.
        accuracy: Accuracy on the measured images, 0-1.
        per_class: Accuracy by class name, 0-1, in the order of the labels; None for a class without images.
        confusion: Images by true class (row) and predicted class (column).
        history: The epochs.
    """

    seed: int
    loss: float
    accuracy: float
    per_class: Mapping[str, float | None]
    confusion: list[list[int]]
    history: tuple[Epoch, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the run as plain JSON."""
        return {
            "seed": self.seed,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "per_class": dict(self.per_class),
            "confusion": self.confusion,
            "epochs": [asdict(epoch) for epoch in self.history],
        }


@dataclass(frozen=True)
class Subject:
    """The images of a retraining, ready on its device.

    Attributes:
        splits: The images to train on, and to validate on.
        part: The measured images, on the device.
        split: ``validation`` or ``test``.
        held_out: The validation images are not among those trained on.
        identity: The data set and its split.
        classes: Short names of the classes.
        image: Index of the image whose feature maps are drawn.
        normalize: Bytes to floats.
        backend: The precision to compute in.
    """

    splits: Splits
    part: Part
    split: str
    held_out: bool
    identity: DataIdentity
    classes: tuple[str, ...]
    image: int
    normalize: Normalization
    backend: Backend

    @classmethod
    def read(
        cls,
        data: DataSet,
        recipe: Recipe,
        device: torch.device,
        *,
        train_images: int | None,
        final: bool,
        image: int,
    ) -> "Subject":
        """Read the images; the test files only for a final training.

        Args:
            data: The data set.
            recipe: The recipe to train.
            device: Where to train.
            train_images: Number of images to train on; None for all but the validation images.
            final: Measure on the test images, and train on the validation images too unless the recipe
                needs them.
            image: Index of the image whose feature maps are drawn, among the measured ones.

        Raises:
            UsageError: There is no such image.
        """
        labelled = data.read_train()
        splits = splits_of(labelled, split(labelled, train_images))
        held_out = not final or needs_validation(recipe)
        kind, measured, official = "validation", splits.validation, labelled.official
        if final:
            test = data.read_test()
            splits = splits if held_out else _everything(splits)
            kind, measured = "test", Part.of(test.images, test.labels)
            official = official and test.official
        if not 0 <= image < len(measured):
            raise UsageError(
                f"--image must be from 0 to {len(measured) - 1}, as there are {len(measured):,} {kind} "
                f"images, but got {image}."
            )
        identity = DataIdentity(
            name=data.name,
            official=official,
            train=len(splits.train),
            validation=len(splits.validation) if held_out else 0,
            split=splits.digest,
        )
        return cls(
            splits=splits,
            part=measured.to(device),
            split=kind,
            held_out=held_out,
            identity=identity,
            classes=short_names(data.classes),
            image=image,
            normalize=Normalization.of(recipe, splits.to(device)),
            backend=backend_of(recipe, device),
        )

    @property
    def label(self) -> str:
        """The class of the image whose feature maps are drawn."""
        return self.classes[int(self.part.labels[self.image])]

    def measure(self, training: Training, seed: int) -> Run:
        """Measure a trained network on the images."""
        loss, accuracy = training.evaluate(self.part)
        counts = confusion(training.network, self.part, self.normalize, self.backend)
        return Run(
            seed=seed,
            loss=loss,
            accuracy=accuracy,
            per_class=dict(zip(self.classes, class_accuracies(counts), strict=True)),
            confusion=counts.tolist(),
            history=tuple(training.history),
        )

    def feature_maps(self, training: Training) -> dict[str, Tensor]:
        """Return the output of each convolution for the chosen image, by layer name."""
        image = self.normalize(self.part.images[self.image : self.image + 1])[0]  # (3, 32, 32)
        return feature_maps(training.network, image)

    def describe_maps(self, seed: int, maps: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return feature maps as plain JSON, with their origin."""
        return {
            "data": self.identity.described(),
            "split": self.split,
            "seed": seed,
            "image": self.image,
            "class": self.label,
            "layers": {name: _rounded(values.tolist()) for name, values in maps.items()},
        }


def needs_validation(recipe: Recipe) -> bool:
    """Return whether training looks at the validation images, so that none may be trained on."""
    return recipe.schedule.name == "plateau"


def _everything(splits: Splits) -> Splits:
    """`splits` with both parts to train on; figures of the validation part then mean nothing."""
    train, validation = splits.train, splits.validation
    both = Part(
        torch.cat([train.images, validation.images]), torch.cat([train.labels, validation.labels])
    )
    return replace(splits, train=both)


def _rounded(values: Any) -> Any:
    """Nested lists of numbers with five significant digits; None for numbers that JSON lacks."""
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return float(f"{values:.5g}") if math.isfinite(values) else None
