"""The recipe: the frozen record of all that decides a training run.

Seed, device and pictures are given beside it. A recipe validates itself, has a stable hash, and is
what gets searched, exported, retrained and compared. This module imports no torch, so that reading a
recipe costs nothing.
"""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError

from cifar_core.errors import RecipeError
from cifar_core.records import Record, explain

__all__ = [
    "Adam",
    "AdamW",
    "Augmentation",
    "Constant",
    "Cosine",
    "Net",
    "Network",
    "OneCycle",
    "Optimizer",
    "Recipe",
    "Schedule",
    "Sgd",
    "Step",
]

Channels = Annotated[int, Field(ge=1, le=4096)]
LearningRate = Annotated[float, Field(gt=0.0, le=1000.0)]
Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
WeightDecay = Annotated[float, Field(ge=0.0, le=1.0)]


class Net(Record):
    """The network of the PyTorch CIFAR-10 tutorial, with what its variants change.

    Attributes:
        channels1: Output channels of the first 5x5 convolution.
        channels2: Output channels of the second 5x5 convolution.
        batch_norm: BatchNorm behind both pooled convolutions and the first linear layer.
        dropout: Probability of dropping a unit, at the same three places, in [0, 1).
        init: ``default`` is PyTorch's own; ``kaiming`` draws every weight from the Kaiming-uniform
            distribution for ReLU (He et al. 2015, section 2.2; fan-in).
    """

    name: Literal["net"] = "net"
    channels1: Channels = 6
    channels2: Channels = 16
    batch_norm: bool = False
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    init: Literal["default", "kaiming"] = "default"


class Sgd(Record):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013), as in PyTorch."""

    name: Literal["sgd"] = "sgd"
    lr: LearningRate = 0.001
    momentum: Momentum = 0.9
    nesterov: bool = False
    weight_decay: WeightDecay = 0.0

    def model_post_init(self, _: Any) -> None:
        """Refuse Nesterov's momentum without momentum, as PyTorch does."""
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("nesterov needs a `momentum` above 0, but got 0.0.")


class Adam(Record):
    """Adam (Kingma & Ba 2015); weight decay is added to the gradient."""

    name: Literal["adam"] = "adam"
    lr: LearningRate = 0.001
    beta1: Momentum = 0.9
    beta2: Momentum = 0.999
    weight_decay: WeightDecay = 0.0


class AdamW(Record):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"] = "adamw"
    lr: LearningRate = 0.001
    beta1: Momentum = 0.9
    beta2: Momentum = 0.999
    weight_decay: WeightDecay = 0.01


class Constant(Record):
    """The learning rate stays what it is."""

    name: Literal["constant"] = "constant"


class Step(Record):
    """The learning rate is multiplied by `factor` after every `epochs` epochs."""

    name: Literal["step"] = "step"
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 5
    factor: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5


class Cosine(Record):
    """The learning rate falls to 0 along half a cosine (Loshchilov & Hutter 2017), step by step."""

    name: Literal["cosine"] = "cosine"


class OneCycle(Record):
    """Linear rise from a 25th of the learning rate, then a cosine to 0 (Smith & Topin 2017).

    Attributes:
        warmup: Share of all steps spent rising, in (0, 1).
    """

    name: Literal["one_cycle"] = "one_cycle"
    warmup: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.25


class Augmentation(Record):
    """What happens to each training picture before each use of it. Zeros change nothing.

    Attributes:
        flip: Probability of a left-right mirror image, in [0, 1].
        crop_padding: Pixels of black added on each side before a random 32x32 crop, 0-16.
        cutout: Side in pixels of the square that is blacked out, 0-32 (DeVries & Taylor 2017).
        strength: Strength in [0, 1] of the per-picture colour and geometry policy.
    """

    flip: Probability = 0.0
    crop_padding: Annotated[int, Field(ge=0, le=16)] = 0
    cutout: Annotated[int, Field(ge=0, le=32)] = 0
    strength: Probability = 0.0


# With a second family of networks this becomes a union told apart by `name`, like the two below.
Network = Net
Optimizer = Annotated[Sgd | Adam | AdamW, Field(discriminator="name")]
Schedule = Annotated[Constant | Step | Cosine | OneCycle, Field(discriminator="name")]


class Recipe(Record):
    """All that decides a training run. The defaults are the PyTorch tutorial's network and optimizer.

    Attributes:
        network: The network and its options.
        optimizer: The optimizer and its options; `lr` is the largest learning rate of the schedule.
        schedule: How the learning rate moves, step by step.
        batch_size: Pictures in a training step, 1-8192.
        epochs: Passes over the training pictures, 1-10,000.
        augmentation: What happens to the training pictures.
        label_smoothing: Share of the label's weight spread over all classes, in [0, 1)
            (Szegedy et al. 2016, section 7).
        normalization: ``symmetric`` maps pixels to [-1, 1], as the tutorial does; ``standard``
            subtracts the training pictures' mean and divides by their standard deviation, per channel.
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

    def model_post_init(self, _: Any) -> None:
        """Refuse batches that BatchNorm has no variance of."""
        if self.network.batch_norm and self.batch_size == 1:
            raise ValueError("batch_size must be at least 2 with batch_norm, but got 1.")

    @classmethod
    def read(cls, values: object, origin: str = "recipe") -> Self:
        """Make a recipe of plain values, as they stand in a file.

        Args:
            values: A mapping of keys to values, nested as the recipe is.
            origin: Where the values come from, for the error.

        Raises:
            RecipeError: Something is wrong; the text names each key, what is allowed, what was found.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = "\n".join(f"  {line}" for line in explain(error))
            raise RecipeError(f"{origin} is not a valid training recipe:\n{problems}") from error

    def plain(self) -> dict[str, Any]:
        """The recipe as nested dictionaries of strings, numbers and booleans."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that two recipes share only if they are equal."""
        text = json.dumps(self.plain(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]
