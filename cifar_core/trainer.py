"""One training run, read from top to bottom: a generator of epochs whose state can be kept.

    training = Training(recipe, splits, seed=0, device=torch.device("cpu"))
    for epoch in training.epochs():
        if not keep_going(epoch):
            break

The consumer of the epochs decides whether training continues; to stop is not to ask for the next one.
"""

import copy
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from itertools import chain, count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cifar_core.capturing import Capture, lacks_for_capturing
from cifar_core.compiling import Forward, compiled
from cifar_core.data.resident import Normalization, Part, Splits, training_batches
from cifar_core.device import backend_of, captures_steps
from cifar_core.epoch import Epoch
from cifar_core.errors import CheckpointError
from cifar_core.optimizers import make_capturable, optimizer_of, plain_state
from cifar_core.plateau import PlateauControl
from cifar_core.random_state import RandomState
from cifar_core.recipe import Plateau, Recipe
from cifar_core.schedules import schedule_of
from cifar_core.seeds import derive
from cifar_core.stepping import answers, evaluate, new_network, set_lr, train_step

__all__ = ["Clock", "Training"]

Clock = Callable[[], float]


class Training:
    """A training run that can be stopped after any epoch and continued later.

    On the CPU a run that was stopped and resumed ends with the same bits as one that was not, given
    the same number of threads. PyTorch's global generators are left as they were found.

    Args:
        recipe: What to train and how.
        splits: The images; they are moved to `device`.
        seed: Random seed of initial weights, order, augmentation and dropout.
        device: Where to train.
        clock: Seconds, from any start.
        compile_network: Train with a compiled network if that can be done here (see `compiling`). Figures
            agree with those of the network as it is but for rounding.
        capture_steps: Train with steps captured in a CUDA graph if that can be done here (see `capturing`).
            Figures agree with those of other steps but for rounding. None for what `captures_steps` says.
        each_step: Called after every optimizer step.

    Attributes:
        recipe: As given.
        seed: As given.
        history: The epochs so far.
        network: The network in its current state.
        not_compiled: Why the network is trained as it is although compiling was asked for, or None.
        steps_per_epoch: Optimizer steps in an epoch; an incomplete last batch is left out.
    """

    def __init__(
        self,
        recipe: Recipe,
        splits: Splits,
        *,
        seed: int,
        device: torch.device,
        clock: Clock = time.perf_counter,
        compile_network: bool = False,
        capture_steps: bool | None = None,
        each_step: Callable[[], object] = lambda: None,
    ) -> None:
        self.recipe = recipe
        self.seed = seed
        self.history: list[Epoch] = []
        self._device = device
        self._clock = clock
        self._each_step = each_step
        self._backend = backend_of(recipe, device)
        self._splits = splits.to(device)
        self._normalize = Normalization.of(recipe, self._splits)
        self._random = RandomState(seed, device)
        with self._random.active():
            self.network = new_network(recipe, self._splits, self._normalize, self._backend)
        self._optimizer = optimizer_of(recipe, self.network.parameters())
        captures = captures_steps(device) if capture_steps is None else capture_steps
        self._lacks_for_capturing = lacks_for_capturing(device) if captures else None
        self._capture: Capture | None = None
        if captures and self._lacks_for_capturing is None:
            self._capture = Capture(self._plain_step)
            make_capturable(self._optimizer, device)
        self.steps_per_epoch = len(self._splits.train) // min(
            recipe.batch_size, len(self._splits.train)
        )
        self._forward: Forward = self.network
        self.not_compiled: str | None = None
        if compile_network:
            with self._random.apart():
                batch = self._splits.train.images[: recipe.batch_size]
                self._forward, self.not_compiled = compiled(
                    self.network, self._normalize(batch), self._backend
                )
        self._schedule = schedule_of(recipe.schedule, recipe.epochs, self.steps_per_epoch)
        plateau = recipe.schedule
        self._plateau = PlateauControl(plateau) if isinstance(plateau, Plateau) else None

    @property
    def not_captured(self) -> str | None:
        """Why steps are not captured although that was asked for, or None. Known after some steps."""
        return self._capture.reason if self._capture is not None else self._lacks_for_capturing

    def epochs(self) -> Iterator[Epoch]:
        """Continue training, an epoch at a time, until the recipe's last one.

        The run ends early, after an epoch whose `is_last` is true, if the loss becomes non-finite or
        a plateau schedule has converged.
        """
        while len(self.history) < self.recipe.epochs:
            if self.history and self.history[-1].is_last:
                return
            with self._random.active():
                epoch = self._one_epoch(len(self.history) + 1)
            if self._plateau is not None:
                epoch = self._follow(self._plateau, epoch)
            self.history.append(epoch)
            yield epoch

    def _one_epoch(self, number: int) -> Epoch:
        recipe = self.recipe
        started = self._clock()
        self.network.train()
        loss_sum = torch.zeros((), device=self._device)
        predicted: list[Tensor] = []
        actual: list[Tensor] = []
        step = (number - 1) * self.steps_per_epoch
        # The host's own choices follow from seed and epoch alone: there is no state to keep.
        batches = self._batches(np.random.default_rng(derive(self.seed, "choices", number)))
        seen = 0
        highest = recipe.optimizer.lr * (self._plateau.factor if self._plateau else 1.0)
        lr = highest
        for images, labels in batches:
            lr = highest * self._schedule(step)
            set_lr(self._optimizer, lr)
            loss, logits = self._step(images, labels)
            # Sums stay on the device: reading one here would make the host wait for every step.
            loss_sum += loss
            predicted.append(logits)  # compared at the end, by few kernels; 4 bytes a class
            # Of a mixed image the label with the largest share counts.
            actual.append(labels if labels.ndim == 1 else labels.argmax(1))
            seen += len(labels)
            step += 1
            self._each_step()
        correct = (torch.cat(predicted).argmax(1) == torch.cat(actual)).sum()
        train_loss = loss_sum.item() / self.steps_per_epoch
        trained = self._clock()
        validation_loss, validation_accuracy = evaluate(
            self.network, self._splits.validation, self._normalize, self._backend
        )
        return Epoch(
            number=number,
            train_loss=train_loss,
            train_accuracy=correct.item() / seen,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            lr=lr,
            seconds=self._clock() - started,
            images_per_second=seen / max(trained - started, 1e-9),
        )

    def steps(self, rates: Iterable[float]) -> Iterator[Tensor]:
        """Train outside the recipe's schedule and epochs: one step at each of these learning rates.

        Yields:
            The loss before each step, (), on the device.
        """
        self.network.train()
        choices = np.random.default_rng(derive(self.seed, "choices"))
        endless = chain.from_iterable(self._batches(choices) for _ in count())
        for rate in rates:
            # Step by step, so that the consumer of the losses keeps its own random numbers meanwhile.
            with self._random.active():
                images, labels = next(endless)
                set_lr(self._optimizer, rate)
                loss, _ = self._step(images, labels)
            self._each_step()
            yield loss

    def _step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return (self._capture or self._plain_step)(images, labels)

    def _plain_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        smoothing = self.recipe.label_smoothing
        return train_step(self._forward, self._optimizer, images, labels, smoothing, self._backend)

    def _batches(self, choices: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of batches."""
        return training_batches(
            self._splits.train,
            self.recipe.batch_size,
            self.recipe.augmentation,
            self._normalize,
            self._random.generator,
            choices,
            self._backend.images_together,
            normalize_at_once=self._backend.fewer_kernels,
        )

    def twin(self) -> "Training":
        """Return a copy of this training at its current point; the two are independent."""
        other = Training(
            self.recipe,
            self._splits,
            seed=self.seed,
            device=self._device,
            clock=self._clock,
            each_step=self._each_step,
        )
        other.load_state_dict(self.state_dict())
        return other

    def _follow(self, plateau: PlateauControl, epoch: Epoch) -> Epoch:
        """Do what the plateau schedule says after `epoch`: keep the network, continue, or go back."""
        if epoch.diverged:
            return epoch
        verdict = plateau.judge(epoch.number, epoch.validation_loss, epoch.validation_accuracy)
        best, loss, accuracy = plateau.best
        if best == epoch.number:
            plateau.keep(self._learned())
        ends = verdict == "converged" or epoch.number == self.recipe.epochs
        if verdict != "divide" and not ends:
            return epoch
        if best != epoch.number:
            learned = plateau.kept()
            self._learn(learned)
        return replace(
            epoch,
            validation_loss=loss,
            validation_accuracy=accuracy,
            back_to=None if best == epoch.number else best,
            converged=verdict == "converged",
        )

    def _learned(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": plain_state(self._optimizer),
        }

    def _learn(self, learned: dict[str, Any]) -> None:
        """Take over what `_learned` returned."""
        self.network.load_state_dict(learned["network"])
        self._optimizer.load_state_dict(learned["optimizer"])
        if self._capture is not None:
            make_capturable(self._optimizer, self._device)
            self._capture.forget()

    def evaluate(self, part: Part) -> tuple[float, float]:
        """Return loss and accuracy of the network in its current state on `part`."""
        part = part.to(self._splits.train.labels.device)
        return evaluate(self.network, part, self._normalize, self._backend)

    def answers(self, part: Part, *, flip_averaged: bool = False) -> Tensor:
        """Return which images of `part` the network in its current state classifies right, (N,) bool.

        Args:
            part: The images.
            flip_averaged: Classify by the mean of the logits of an image and of its mirror image.
        """
        part = part.to(self._splits.train.labels.device)
        return answers(
            self.network, part, self._normalize, self._backend, flip_averaged=flip_averaged
        )

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the rest of the run depends on, as tensors and plain values."""
        return {
            "recipe": self.recipe.digest,
            "seed": self.seed,
            "split": self._splits.digest,
            "images": len(self._splits.train),  # for messages; the split says which
            **copy.deepcopy(self._learned()),
            "plateau": self._plateau.state_dict() if self._plateau else None,
            "random": self._random.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`, which the same recipe, seed and images must have made.

        Raises:
            CheckpointError: The state belongs to another training, or is incomplete.
        """
        own = {"recipe": self.recipe.digest, "seed": self.seed, "split": self._splits.digest}
        for key, value in own.items():
            if state.get(key) != value:
                raise CheckpointError(
                    f"The saved state belongs to another training: its {key} is "
                    f"{state.get(key)!r}, but this training's is {value!r}."
                )
        try:
            self._learn(copy.deepcopy(state))
            if self._plateau is not None:
                self._plateau.load_state_dict(state["plateau"])
            self._random.load_state_dict(state["random"])
            self.history = [Epoch(**values) for values in state["history"]]
        except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"The saved state is incomplete: {error}") from error
