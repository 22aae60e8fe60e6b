"""A separate LR-range test: of a space, as a search would run it, or of one recipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from cifar_core.data.dataset import DataSet, open_data
from cifar_core.device import resolve_devices
from cifar_core.lr_range import Finding, Ramp
from cifar_core.models import own
from cifar_core.recipe import Constant, OwnNetwork, Recipe
from search.errors import ServiceError, UsageError
from search.events import Notice, Observer
from search.formatting import words_for_cut_batches
from search.lr_range.bounds import combine_all
from search.lr_range.corners import Corner, corners_of, curves_document
from search.lr_range.sweeps import measure
from search.own_code import Consent, folder_of
from search.plan import plan_of
from search.recipe_files import read_configuration
from search.request import LrRangeRequest, StartRequest
from search.signals import ending_like_ctrl_c
from search.study.bounds import Bounds
from search.study.settings import DataIdentity
from search.workers.local_pool import LocalPool
from search.workers.shared_images import check_train_images, cut_to, prepare_images
from search.workers.slots import Slot, slots_of
from spaces.files import load_space
from spaces.space import Space

__all__ = ["Report", "run_lr_range"]

SEEDS_OF_A_RECIPE = 3
LR = "lr"
"""Name of the learning rate where no space names it."""


@dataclass(frozen=True)
class Report:
    """The findings of an LR-range test.

    Attributes:
        name: The space, or the recipe's file.
        space: The space as measured; None for a recipe.
        data: The images.
        seed: Random seed of the sweeps.
        seeds: Sweeps of each corner.
        corners: The measured recipes.
        findings: The finding at each of them.
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
        """Cost, in passes over the training images."""
        return sum(one.epochs for one in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: a recipe's curves at the top level, those of a space under `corners`."""
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


@dataclass(frozen=True)
class _Subject:
    """The recipes of an LR-range test.

    Attributes:
        name: The space, or the recipe's file.
        space: The space as measured; None for a recipe.
        corners: The recipes; for a recipe just that.
        train_images: Number of images to train on; None for all.
        notice: The changes of a quick run, in words, or None.
    """

    name: str
    space: Space | None
    corners: list[Corner]
    train_images: int | None
    notice: str | None = None

    @property
    def seeds(self) -> int:
        """Sweeps of each corner, unless the user wants another number."""
        test = None if self.space is None else self.space.lr_range
        return SEEDS_OF_A_RECIPE if test is None else test.seeds


def run_lr_range(request: LrRangeRequest, observe: Observer, data_folder: Path) -> Report:
    """Run an LR-range test without keeping anything of it.

    Args:
        request: The user's request.
        observe: Called with what happens.
        data_folder: Where ``--data auto`` looks for CIFAR-10.

    Raises:
        CifarSearchError: There is a problem that the user can solve.
    """
    devices = resolve_devices(request.device)
    slots = slots_of(devices, request.workers)
    subject = _subject(request, devices)
    _ask_consent(request, subject)
    # Wrong ends of the ramp are refused before any image is read.
    _ramp(replace(request, epochs=None), subject.space, subject.corners[0].recipe, 1)
    data = open_data(request.data or str(data_folder), data_folder)
    check_train_images(request.train_images, data)
    train_images, fewer = cut_to(data, subject.train_images)
    subject = replace(subject, train_images=train_images)
    networks = [one.recipe.network for one in subject.corners]
    own.check([one for one in networks if isinstance(one, OwnNetwork)], len(data.classes))
    for notice in (data.notice, subject.notice, fewer):
        if notice:
            observe(Notice(notice))
    identity, findings = _measured(request, subject, data, slots, observe)
    space = subject.space
    bounds = combine_all(space, subject.corners, findings) if space and space.measured() else []
    return Report(
        name=subject.name,
        space=space,
        data=identity,
        seed=request.seed,
        seeds=request.seeds or subject.seeds,
        corners=tuple(subject.corners),
        findings=tuple(findings),
        bounds=tuple(bounds),
    )


def _ask_consent(request: LrRangeRequest, subject: _Subject) -> None:
    """Let this process run the code of the subject's networks, if the user has consented."""
    named = request.space or request.config
    networks = [one.recipe.network for one in subject.corners]
    builders = {one.builder for one in networks if isinstance(one, OwnNetwork)}
    Consent(request.trust, folder_of(named)).ask(builders, f"{subject.name}")


def _subject(request: LrRangeRequest, devices: list[torch.device]) -> _Subject:
    """Resolve a request: the space as a search here would measure it, or the recipe of a file."""
    if request.space is None:
        assert request.config is not None  # noqa: S101 - for mypy; the command has one of the two
        given = request.config
        recipe = given if isinstance(given, Recipe) else read_configuration(given, "lr-range")
        name = "a recipe" if isinstance(given, Recipe) else str(given)
        return _Subject(name, None, [Corner(LR, {}, recipe)], request.train_images)
    wanted = StartRequest(request.space, scale=request.scale, train_images=request.train_images)
    plan = plan_of(wanted, load_space(request.space), devices)
    corners = _corners(plan.space)
    return _Subject(plan.space.name, plan.space, corners, plan.train_images, plan.notice)


def _measured(
    request: LrRangeRequest,
    subject: _Subject,
    data: DataSet,
    slots: list[Slot],
    observe: Observer,
) -> tuple[DataIdentity, list[Finding]]:
    """Run the sweeps in a folder that is removed at the end."""
    # A signal must not leave the folder and its images behind.
    with ending_like_ctrl_c(), _temporary_folder() as folder:
        images, kept = folder / "images", folder / "sweeps"
        kept.mkdir()
        identity = prepare_images(data, subject.train_images, images)
        subjects = [
            (corner.recipe, _ramp(request, subject.space, corner.recipe, identity.train))
            for corner in subject.corners
        ]
        largest = max(recipe.batch_size for recipe, _ in subjects)
        if largest > identity.train:
            observe(Notice(words_for_cut_batches(largest, identity.train)))
        seeds = request.seeds or subject.seeds
        with LocalPool(slots, images, folder / "logs") as pool:
            return identity, measure(
                subjects, seeds, pool, request.seed, kept, observe, lambda: False
            )


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A new folder for temporary files; only making it is what can lack room here."""
    try:
        folder = TemporaryDirectory(prefix="cifar-search-")
    except OSError as error:
        raise ServiceError(
            f"The LR-range test has no room to work: {error}. Make space, or set TMPDIR."
        ) from error
    with folder as name:
        yield Path(name)


def _corners(space: Space) -> list[Corner]:
    """The corners that a search of `space` measures; without any, its known recipes or its cells."""
    if space.measured():
        return corners_of(space)
    values = space.cells() if space.grid is not None else [one.values for one in space.known]
    found: dict[str, Corner] = {}
    for one in values:
        recipe = space.recipe_of(one)
        # A sweep ignores rate, schedule and epochs: cells that differ only by them are one.
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
            "so there is nothing to measure. Give a recipe with --config FILE."
        )
    return list(found.values())


def _ramp(request: LrRangeRequest, space: Space | None, recipe: Recipe, images: int) -> Ramp:
    """The requested rates, else those of the space, else 1e-10 to 10."""
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
