"""An LR-range test on its own: of a space, as a search would run it, or of one recipe."""

from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cifar_core.data.dataset import open_data
from cifar_core.device import resolve_devices
from cifar_core.lr_range import Finding, Ramp
from cifar_core.recipe import Constant, Recipe
from search.errors import ServiceError, UsageError
from search.events import Notice, Observer
from search.lr_range.bounds import combine_all
from search.lr_range.corners import Corner, corners_of, curves_document
from search.lr_range.sweeps import measure
from search.plan import plan_of
from search.recipe_files import read_configuration
from search.request import LrRangeRequest, StartRequest
from search.signals import ending_like_ctrl_c
from search.study.bounds import Bounds
from search.study.settings import DataIdentity
from search.workers.pool import Pool
from search.workers.shared_images import check_train_images, prepare_images
from search.workers.slots import slots_of
from spaces.files import load_space
from spaces.space import Space

__all__ = ["Report", "run_lr_range"]

SEEDS_OF_A_RECIPE = 3
LR = "lr"
"""What the learning rate is called where no space has a name for it."""


@dataclass(frozen=True)
class Report:
    """What an LR-range test has found.

    Attributes:
        name: The space, or the recipe's file.
        space: The space as measured; None for a recipe.
        data: The images.
        seed: Where the sweeps' seeds start.
        seeds: Sweeps of each corner.
        corners: What was measured; for a recipe just that.
        findings: What was found at each of them.
        bounds: The range of each measured parameter of a space.
    """

    name: str
    space: Space | None
    data: DataIdentity
    seed: int
    seeds: int
    corners: tuple[Corner, ...]
    findings: tuple[Finding, ...]
    bounds: tuple[Bounds, ...]

    @property
    def epochs(self) -> float:
        """What it cost, in passes over the training images."""
        return sum(one.epochs for one in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON. A recipe's stands at the top, those of a space under `corners`."""
        about = {
            "data": self.data.model_dump(mode="json"),
            "split": "training images only",
            "seed": self.seed,
            "seeds": self.seeds,
        }
        if self.space is None:
            (corner,), (finding,) = self.corners, self.findings
            return {
                "config": self.name,
                **about,
                "recipe": corner.recipe.to_dict(),
                **finding.to_dict(),
            }
        return {
            "space": self.space.name,
            **about,
            "epochs": round(self.epochs, 3),
            "lr_bounds": {one.optimizer: one.to_dict() for one in self.bounds},
            **curves_document(self.corners, self.findings),
        }


def run_lr_range(request: LrRangeRequest, observe: Observer, data_folder: Path) -> Report:
    """Run an LR-range test. Nothing of it is kept.

    Args:
        request: What the user asked for.
        observe: Told what happens.
        data_folder: Where ``--data auto`` looks for CIFAR-10.

    Raises:
        CifarSearchError: Something is wrong that the user can mend.
    """
    check_train_images(request.train_images)
    devices = resolve_devices(request.device)
    slots = slots_of(devices, request.workers)
    space: Space | None = None
    train_images, notices = request.train_images, []
    if request.space is not None:
        plan = plan_of(
            StartRequest(request.space, scale=request.scale, train_images=train_images),
            load_space(request.space),
            devices,
        )
        space, train_images = plan.space, plan.train_images
        corners, name = _corners(space), space.name
        notices = [plan.notice]
    else:
        assert request.config is not None  # noqa: S101 - for mypy; the command has one of the two
        corners, name = (
            [Corner(LR, {}, read_configuration(request.config))],
            str(request.config),
        )
    _ramp(replace(request, epochs=None), space, corners[0].recipe, 1)  # are its ends in order?
    data = open_data(request.data or str(data_folder), data_folder)
    for notice in (data.notice, *notices):
        if notice:
            observe(Notice(notice))
    seeds = request.seeds or _seeds(space)
    try:
        # A signal must not leave the folder and its images behind.
        with ending_like_ctrl_c(), TemporaryDirectory(prefix="cifar-search-") as folder:
            images, kept = Path(folder, "images"), Path(folder, "sweeps")
            kept.mkdir()
            identity = prepare_images(data, train_images, images)
            ramps = [_ramp(request, space, corner.recipe, identity.train) for corner in corners]
            with Pool(slots, images, Path(folder, "logs")) as pool:
                subjects = [(one.recipe, ramp) for one, ramp in zip(corners, ramps, strict=True)]
                findings = measure(
                    subjects, seeds, pool, request.seed, kept, observe, lambda: False
                )
    except OSError as error:
        raise ServiceError(f"The LR-range test has no room to work: {error}.") from error
    measured = space is not None and space.measured()
    return Report(
        name=name,
        space=space,
        data=identity,
        seed=request.seed,
        seeds=seeds,
        corners=tuple(corners),
        findings=tuple(findings),
        bounds=tuple(combine_all(space, corners, findings)) if space and measured else (),
    )


def _corners(space: Space) -> list[Corner]:
    """Where a search of `space` would measure; of a space that measures none, its own recipes."""
    if space.measured():
        return corners_of(space)
    values = space.cells() if space.grid is not None else [one.values for one in space.known]
    found: dict[str, Corner] = {}
    for one in values:
        recipe = space.recipe_of(one)
        # Rate, schedule and epochs have no part in a sweep: cells that differ only by them are one.
        alike = recipe.model_copy(
            update={
                "optimizer": recipe.optimizer.model_copy(update={"lr": 1.0}),
                "schedule": Constant(),
                "epochs": 1,
            }
        )
        found.setdefault(alike.digest, Corner(LR, one, recipe))
    if not found:
        raise UsageError(
            f"Space {space.name} has no measured learning rate, no grid and no known configuration, "
            "so it does not say what to measure. Give a recipe with --config FILE."
        )
    return list(found.values())


def _seeds(space: Space | None) -> int:
    if space is not None and space.lr_range is not None:
        return space.lr_range.seeds
    return SEEDS_OF_A_RECIPE


def _ramp(request: LrRangeRequest, space: Space | None, recipe: Recipe, images: int) -> Ramp:
    """The rates: as asked for, else those of the space, else from 1e-10 to 10."""
    ends = {"low": request.low, "high": request.high}
    if space is not None and space.lr_range is not None:
        ends = {
            key: getattr(space.lr_range, key) if value is None else value
            for key, value in ends.items()
        }
    steps = None
    if request.epochs is not None:
        steps = ceil(request.epochs * images / min(recipe.batch_size, images))
    return Ramp(
        **{key: value for key, value in ends.items() if value is not None},
        steps=steps,
        linear=request.linear,
    )
