"""The random numbers of one training, kept apart from everybody else's."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from cifar_core.device import is_gpu
from cifar_core.seeds import derive

__all__ = ["RandomState"]


class RandomState:
    """Generators for one training: its own for the images, PyTorch's global ones for the network.

    Initialisation and dropout draw from PyTorch's global generators. While the training is active they
    are in its state, and afterwards back in the state in which they were found, so that two
    trainings in one process, or the caller's own random numbers, don't disturb each other.

    Args:
        seed: Random seed of all of them.
        device: The device of the training.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._gpus = [device] if is_gpu(device) else []
        self._kind = device.type
        self.generator = torch.Generator(device).manual_seed(derive(seed, "pictures"))
        # Not by torch.manual_seed, which would seed every GPU of the process for good.
        start = derive(seed, "network")
        self._states = [
            torch.Generator(place).manual_seed(start).get_state()
            for place in (torch.device("cpu"), *self._gpus)
        ]

    def apart(self) -> AbstractContextManager[None]:
        """Within this context draws from PyTorch's global generators have no effect outside of it."""
        return torch.random.fork_rng(self._gpus, device_type=self._kind)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within this context PyTorch's global generators are this training's."""
        with torch.random.fork_rng(self._gpus, device_type=self._kind):
            self._restore()
            yield
            self._states = self._capture()

    def state_dict(self) -> dict[str, Any]:
        """The states of all generators, as byte tensors on the CPU."""
        return {"pictures": self.generator.get_state(), "network": list(self._states)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.generator.set_state(state["pictures"].cpu())
        states = [one.cpu() for one in state["network"]]
        if [len(one) for one in states] != [len(one) for one in self._states]:
            raise ValueError("the random numbers' state is not one of these devices")
        self._states = states

    def _capture(self) -> list[torch.Tensor]:
        # PyTorch's modules of the kinds of GPUs have the same functions.
        module = torch.get_device_module(self._kind)
        return [torch.get_rng_state(), *(module.get_rng_state(gpu) for gpu in self._gpus)]

    def _restore(self) -> None:
        torch.set_rng_state(self._states[0])
        for gpu, state in zip(self._gpus, self._states[1:], strict=True):
            torch.get_device_module(self._kind).set_rng_state(state, gpu)
