"""The images that a network is retrained and measured on, and the figures that are measured there."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cifar_core.data.dataset import DataSet
from cifar_core.data.resident import Normalization, Part, Splits, splits_of
from cifar_core.data.split import split, validation_images
from cifar_core.device import Backend, backend_of
from cifar_core.diagnostics import class_accuracies, confusion, feature_maps, short_names
from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from cifar_core.trainer import Training
from search.errors import UsageError
from search.study.confirmation import packed, unpacked
from search.study.settings import DataIdentity
from search.workers.shared_images import identity_of

__all__ = ["Run", "Subject", "TrainingImages", "check_image", "needs_validation"]


@dataclass(frozen=True)
class Run:
    """One training and its measurement.

    Attributes:
        seed: The seed of the training.
        loss: Mean cross-entropy on the measured images.
        accuracy: Accuracy on the measured images, 0-1.
        flip_averaged: Accuracy by the mean of the logits of an image and of its mirror image, 0-1; None
            where it is not measured.
        per_class: Accuracy by class name, 0-1, in the order of the labels; None for a class without images.
        confusion: Images by true class (row) and predicted class (column).
        correct: Which of the images are classified right, (N,).
        history: The epochs.
    """

    seed: int
    loss: float
    accuracy: float
    flip_averaged: float | None
    per_class: Mapping[str, float | None]
    confusion: list[list[int]]
    correct: npt.NDArray[np.bool_]
    history: tuple[Epoch, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the run as plain JSON."""
        return {
            "seed": self.seed,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "flip_averaged_accuracy": self.flip_averaged,
            "per_class": dict(self.per_class),
            "confusion": self.confusion,
            "correct": packed(self.correct),
            "epochs": [asdict(epoch) for epoch in self.history],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the run that `to_dict` made this from.

        Raises:
            ValueError: It was not made by it.
        """
        try:
            counts = [[int(one) for one in row] for row in values["confusion"]]
            return cls(
                seed=int(values["seed"]),
                loss=float(values["loss"]),
                accuracy=float(values["accuracy"]),
                flip_averaged=values["flip_averaged_accuracy"],
                per_class=dict(values["per_class"]),
                confusion=counts,
                correct=unpacked(values["correct"], sum(map(sum, counts))),
                history=tuple(Epoch(**epoch) for epoch in values["epochs"]),
            )
        except (AttributeError, LookupError, TypeError) as error:
            raise ValueError(f"this is no run: {error}") from error


@dataclass(frozen=True)
class TrainingImages:
    """The images that one recipe is trained on.

    Attributes:
        splits: The images to train on, and to validate on, on the CPU.
        held_out: The validation images are not among those trained on.
        identity: The data set and its split.
    """

    splits: Splits
    held_out: bool
    identity: DataIdentity

    @classmethod
    def read(cls, data: DataSet, train_images: int | None) -> Self:
        """Read the training files, and keep the validation images apart.

        Args:
            data: The data set; its test files are not opened.
            train_images: Number of images to train on; None for all but the validation images.
        """
        labelled = data.read_train()
        splits = splits_of(labelled, split(labelled, train_images))
        return cls(
            splits=splits,
            held_out=True,
            identity=identity_of(data, splits, official=labelled.official),
        )

    def all_of_them(self) -> "TrainingImages":
        """Return the same images, those for validation trained on too."""
        splits = _everything(self.splits)
        changes = {"train": len(splits.train), "validation": 0, "split": splits.digest}
        identity = self.identity.model_copy(update=changes)
        return TrainingImages(splits, held_out=False, identity=identity)


@dataclass(frozen=True)
class Subject:
    """The images that trained networks of a recipe are measured on, ready on their device.

    Attributes:
        images: What was trained on.
        part: The measured images, on the device.
        split: ``validation`` or ``test``.
        identity: The data set and its split.
        classes: Short names of the classes.
        image: Index of the image whose feature maps are drawn.
        normalize: Bytes to floats.
        backend: The precision to compute in.
    """

    images: TrainingImages
    part: Part
    split: str
    identity: DataIdentity
    classes: tuple[str, ...]
    image: int
    normalize: Normalization
    backend: Backend

    @classmethod
    def of(
        cls,
        images: TrainingImages,
        data: DataSet,
        recipe: Recipe,
        device: torch.device,
        *,
        final: bool,
        image: int,
    ) -> "Subject":
        """Make the measured images ready; this opens the test files if and only if it is final.

        Args:
            images: What was trained on.
            data: The data set.
            recipe: The recipe that was trained.
            device: Where to measure.
            final: Measure on the test images.
            image: Index of the image whose feature maps are drawn, among the measured ones.
        """
        kind, measured, identity = "validation", images.splits.validation, images.identity
        if final:
            test = data.read_test()
            kind, measured = "test", Part.of(test.images, test.labels, test.classes)
            identity = identity.model_copy(update={"official": identity.official and test.official})
        return cls(
            images=images,
            part=measured.to(device),
            split=kind,
            identity=identity,
            classes=short_names(data.classes),
            image=image,
            normalize=Normalization.of(recipe, images.splits.to(device)),
            backend=backend_of(recipe, device),
        )

    @property
    def held_out(self) -> bool:
        """The validation images are not among those trained on."""
        return self.images.held_out

    @property
    def label(self) -> str:
        """The class of the image whose feature maps are drawn."""
        return self.classes[int(self.part.labels[self.image])]

    def measure(self, training: Training, seed: int) -> Run:
        """Measure a trained network on the images; on test images also with their mirror images."""
        loss, accuracy = training.evaluate(self.part)
        counts = confusion(training.network, self.part, self.normalize, self.backend)
        averaged = None
        if self.split == "test":
            right = training.answers(self.part, flip_averaged=True)
            averaged = int(right.sum()) / len(right)
        return Run(
            seed=seed,
            loss=loss,
            accuracy=accuracy,
            flip_averaged=averaged,
            per_class=dict(zip(self.classes, class_accuracies(counts), strict=True)),
            confusion=counts.tolist(),
            correct=training.answers(self.part).numpy(),
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


def check_image(index: int, data: DataSet, *, final: bool) -> None:
    """Refuse the index of an image that there is none of.

    Args:
        index: The index, among the measured images.
        data: The images, none of which is read.
        final: The test images are measured, which are not opened for this.

    Raises:
        UsageError: There is no such image.
    """
    validating = validation_images(data.train_images)
    kind, count = ("test", data.test_images) if final else ("validation", validating)
    if not 0 <= index < count:
        raise UsageError(
            f"--image must be from 0 to {count - 1}, as there are {count:,} {kind} images, but got {index}."
        )


def needs_validation(recipe: Recipe) -> bool:
    """Return whether training looks at the validation images, so that none may be trained on."""
    return recipe.schedule.name == "plateau"


def _everything(splits: Splits) -> Splits:
    """`splits` with both parts to train on; figures of the validation part then mean nothing.

    The digest is another one, so that no training on one part continues as a training on both.
    """
    train, validation = splits.train, splits.validation
    both = Part(
        torch.cat([train.images, validation.images]),
        torch.cat([train.labels, validation.labels]),
        classes=train.classes,
    )
    digest = hashlib.sha256(f"{splits.digest}, both parts".encode()).hexdigest()[:16]
    return replace(splits, train=both, digest=digest)


def _rounded(values: Any) -> Any:
    """Nested lists of numbers with five significant digits; None for numbers that JSON lacks."""
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return float(f"{values:.5g}") if math.isfinite(values) else None
