"""The networks that a recipe can name, and the options of each. No torch is imported here."""

import keyword
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from cifar_core.records import Record, no_control, shown

__all__ = [
    "Net",
    "Network",
    "OwnNetwork",
    "PreActResNet18",
    "ResNet9",
    "ResNet18Cifar",
    "ResNet18ImageNet",
    "Residual",
    "SpeedNet",
]

Channels = Annotated[int, Field(ge=1, le=4096)]
BUILDER = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
MOST_ARGUMENTS, LARGEST_ARGUMENT = 50, 1e18
Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]


class Net(Record):
    """The network of the PyTorch CIFAR-10 tutorial, with what its variants change.

    Attributes:
        channels1: Output channels of the first 5x5 convolution.
        channels2: Output channels of the second 5x5 convolution.
        batch_norm: BatchNorm after both pooled convolutions and the first linear layer.
        dropout: Probability of dropping a unit, at the same three places, in [0, 1).
        init: ``default`` is PyTorch's own; ``kaiming`` draws every weight from the Kaiming-uniform
            distribution for ReLU (He et al. 2015, section 2.2; fan-in).
    """

    name: Literal["net"] = "net"
    channels1: Channels = 6
    channels2: Channels = 16
    batch_norm: bool = False
    dropout: Dropout = 0.0
    init: Literal["default", "kaiming"] = "default"

    @property
    def has_batch_norm(self) -> bool:
        """It cannot be trained on batches of a single image."""
        return self.batch_norm


class Residual(Record):
    """The options of all residual networks.

    Attributes:
        width: Channels of the first stage; each of the three later stages has twice those before it.
        norm: ``batch`` is BatchNorm; ``group`` is GroupNorm (Wu & He 2018, arXiv 1803.08494), which
            doesn't depend on the batch.
        dropout: Probability of dropping a feature before the last layer, in [0, 1).
    """

    width: Annotated[int, Field(ge=1, le=512)] = 64
    norm: Literal["batch", "group"] = "batch"
    dropout: Dropout = 0.0

    @property
    def has_batch_norm(self) -> bool:
        """It cannot be trained on batches of a single image."""
        return self.norm == "batch"


class ResNet9(Residual):
    """A 3x3 stem with max-pooling and four stages of one basic block each: the last map is 2x2."""

    name: Literal["resnet9"] = "resnet9"


class ResNet18Cifar(Residual):
    """ResNet18 (He et al. 2015) with a 3x3 stem of stride 1 and no max-pooling: the last map is 4x4."""

    name: Literal["resnet18_cifar"] = "resnet18_cifar"


class ResNet18ImageNet(Residual):
    """ResNet18 as torchvision has it for ImageNet: the last map of a 32x32 image is 1x1.

    Attributes:
        weights: ``random``; ``imagenet``, which torchvision downloads; or a file of such a network's
            weights. The last layer is new in any case.
        frozen: Train the last layer alone.
    """

    name: Literal["resnet18_imagenet"] = "resnet18_imagenet"
    weights: Annotated[str, Field(min_length=1, max_length=1_000)] = "random"
    frozen: bool = False

    def model_post_init(self, _: Any) -> None:
        """Refuse what only an ImageNet network's own shape and training give a meaning to."""
        if self.weights != "random" and (self.width != 64 or self.norm != "batch"):
            raise ValueError("weights can only be loaded with width 64 and norm 'batch'.")
        if self.frozen and self.weights == "random":
            raise ValueError("frozen needs trained `weights`, but got 'random'.")


class PreActResNet18(Residual):
    """ResNet18 with norm and ReLU before each convolution (He et al. 2016), for 32x32: last map 4x4."""

    name: Literal["preact_resnet18"] = "preact_resnet18"


class SpeedNet(Record):
    """A small network for the most accuracy per second: a whitening layer and three blocks.

    Attributes:
        channels1: Channels of the first block, on 15x15 maps.
        channels2: Channels of the second block, on 7x7 maps.
        channels3: Channels of the third block, on 3x3 maps.
        whitening: The first layer is set to decorrelate 3x3 patches of the training images and stays
            fixed; else it is an ordinary trained convolution.
        dropout: Probability of dropping a feature before the last layer, in [0, 1).
    """

    name: Literal["speednet"] = "speednet"
    channels1: Channels = 32
    channels2: Channels = 64
    channels3: Channels = 128
    whitening: bool = True
    dropout: Dropout = 0.0

    @property
    def has_batch_norm(self) -> bool:
        """It cannot be trained on batches of a single image."""
        return True


class OwnNetwork(Record):
    """A network of your own, made by a Python function; the keys that are not listed are its arguments.

    An argument is a number, a text, true or false. The function also gets `classes`, their number.

    Attributes:
        builder: The function, as ``module:function``. It is run only with ``--trust``. The module is a file
            beside the space file or the recipe, or in the current folder.
    """

    model_config = ConfigDict(extra="allow")

    name: Literal["own"] = "own"
    builder: Annotated[str, Field(pattern=BUILDER, max_length=200)]

    @model_validator(mode="after")
    def _check_arguments(self) -> "OwnNetwork":
        arguments = self.model_extra or {}
        if len(arguments) > MOST_ARGUMENTS:
            raise ValueError(f"at most {MOST_ARGUMENTS} arguments, but got {len(arguments)}.")
        for name, value in arguments.items():
            if not name.isidentifier() or keyword.iskeyword(name) or name == "classes":
                raise ValueError(
                    f"{shown(name)} cannot be an argument: it must be a name of Python's other than "
                    "`classes`, which is the number of classes of the images."
                )
            if isinstance(value, str):
                no_control(value)
            elif not isinstance(value, int | float) or not abs(value) <= LARGEST_ARGUMENT:
                raise ValueError(
                    f"{name} must be a number, a text, true or false, but got {shown(value)}."
                )
        return self

    @property
    def arguments(self) -> Mapping[str, bool | int | float | str]:
        """The arguments of the function, without `classes`."""
        return self.model_extra or {}

    @property
    def has_batch_norm(self) -> bool:
        """Only the network itself tells, once it is made."""
        return False


Network = Annotated[
    Net | ResNet9 | ResNet18Cifar | ResNet18ImageNet | PreActResNet18 | SpeedNet | OwnNetwork,
    Field(discriminator="name"),
]
