"""What a request comes to on this machine: the space as searched, its budget, and the workers."""

from dataclasses import dataclass
from typing import Literal

import torch

from cifar_core.device import available_cores
from search.errors import UsageError
from search.pool import Slot
from search.request import StartRequest
from search.settings import Budget
from spaces.space import Space

__all__ = ["Plan", "plan_of", "slots_of"]

MOST_DEFAULT_CPU_WORKERS = 8


@dataclass(frozen=True)
class Plan:
    """A request, resolved.

    Attributes:
        space: The space as it will be searched.
        scale: Whether it is the full one.
        train_images: Pictures to train on; None for all.
        budget: What the study may cost.
        notice: What was made smaller, in words, or None.
    """

    space: Space
    scale: Literal["full", "quick"]
    train_images: int | None
    budget: Budget
    notice: str | None


def plan_of(request: StartRequest, space: Space, devices: list[torch.device]) -> Plan:
    """What `request` comes to on these devices.

    Raises:
        UsageError: A quick run is asked for of a space that has none.
    """
    on_gpu = any(device.type == "cuda" for device in devices)
    wants_quick = request.scale == "quick" or (request.scale == "auto" and not on_gpu)
    if request.scale == "quick" and space.quick is None:
        raise UsageError(
            f"Space {space.name} has no [quick] section, so --scale quick has no meaning."
        )
    quick = space.quick if wants_quick else None
    epochs, train_images, trials, notice = space.epochs, request.train_images, space.trials, None
    if quick is not None:
        narrowed = space.with_ranges(quick.ranges)
        trials = quick.trials
        epochs = quick.epochs
        train_images = train_images or quick.train_images
        why = "asked for" if request.scale == "quick" else "there is no GPU here"
        changes = "; ".join(
            f"{name} from {narrowed.parameters[name].described()} "
            f"(in full: {space.parameters[name].described()})"
            for name in quick.ranges
        )
        notice = (
            f"This is a QUICK run ({why}): {request.epochs or epochs} epochs instead of {space.epochs}, "
            f"{train_images:,} training pictures; {changes}. "
            "Its figures are lower than a full run's. The full space: --scale full"
        )
        space = narrowed
    budget = Budget(trials=request.trials or trials, timeout=request.timeout)
    return Plan(
        space.with_epochs(request.epochs or epochs),
        "full" if quick is None else "quick",
        train_images,
        budget,
        notice,
    )


def slots_of(devices: list[torch.device], workers: int | None) -> list[Slot]:
    """The workers' shares of the devices.

    On the CPU there is by default a worker for each core, up to eight: for networks of this size two
    trainings with one thread each are faster than one with two. On GPUs there is one worker for each.
    """
    cores = available_cores()
    if devices[0].type == "cuda":
        count = workers or len(devices)
        threads = 1  # everything but the launching of kernels happens on the GPU
    else:
        count = workers or min(cores, MOST_DEFAULT_CPU_WORKERS)
        threads = max(1, cores // count)
    return [Slot(str(devices[index % len(devices)]), threads) for index in range(count)]
