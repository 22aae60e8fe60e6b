"""Trainings that are left to do: done one after another in this process, saved after each epoch."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from cifar_core.checkpoint import load_state, save_state
from cifar_core.epoch import Epoch
from cifar_core.epoch_cost import image_cost
from cifar_core.trainer import Training
from search.errors import ServiceError
from search.results.configuration import Configuration
from search.results.subject import TrainingImages
from search.results.training_folder import TrainingFolder

__all__ = ["Job", "Progress", "Stopped", "Trained", "train_here"]


@dataclass(frozen=True)
class Job:
    """A training that is left to do.

    Attributes:
        configuration: What to train.
        images: What to train on.
        seed: The seed of the training.
        done: Epochs that are saved already.
    """

    configuration: Configuration
    images: TrainingImages
    seed: int
    done: int = 0

    @property
    def folder(self) -> TrainingFolder:
        """The file in which it is saved."""
        return TrainingFolder(self.configuration.out)


@dataclass(frozen=True)
class Trained:
    """An epoch of a training is trained and saved.

    Attributes:
        job: The training.
        epoch: The epoch.
        seconds_left: Estimated time until all trainings are done.
    """

    job: Job
    epoch: Epoch
    seconds_left: float


class Stopped(Exception):  # noqa: N818 - it is no error
    """The user has asked to stop, and the epochs under way are saved."""


class Progress:
    """The rest of all trainings, and the time that it takes.

    Args:
        jobs: The trainings.
        observe: Told of each epoch.
        clock: Seconds, from any start.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        observe: Callable[[Trained], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observe = observe
        self._clock = clock
        self._began = clock()
        self._done = 0.0
        self._epochs = {id(job): job.configuration.recipe.epochs - job.done for job in jobs}
        self._costs = {
            id(job): image_cost(job.configuration.recipe) * len(job.images.splits.train)
            for job in jobs
        }

    def note(self, job: Job, epoch: Epoch) -> None:
        """Register an epoch that is saved, and tell of it."""
        self._done += self._costs[id(job)]
        self._epochs[id(job)] = 0 if epoch.is_last else self._epochs[id(job)] - 1
        left = sum(count * self._costs[key] for key, count in self._epochs.items())
        passed = self._clock() - self._began
        self._observe(Trained(job, epoch, passed * left / self._done))

    @property
    def epochs_left(self) -> int:
        """Epochs of all trainings that are left."""
        return sum(self._epochs.values())


def train_here(
    jobs: Sequence[Job],
    device: torch.device,
    progress: Progress,
    remark: Callable[[str], None],
    stop: Callable[[], bool],
    *,
    compile_network: bool,
) -> None:
    """Train one after another to the end.

    Args:
        jobs: The trainings.
        device: Where to train.
        progress: Told of each epoch.
        remark: Called with what the user should know, once each.
        stop: Returns whether to stop; asked after each epoch.
        compile_network: Train with compiled networks where that works.

    Raises:
        Stopped: It was stopped before everything was done.
        ServiceError: A state cannot be saved.
    """
    said = set[str]()

    def say(text: str) -> None:
        if text not in said:
            said.add(text)
            remark(text)

    for job in jobs:
        if stop():
            raise Stopped
        training = Training(
            job.configuration.recipe,
            job.images.splits,
            seed=job.seed,
            device=device,
            compile_network=compile_network,
        )
        if training.not_compiled is not None:
            say(f"The network is trained uncompiled, as compiling fails: {training.not_compiled}")
        state = job.folder.state(job.seed)
        if state.exists():
            training.load_state_dict(load_state(state))
        for epoch in training.epochs():
            if training.not_captured is not None:  # known after some steps
                say(
                    f"Steps are taken without CUDA graphs, which fail here: {training.not_captured}"
                )
            try:
                save_state(training.state_dict(), state)
            except OSError as error:
                raise ServiceError(
                    f"{state} cannot be written: {error.strerror}. Make space, and run the same command "
                    f"again: it continues after epoch {epoch.number - 1}."
                ) from error
            progress.note(job, epoch)
            if progress.epochs_left and stop():
                raise Stopped
