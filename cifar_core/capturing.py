"""Training steps captured in a CUDA graph: a step is one launch instead of one for each kernel.

The kernels of small networks take less time than launching them does, so that a GPU waits for its host. A
graph launches a whole step at once (PyTorch's notes on CUDA semantics, "CUDA Graphs"; Ng et al. 2021,
"Accelerating PyTorch with CUDA Graphs"). What is captured works on tensors that stay where they are: each
batch is copied into the first one's place, and the learning rate is a tensor of the optimizer (`set_lr`).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cifar_core.device import ran_out_of_memory

__all__ = ["Capture", "Record", "Step", "Taken", "lacks_for_capturing", "recorded"]

Taken = tuple[Tensor, Tensor]
"""The loss before a step () and the logits (B, classes), as `train_step` returns them."""
Step = Callable[[Tensor, Tensor], Taken]
Record = Callable[[Callable[[], Taken]], Callable[[], Taken]]
"""Makes what repeats a step out of the step, without taking it."""
WARM_UP = 3
"""Steps that are taken before one is captured: states are made, and cuDNN's algorithms chosen."""


def recorded(step: Callable[[], Taken]) -> Callable[[], Taken]:
    """Capture a step in a CUDA graph, without taking it.

    Returns:
        What takes it, again and again. Its tensors are always the same ones.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        taken = step()

    def replay() -> Taken:
        graph.replay()
        return taken

    return replay


def lacks_for_capturing(device: torch.device) -> str | None:
    """Return why steps on `device` cannot be captured, or None."""
    return None if device.type == "cuda" else f"CUDA graphs need a CUDA device, not {device}"


class Capture:
    """A training's step: taken as it is at first, then captured and repeated.

    Where capturing fails, steps are taken as they are, and `reason` says why. A batch of another shape than
    the captured one is trained on as it is.

    Args:
        step: Trains on a batch, with the network and the optimizer that the training has.
        record: How a step is captured; tests pass one that needs no GPU.

    Attributes:
        reason: Why steps are not captured, in a line; None where they are, or will be.
    """

    def __init__(self, step: Step, record: Record = recorded) -> None:
        self.reason: str | None = None
        self._step = step
        self._record = record
        self.forget()

    def forget(self) -> None:
        """Drop what was captured: the network or the optimizer has other tensors now."""
        self._warm = 0
        self._batch: tuple[Tensor, Tensor] | None = None
        self._replay: Callable[[], Taken] | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> Taken:
        """Train on a batch; see `train_step`."""
        if self.reason is not None:
            return self._step(images, labels)
        if self._replay is None or self._batch is None:
            if self._warm < WARM_UP:
                self._warm += 1
                return self._step(images, labels)
            batch = self._batch = images.clone(), labels.clone()
            try:
                self._replay = self._record(lambda: self._step(*batch))
            except Exception as error:
                self.forget()
                if ran_out_of_memory(error):
                    raise  # a step as it is would not fit either, and has the right words for it
                lines = str(error).strip().splitlines() or [""]
                self.reason = f"{type(error).__name__}: {lines[0][:200]}"
                return self._step(images, labels)
        kept_images, kept_labels = self._batch
        if images.shape != kept_images.shape or labels.shape != kept_labels.shape:
            return self._step(images, labels)
        kept_images.copy_(images)
        kept_labels.copy_(labels)
        loss, logits = self._replay()
        return loss.clone(), logits.clone()  # the next step writes into the same ones
