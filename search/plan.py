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
    if request.scale == "quick" and space.quick is None:
        raise UsageError(
            f"Space {space.name} has no [quick] section, so --scale quick has no meaning."
        )
    wants_quick = request.scale == "quick" or (request.scale == "auto" and not on_gpu)
    quick = space.quick if wants_quick else None
    trials, epochs, train_images = space.trials, space.epochs, None
    if quick is not None:
        trials, epochs, train_images = quick.trials, quick.epochs, quick.train_images
    trials, epochs = request.trials or trials, request.epochs or epochs
    train_images = request.train_images or train_images
    notice = None
    if quick is not None:
        why = "asked for" if request.scale == "quick" else "no GPU is used"
        notice = _quick_notice(space, why, trials, epochs, train_images)
    return Plan(
        (space.quicker() if quick is not None else space).with_epochs(epochs),
        "full" if quick is None else "quick",
        train_images,
        Budget(trials=trials, timeout=request.timeout),
        notice,
    )


def _quick_notice(
    space: Space, why: str, trials: int, epochs: int, train_images: int | None
) -> str:
    changes = [f"{train_images:,} training pictures"]
    if epochs != space.epochs:
        changes.append(f"{epochs} epochs instead of {space.epochs}")
    if trials != space.trials:
        changes.append(f"{trials} trials instead of {space.trials}")
    for name in space.quick.ranges if space.quick else {}:
        narrowed = space.quicker().parameters[name].described()
        changes.append(f"{name} {narrowed} instead of {space.parameters[name].described()}")
    return (
        f"This is a QUICK run ({why}): {'; '.join(changes)}. "
        "Its figures are lower than a full run's. The full space: --scale full"
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
