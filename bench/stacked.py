"""Several trials of one width in one process, their parameters stacked: does it pay?

    python -m bench.stacked [--counts 1 2 4 8] [--batch-size 64] [--rounds 5] [--seconds 2] [--batch-norm]

A prototype after HFTA (Wang et al. 2021, "Horizontally Fused Training Array", arXiv 2102.02344): networks
of one shape differ only in their values, so K of them can be one network whose tensors have one more
dimension, by `torch.func.stack_module_state` and `vmap`. A step of the stack then launches hardly more
operations than a step of one network. Each network has its own batch, dropout and learning rate (SGD with
momentum).

It prints the operations of a step, counted as by `bench.launches`, and on the CPU the images in a second of
CPU time of a stack against the same networks one after another, in turns: medians. docs/PERFORMANCE.md has
the verdict.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from unittest import mock

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from bench.columns import in_columns
from bench.launches import META, Launches
from bench.machine import described_machine
from cifar_core.device import backend_of
from cifar_core.models import network_of
from cifar_core.networks import Net
from cifar_core.optimizers import optimizer_of
from cifar_core.recipe import Recipe, Sgd
from cifar_core.stepping import train_step

__all__ = ["Stack", "networks_of"]

CPU = torch.device("cpu")
MOMENTUM = 0.9


class Stack:
    """K networks of one shape that are trained in one step.

    Args:
        networks: In training mode, on one device. They are copied.
        lr: The learning rate of each.
    """

    def __init__(self, networks: Sequence[nn.Module], lr: Sequence[float]) -> None:
        self.parameters, self.buffers = stack_module_state(list(networks))  # each (K, ...)
        self._shape = copy.deepcopy(networks[0]).to("meta")
        device = next(iter(self.parameters.values())).device
        self._lr = torch.tensor(lr, device=device)
        self._momenta = {name: torch.zeros_like(one) for name, one in self.parameters.items()}

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train on a batch of each.

        Args:
            images: (K, B, 3, 32, 32) float32.
            labels: (K, B) int64.

        Returns:
            The losses before the step, (K,).
        """
        logits = vmap(self._forward, randomness="different")(self.parameters, self.buffers, images)
        # Each network's mean; their sum gives each the gradients of its own.
        losses = F.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), reduction="none"
        )  # (K * B,)
        losses = losses.view(labels.shape).mean(1)  # (K,)
        gradients = torch.autograd.grad(losses.sum(), list(self.parameters.values()))
        with torch.no_grad():
            self._descend(gradients)
        return losses.detach()

    def _descend(self, gradients: Sequence[Tensor]) -> None:
        momenta, parameters = list(self._momenta.values()), list(self.parameters.values())
        torch._foreach_mul_(momenta, MOMENTUM)
        torch._foreach_add_(momenta, list(gradients))
        steps = [
            one * self._lr.view(-1, *[1] * (one.ndim - 1))  # each network's own rate
            for one in momenta
        ]
        torch._foreach_sub_(parameters, steps)

    def _forward(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor
    ) -> Tensor:
        logits: Tensor = functional_call(self._shape, (parameters, buffers), (images,))
        return logits  # (B, 10)


def networks_of(record: Net, count: int, device: torch.device) -> list[nn.Module]:
    """Return networks of one shape with different weights, in training mode."""
    networks = []
    for seed in range(count):
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            networks.append(network_of(record).to(device).train())
    return networks


def batches_of(count: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a batch for each network: (K, B, 3, 32, 32), (K, B)."""
    images = torch.randn(count, size, 3, 32, 32, device=device)
    return images, torch.randint(10, (count, size), device=device)


def one_by_one(
    record: Net, count: int, size: int, device: torch.device
) -> Callable[[Tensor, Tensor], None]:
    """Return a step of the service's own kind for each network, one after another."""
    recipe = Recipe(network=record, batch_size=size, optimizer=Sgd(lr=1e-4, momentum=MOMENTUM))
    backend = backend_of(recipe, device)
    networks = [backend.place(one) for one in networks_of(record, count, device)]
    optimizers = [optimizer_of(recipe, one.parameters()) for one in networks]

    def step(images: Tensor, labels: Tensor) -> None:
        for index, (network, optimizer) in enumerate(zip(networks, optimizers, strict=True)):
            train_step(network, optimizer, images[index], labels[index], 0.0, backend)

    return step


def launches_of(step: Callable[[Tensor, Tensor], object], count: int, size: int) -> int:
    """Return the operations of a step on tensors without content."""
    images, labels = batches_of(count, size, META)
    with Launches():
        step(images, labels)  # what is made once is made
    with Launches() as launches:
        step(images, labels)
    total: int = launches.total
    return total


def rate_of(
    step: Callable[[Tensor, Tensor], object], batches: tuple[Tensor, Tensor], seconds: float
) -> float:
    """Return the images of all networks together in a second of this process's CPU time."""
    steps, began = 0, time.process_time()
    while (elapsed := time.process_time() - began) < seconds:
        step(*batches)
        steps += 1
    return steps * batches[1].numel() / elapsed


def main() -> None:
    """Read the command line, count, measure, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.stacked", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4, 8], metavar="K")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, help="turns of both ways")
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU time of a turn")
    parser.add_argument("--channels", type=int, nargs=2, default=[6, 16], metavar="N")
    parser.add_argument("--batch-norm", action="store_true")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    one, two = wanted.channels
    record, size = (
        Net(channels1=one, channels2=two, batch_norm=wanted.batch_norm),
        wanted.batch_size,
    )
    print(f"{described_machine(CPU)}; one thread, Net {one}/{two}, batches of {size}")
    rows = []
    for count in wanted.counts:
        rates = [0.0] * count  # so that weights stay what they are
        with mock.patch(
            "torch.optim.optimizer._get_fused_kernels_supported_devices", return_value=["meta"]
        ):
            apart = launches_of(one_by_one(record, count, size, META), count, size)
        together = launches_of(Stack(networks_of(record, count, META), rates).step, count, size)
        batches = batches_of(count, size, CPU)
        ways = [
            one_by_one(record, count, size, CPU),
            Stack(networks_of(record, count, CPU), rates).step,
        ]
        for way in ways:
            way(*batches)
        turns = [
            [rate_of(way, batches, wanted.seconds) for way in ways] for _ in range(wanted.rounds)
        ]
        ratio = statistics.median(stacked / single for single, stacked in turns)
        single, stacked = (statistics.median(column) for column in zip(*turns, strict=True))
        rows.append(
            [
                str(count),
                str(apart),
                str(together),
                f"{single:,.0f}",
                f"{stacked:,.0f}",
                f"{ratio:.2f}x",
            ]
        )
    head = ("networks", "operations apart", "stacked", "images/s apart", "stacked", "ratio")
    print(in_columns(head, rows))


if __name__ == "__main__":
    main()
