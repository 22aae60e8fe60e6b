"""Who takes part in the trainer's benchmark: the bare step, our training, and rival loaders.

All train the same network with the same optimizer, so what differs is how the images reach the step.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from bench.loaders import ON_DEVICE, RIVALS, Level, MissingRivalError
from cifar_core.data.resident import Normalization, Part, Splits, training_batches
from cifar_core.device import backend_of, wait_for
from cifar_core.models import network_of
from cifar_core.optimizers import optimizer_of
from cifar_core.recipe import Recipe
from cifar_core.stepping import train_step
from cifar_core.trainer import Clock, Training

__all__ = ["Contender", "contenders_of"]


class Contender(Protocol):
    """Trains an epoch whenever it is asked to."""

    name: str
    """``limit``, ``ours``, or a key of `RIVALS`."""

    def turn(self) -> float:
        """Train one epoch; images/s."""
        ...

    def close(self) -> None:
        """End what runs beside the training."""
        ...


class Limit:
    """Forward, backward and optimizer step on one fixed batch that lies on the device."""

    name = "limit"

    def __init__(self, recipe: Recipe, splits: Splits, device: torch.device, clock: Clock) -> None:
        self._step, normalize = _step_of(recipe, splits, device)
        batches = training_batches(
            splits.train,
            recipe.batch_size,
            recipe.augmentation,
            normalize,
            generator=None,
            choices=np.random.default_rng(0),
            together=recipe.batch_size,
        )
        self._batch = next(iter(batches))
        self._steps = len(splits.train) // recipe.batch_size
        self._device, self._clock = device, clock

    def turn(self) -> float:
        """As many steps as an epoch has, all on the same batch."""
        images, labels = self._batch
        wait_for(self._device)
        began = self._clock()
        for _ in range(self._steps):
            self._step(images, labels)
        wait_for(self._device)
        return self._steps * len(labels) / (self._clock() - began)

    def close(self) -> None:
        """Nothing runs beside it."""


class Ours:
    """`Training` itself: order, augmentation, normalisation, schedule, metrics."""

    name = "ours"

    def __init__(
        self,
        recipe: Recipe,
        splits: Splits,
        device: torch.device,
        clock: Clock,
        *,
        compile_network: bool = False,
        capture_steps: bool = False,
    ) -> None:
        # What an epoch says of its speed is about training alone; validation is measured apart.
        few = Part(splits.validation.images[:10], splits.validation.labels[:10])
        endless = recipe.model_copy(update={"epochs": 10_000})
        # As a worker has them: on a CPU both ways.
        train = splits.train.mirrored_too() if device.type == "cpu" else splits.train
        training = Training(
            endless,
            replace(splits, train=train, validation=few),
            seed=0,
            device=device,
            clock=clock,
            compile_network=compile_network,
            capture_steps=capture_steps,
        )
        self.training = training
        self._epochs = training.epochs()

    def turn(self) -> float:
        """One epoch, as a trial has it."""
        return next(self._epochs).images_per_second

    def close(self) -> None:
        """Nothing runs beside it."""


class Fed:
    """The same steps, on what a rival loader gives."""

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        level: Level,
        splits: Splits,
        device: torch.device,
        clock: Clock,
    ) -> None:
        self.name = name
        part = splits.train if name in ON_DEVICE else splits.train.to(torch.device("cpu"))
        self._rival = RIVALS[name](part, recipe.batch_size, level, 0)
        self._step, _ = _step_of(recipe, splits, device)
        self._device, self._clock = device, clock

    def turn(self) -> float:
        """One epoch of the loader's."""
        seen = 0
        wait_for(self._device)
        began = self._clock()
        for images, labels in self._rival.epoch():
            self._step(images.to(self._device), labels.to(self._device))
            seen += len(labels)
        wait_for(self._device)
        return seen / (self._clock() - began)

    def close(self) -> None:
        """End the loader's processes."""
        self._rival.close()


def contenders_of(
    recipe: Recipe,
    level: Level,
    rivals: Sequence[str],
    splits: Splits,
    device: torch.device,
    clock: Clock,
) -> list[Contender]:
    """The limit, ours, and those of `rivals` that can take part at this level."""
    found: list[Contender] = [
        Limit(recipe, splits, device, clock),
        Ours(recipe, splits, device, clock),
    ]
    for name in rivals:
        try:
            found.append(Fed(name, recipe, level, splits, device, clock))
        except MissingRivalError as error:
            print(f"  {name} does not take part: {error}")
    return found


def _step_of(
    recipe: Recipe, splits: Splits, device: torch.device
) -> tuple[Callable[[Tensor, Tensor], None], Normalization]:
    """The step of a fresh network, and the normalisation of its images."""
    backend = backend_of(recipe, device)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = backend.place(network_of(recipe.network)).train()
    optimizer = optimizer_of(recipe, network.parameters())

    def step(images: Tensor, labels: Tensor) -> None:
        train_step(network, optimizer, images, labels, recipe.label_smoothing, backend)

    return step, Normalization.of(recipe, splits)
