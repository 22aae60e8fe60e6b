"""A request resolved for this machine: the space as searched, and its budget."""

from dataclasses import dataclass
from typing import Literal

import torch

from search.errors import UsageError
from search.request import StartRequest
from search.study.choices import DEFAULT_CONFIRM
from search.study.settings import Budget, Pruner, Sampler
from spaces.reading import quicker
from spaces.space import Space

__all__ = ["Plan", "plan_of"]


@dataclass(frozen=True)
class Plan:
    """A request, resolved.

    Attributes:
        space: The space as it will be searched.
        scale: ``full``, or ``quick`` for the narrowed space.
        train_images: Images to train on; None for all.
        budget: The cost limits of the study.
        seeds: Trainings of each cell of a grid; None where the space is searched.
        sampler: Method by which configurations are chosen.
        pruner: Method by which trials are stopped early.
        notice: Description of what was made smaller, or None.
    """

    space: Space
    scale: Literal["full", "quick"]
    train_images: int | None
    budget: Budget
    seeds: int | None
    sampler: Sampler
    pruner: Pruner
    notice: str | None


def plan_of(request: StartRequest, space: Space, devices: list[torch.device]) -> Plan:
    """Resolve a request for these devices.

    Raises:
        UsageError: The space has no quick version, or options do not go together.
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
    seeds, most = _grid(request, space, quick is not None)
    trials, epochs = request.trials or most or trials, request.epochs or epochs
    train_images = request.train_images or train_images
    sampler: Sampler
    pruner: Pruner
    sampler, pruner = ("grid", "none") if seeds is not None else _policy(request)
    notice = None
    if quick is not None:
        why = "asked for" if request.scale == "quick" else "no GPU is used"
        notice = _quick_notice(space, why, trials, epochs, train_images)
    return Plan(
        (quicker(space) if quick is not None else space).with_epochs(epochs),
        "full" if quick is None else "quick",
        train_images,
        Budget(
            trials=trials,
            timeout=request.timeout,
            keep=request.keep,
            patience=request.patience,
            confirm=_confirm(request, space),
        ),
        seeds,
        sampler,
        pruner,
        notice,
    )


def _grid(request: StartRequest, space: Space, is_quick: bool) -> tuple[int | None, int | None]:
    """Return the trainings of each cell of a grid and the trainings in all; both None for other spaces.

    Raises:
        UsageError: An option has no meaning for this space.
    """
    if space.grid is None:
        if request.seeds is not None:
            raise UsageError(
                f"Space {space.name} is searched; --seeds is for grids. "
                "A configuration is trained over several seeds by cifar-search train FILE --seeds N."
            )
        return None, None
    if any(one is not None for one in (request.sampler, request.pruner, request.patience)):
        raise UsageError(
            f"Space {space.name} is a grid: all its cells are trained to the end, so leave "
            "--sampler, --pruner and --patience out."
        )
    if request.epochs is not None and any(
        "epochs" in one.fields() for one in space.parameters.values()
    ):
        raise UsageError(
            f"Space {space.name} sets the epochs of its cells itself; leave --epochs out."
        )
    seeds = request.seeds or space.grid.seeds
    most = (quicker(space) if is_quick else space).cell_count * seeds
    if request.trials is not None and request.trials > most:
        raise UsageError(
            f"Space {space.name} has {most} trainings with {seeds} seeds, but --trials asks for "
            f"{request.trials}. More seeds: --seeds N."
        )
    return seeds, most


def _confirm(request: StartRequest, space: Space) -> int | None:
    """Return the number of finalists that are confirmed after the search; None for no confirmation.

    Raises:
        UsageError: The space is a grid.
    """
    if space.grid is None:
        wanted = DEFAULT_CONFIRM if request.confirm is None else request.confirm
        return wanted or None
    if request.confirm:
        raise UsageError(
            f"Space {space.name} is a grid, whose cells are trained over several seeds as it is; leave "
            "--confirm out."
        )
    return None


def _policy(request: StartRequest) -> tuple[Sampler, Pruner]:
    """Return the sampler and the pruner of a space that is searched.

    Raises:
        UsageError: The two do not go together.
    """
    sampler, pruner = request.sampler, request.pruner
    if sampler is None:
        sampler = "model" if pruner in {None, "freeze-thaw"} else "tpe"
    if pruner is None:
        pruner = "freeze-thaw" if sampler == "model" else "promotion"
    if (sampler == "model") != (pruner == "freeze-thaw"):
        raise UsageError(
            f"--sampler {sampler} does not go with --pruner {pruner}: the model and freeze-thaw are "
            "one policy. Leave one of the two options out."
        )
    return sampler, pruner


def _quick_notice(
    space: Space, why: str, trials: int, epochs: int, train_images: int | None
) -> str:
    changes = [f"{train_images:,} training images"]
    if epochs != space.epochs:
        changes.append(f"{epochs} epochs instead of {space.epochs}")
    if space.grid is None and trials != space.trials:
        changes.append(f"{trials} trials instead of {space.trials}")
    for name in space.quick.ranges if space.quick else {}:
        narrowed = quicker(space).parameters[name].described()
        changes.append(f"{name} {narrowed} instead of {space.parameters[name].described()}")
    return (
        f"This is a QUICK run ({why}): {'; '.join(changes)}. "
        "Its figures are lower than a full run's. The full space: --scale full"
    )
