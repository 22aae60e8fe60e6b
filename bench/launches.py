"""Count the operations that a training step launches on a GPU, without one.

    python -m bench.launches [--each]

The training runs on tensors without content, the way it goes on a GPU, and every operation that would
compute there is counted as PyTorch dispatches it. What an epoch does once is left out: the count is the
difference between a long and a short epoch. With ``--each`` the operations are named. It is a count, so it
has no spread.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.columns import in_columns
from bench.loaders import AUGMENTATIONS
from cifar_core import trainer
from cifar_core.data.resident import Part, Splits
from cifar_core.device import Backend, backend_of
from cifar_core.networks import Net, SpeedNet
from cifar_core.recipe import Recipe, Sgd
from cifar_core.trainer import Training

__all__ = [
    "CUDA",
    "META",
    "RECIPES",
    "Launches",
    "empty_splits",
    "launches_of_an_epoch",
    "launches_of_steps",
    "trainable_on_meta",
]

META = torch.device("meta")
CUDA = torch.device("cuda", 0)
NO_KERNEL = {"detach", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
"""Operations beside views that compute nothing."""
STANDARD = AUGMENTATIONS["standard"]
RECIPES = {
    "net": Recipe(augmentation=STANDARD),
    "net, batch norm": Recipe(network=Net(batch_norm=True), augmentation=STANDARD),
    "speednet": Recipe(
        network=SpeedNet(),
        optimizer=Sgd(nesterov=True),
        normalization="standard",
        label_smoothing=0.1,
        augmentation=STANDARD,
    ),
}
"""Steps of 64 images, with augmentation and normalisation."""
FEW, MANY = 8, 64 + 8
"""Steps of a short and of a long epoch: their difference is a whole number of groups of images."""


class Launches(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that compute on a device, each of which is one kernel or a few.

    A convolution's or BatchNorm's backward pass counts once, and so does a fused optimizer's step.

    Attributes:
        counts: How often each operation was called.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count an operation and do it."""
        name = func.overloadpacket.__name__
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        on_device = any(one.device.type != "cpu" for one in tensors) or (kwargs or {}).get("device")
        if name.startswith("_fused_"):
            self.counts[name] += 1
            return None  # there is no such kernel for tensors without content
        result = func(*args, **(kwargs or {}))
        if on_device and not func.is_view and name not in NO_KERNEL:
            self.counts[name] += 1
        return result


def empty_splits(device: torch.device, train: int = 70, validation: int = 33) -> Splits:
    """Images on a device, of no content where the device is none that is there."""
    train_part, validation_part = (
        Part(
            torch.zeros(count, 3, 32, 32, dtype=torch.uint8, device=device),
            torch.zeros(count, dtype=torch.int64, device=device),
        )
        for count in (train, validation)
    )
    return Splits(train_part, validation_part, (120.0, 121.0, 122.0), (60.0, 61.0, 62.0), "digest")


@contextmanager
def trainable_on_meta() -> Iterator[None]:
    """Makes a `Training` possible on ``meta``, which has neither generators nor fused optimizers."""
    with (
        mock.patch.object(trainer, "RandomState", _NoRandomState),
        mock.patch.object(trainer, "backend_of", lambda _, device: _as_on_a_gpu(device)),
        mock.patch(
            "torch.optim.optimizer._get_fused_kernels_supported_devices", return_value=["meta"]
        ),
    ):
        yield


def launches_of_an_epoch(recipe: Recipe, steps: int) -> Counter[str]:
    """Return the operations of an epoch of so many steps, without its validation."""
    with trainable_on_meta():
        splits = empty_splits(META, steps * recipe.batch_size)
        training = Training(recipe, splits, seed=0, device=META, clock=lambda: 0.0)
        with (
            mock.patch.object(trainer, "evaluate", return_value=(0.0, 0.0)),
            mock.patch.object(Tensor, "item", return_value=1.0),
            Launches() as launches,
        ):
            next(training.epochs())
    counts: Counter[str] = launches.counts
    return counts


def launches_of_steps(recipe: Recipe) -> dict[str, float]:
    """Return the operations of a step by name, the most frequent first."""
    few, many = (launches_of_an_epoch(recipe, steps) for steps in (FEW, MANY))
    each = {name: (many[name] - few[name]) / (MANY - FEW) for name in many}
    return dict(sorted(each.items(), key=lambda pair: -pair[1]))


def _as_on_a_gpu(device: torch.device) -> Backend:
    """The backend that a GPU has, but for autocast, which wants a GPU that is there."""
    return replace(backend_of(Recipe(), CUDA), device=device, autocast=None, evaluation_batch=10)


class _NoRandomState:
    """Stands for `RandomState`, whose generators live on the device: here all draws are as empty."""

    generator = None

    def __init__(self, *_: object) -> None:
        pass

    def active(self) -> Any:
        return nullcontext()

    def state_dict(self) -> dict[str, Any]:
        return {}

    load_state_dict: Callable[..., None] = lambda *_: None


def main() -> None:
    """Count, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.launches", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--each", action="store_true", help="name the operations")
    wanted = parser.parse_args()
    counts = {name: launches_of_steps(recipe) for name, recipe in RECIPES.items()}
    rows = [[name, f"{sum(each.values()):.1f}"] for name, each in counts.items()]
    print(in_columns(("network", "operations a step"), rows))
    for name, each in counts.items() if wanted.each else ():
        rows = [[operation, f"{count:.2f}"] for operation, count in each.items() if count]
        print("", in_columns((name, "a step"), rows), sep="\n")


if __name__ == "__main__":
    main()
