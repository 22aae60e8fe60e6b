"""The recipe: the frozen record of everything that decides a training run.

Seed, device and images are given beside it. A recipe validates itself, has a stable hash, and is
what gets searched, exported, retrained and compared. This module imports no torch, so that reading a
recipe costs nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from cifar_core.errors import RecipeError
from cifar_core.networks import (
    Net,
    Network,
    OwnNetwork,
    PreActResNet18,
    Residual,
    ResNet9,
    ResNet18Cifar,
    ResNet18ImageNet,
    SpeedNet,
)
from cifar_core.records import UNIONS, Record, explain, kinds_at, listed
from cifar_core.schedules import Constant, Cosine, Linear, OneCycle, Plateau, Schedule, Step

__all__ = [
    "Adam",
    "AdamW",
    "Augmentation",
    "Constant",
    "Cosine",
    "Linear",
    "Net",
    "Network",
    "OneCycle",
    "Optimizer",
    "OwnNetwork",
    "Plateau",
    "PreActResNet18",
    "Recipe",
    "ResNet9",
    "ResNet18Cifar",
    "ResNet18ImageNet",
    "Residual",
    "Schedule",
    "Sgd",
    "SpeedNet",
    "Step",
    "current_name",
    "takes_fractions",
    "with_current_names",
]

LearningRate = Annotated[float, Field(gt=0.0, le=1000.0)]
Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
MixingAlpha = Annotated[float, Field(ge=0.0, le=100.0)]
WeightDecay = Annotated[float, Field(ge=0.0, le=1.0)]


RENAMED = {"weight_decay_per_picture": "weight_decay_per_image"}
"""Former names of fields, and their current ones. Files and studies may hold the former."""
HASHED_AS = {current: former for former, current in RENAMED.items()}


def current_name(field: str) -> str:
    """Return the current name of a recipe's field, such as ``optimizer.lr``.

    >>> current_name("optimizer.weight_decay_per_picture")
    'optimizer.weight_decay_per_image'
    """
    section, dot, name = field.rpartition(".")
    return f"{section}{dot}{RENAMED.get(name, name)}"


def with_current_names(section: Any) -> Any:
    """Return a section of a recipe with the current names of its fields.

    A former name beside the current one is left as it is, to be refused.
    """
    if not isinstance(section, Mapping):
        return section
    return {
        key if RENAMED.get(key) in section else RENAMED.get(key, key): value
        for key, value in section.items()
    }


class _OptimizerRecord(Record):
    @model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, values: Any) -> Any:
        return with_current_names(values)


class Sgd(_OptimizerRecord):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013), as in PyTorch.

    Attributes:
        lr: Learning rate; with a schedule, its largest.
        momentum: Share of the step before that is taken again, in [0, 1).
        nesterov: Nesterov's momentum: the gradient is taken ahead of the step.
        weight_decay: Factor of the weights that is added to their gradient at each step.
        weight_decay_per_image: Weight decay for each image of a batch, added to `weight_decay`:
            5e-4 with batches of 64 is 0.032.
    """

    name: Literal["sgd"] = "sgd"
    lr: LearningRate = 0.001
    momentum: Momentum = 0.9
    nesterov: bool = False
    weight_decay: WeightDecay = 0.0
    weight_decay_per_image: WeightDecay = 0.0

    def model_post_init(self, _: Any) -> None:
        """Refuse Nesterov's momentum without momentum, as PyTorch does."""
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("nesterov needs a `momentum` above 0, but got 0.0.")


class Adam(_OptimizerRecord):
    """Adam (Kingma & Ba 2015); weight decay is added to the gradient.

    Attributes:
        lr: Learning rate; with a schedule, its largest.
        beta1: Decay of the mean of the gradients, in [0, 1).
        beta2: Decay of the mean of their squares, in [0, 1).
        weight_decay: Factor of the weights that is added to their gradient at each step.
        weight_decay_per_image: Weight decay for each image of a batch, added to `weight_decay`.
    """

    name: Literal["adam"] = "adam"
    lr: LearningRate = 0.001
    beta1: Momentum = 0.9
    beta2: Momentum = 0.999
    weight_decay: WeightDecay = 0.0
    weight_decay_per_image: WeightDecay = 0.0


class AdamW(_OptimizerRecord):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    Attributes:
        lr: Learning rate; with a schedule, its largest.
        beta1: Decay of the mean of the gradients, in [0, 1).
        beta2: Decay of the mean of their squares, in [0, 1).
        weight_decay: Factor of the weights that is taken off at each step, times the learning rate.
        weight_decay_per_image: Weight decay for each image of a batch, added to `weight_decay`.
    """

    name: Literal["adamw"] = "adamw"
    lr: LearningRate = 0.001
    beta1: Momentum = 0.9
    beta2: Momentum = 0.999
    weight_decay: WeightDecay = 0.01
    weight_decay_per_image: WeightDecay = 0.0


class Augmentation(Record):
    """Augmentation of each training image before each use. The defaults change nothing.

    Attributes:
        flip: Probability of a left-right mirror image, in [0, 1].
        crop_padding: Pixels added on each side before a random 32x32 crop, 0-16.
        crop_fill: What is added: ``zero`` is black, ``reflect`` mirrors the image at its edge.
        cutout: Side in pixels of the square that is blacked out, 0-32 (DeVries & Taylor 2017).
        policy: Which colour and geometry operations an image gets: one at random (``trivial``, after
            Müller & Hutter 2021), one of AutoAugment's 25 pairs for CIFAR-10 (``auto``, Cubuk et al.
            2018), or a mixture of chains (``augmix``, Hendrycks et al. 2019).
        probability: Share of the images that the policy is applied to, in [0, 1].
        strength: Strength of its operations, in [0, 1]; 0 switches it off.
        mixup: Alpha of mixup's Beta distribution, 0-100; 0 is off (Zhang et al. 2017).
        cutmix: Alpha of CutMix's Beta distribution, 0-100; 0 is off (Yun et al. 2019). With both, each
            batch gets one of the two.
    """

    flip: Probability = 0.0
    crop_padding: Annotated[int, Field(ge=0, le=16)] = 0
    crop_fill: Literal["zero", "reflect"] = "zero"
    cutout: Annotated[int, Field(ge=0, le=32)] = 0
    policy: Literal["trivial", "auto", "augmix"] = "trivial"
    probability: Probability = 1.0
    strength: Probability = 0.0
    mixup: MixingAlpha = 0.0
    cutmix: MixingAlpha = 0.0

    @property
    def mixes(self) -> bool:
        """Images are mixed with each other, and labels with them."""
        return self.mixup > 0.0 or self.cutmix > 0.0


Optimizer = Annotated[Sgd | Adam | AdamW, Field(discriminator="name")]


class Recipe(Record):
    """Everything that decides a training run. The defaults are those of the PyTorch tutorial.

    Attributes:
        network: The network and its options.
        optimizer: The optimizer and its options; `lr` is the largest learning rate of the schedule.
        schedule: How the learning rate moves, step by step.
        batch_size: Images in a training step, 1-8192.
        epochs: Passes over the training images, 1-10,000.
        augmentation: Changes made to the training images.
        label_smoothing: Share of the label's weight spread over all classes, in [0, 1)
            (Szegedy et al. 2016, section 7).
        normalization: ``symmetric`` maps pixels to [-1, 1], as the tutorial does; ``standard``
            subtracts the training images' mean and divides by their standard deviation, per channel.
        precision: ``auto`` computes in bfloat16 where the device is a GPU that has it, else in float32.
    """

    network: Network = Net()
    optimizer: Optimizer = Sgd()
    schedule: Schedule = Constant()
    batch_size: Annotated[int, Field(ge=1, le=8192)] = 64
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 12
    augmentation: Augmentation = Augmentation()
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    normalization: Literal["symmetric", "standard"] = "symmetric"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _default_kinds(cls, values: Any) -> Any:
        """A section without a `name` is of the default kind: ``network.channels1 = 32`` is a `Net`.

        One with a `builder` is an `OwnNetwork`.
        """
        if not isinstance(values, Mapping):
            return values
        kinds = {key: cls.model_fields[key].default.name for key in UNIONS}
        if isinstance(values.get("network"), dict) and "builder" in values["network"]:
            kinds["network"] = "own"
        return {
            key: {"name": kinds[key], **value}
            if key in kinds and isinstance(value, dict)
            else value
            for key, value in values.items()
        }

    def model_post_init(self, _: Any) -> None:
        """Refuse batches too small for BatchNorm's variance, and a decay above 1."""
        if self.network.has_batch_norm and self.batch_size == 1:
            raise ValueError("batch_size must be at least 2 with BatchNorm, but got 1.")
        if self.weight_decay > 1.0:
            raise ValueError(
                "weight_decay, with weight_decay_per_image * batch_size, must be at most 1, "
                f"but got {self.weight_decay:g}."
            )

    @classmethod
    def read(cls, values: object, origin: str = "recipe") -> Self:
        """Make a recipe from plain values, as read from a file.

        Args:
            values: A mapping of keys to values, nested as the recipe is.
            origin: Where the values come from, for the error.

        Raises:
            RecipeError: Something is wrong; the text names each key, what is allowed, what was found.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = listed(explain(error, cls))
            raise RecipeError(f"{origin} is not a valid training recipe:\n{problems}") from error

    def to_dict(self) -> dict[str, Any]:
        """The recipe as nested dictionaries of strings, numbers and booleans."""
        return self.model_dump(mode="json")

    @property
    def weight_decay(self) -> float:
        """The weight decay of a step, the share for each image included."""
        optimizer = self.optimizer
        return optimizer.weight_decay + optimizer.weight_decay_per_image * self.batch_size

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that two recipes share only if they are equal.

        They don't change when a later version has more fields, as long as the defaults of the new ones
        are what was there before, or other names for fields, since the former names are hashed.
        """
        text = json.dumps(_told(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _told(record: Record) -> dict[str, Any]:
    """Return what differs from the defaults, and the kind of each section."""
    told = {}
    for name, field in type(record).model_fields.items():
        value = getattr(record, name)
        if name == "name" or value != field.default:
            told[HASHED_AS.get(name, name)] = _told(value) if isinstance(value, Record) else value
    return told | (record.model_extra or {})


def takes_fractions(field: str) -> bool:
    """Return whether a recipe's field holds a number that need not be whole.

    >>> takes_fractions("augmentation.flip"), takes_fractions("network.channels1")
    (True, False)
    """
    return float in kinds_at(Recipe, field.split("."))
