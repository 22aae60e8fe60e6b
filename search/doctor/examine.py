"""An examination of everything that a search needs, and of its speed."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cifar_core.data.dataset import DataSet
from cifar_core.device import resolve_devices
from cifar_core.recipe import Recipe
from search.doctor.check import Check
from search.doctor.estimate import Outlook, Workload
from search.doctor.machine import machine_checks, scale_check, version_checks
from search.doctor.paths import home_check, images_check, storage_check
from search.doctor.speed import Speed, measure_speeds
from search.errors import ServiceError
from search.home import Home
from search.plan import Plan, plan_of
from search.request import DoctorRequest, StartRequest
from search.signals import ending_like_ctrl_c
from search.workers.local_pool import LocalPool
from search.workers.shared_images import cut_to, prepare_images
from search.workers.slots import Slot, slots_of
from spaces.files import load_space
from spaces.space import Space

__all__ = ["SPACE", "Examination", "examine", "widest"]

SPACE = "baseline_constrained"
SECONDS = 2.5
DEFAULT, WIDEST = "default network", "widest network"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Examination:
    """The results of an examination.

    Attributes:
        checks: The checks.
        speeds: Speeds of the default recipe and the widest network; none if they could not be measured.
        outlook: The estimates from these speeds, or None.
        plan: The search that would run here.
    """

    checks: tuple[Check, ...]
    speeds: tuple[Speed, ...]
    outlook: Outlook | None
    plan: Plan

    @property
    def works(self) -> bool:
        """True if a search can run here."""
        return all(one.verdict != "failed" for one in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the examination as plain JSON."""
        return {
            "works": self.works,
            "space": SPACE,
            "checks": {one.name: one.to_dict() for one in self.checks},
            "speeds": {one.name: one.to_dict() for one in self.speeds},
            "outlook": None if self.outlook is None else self.outlook.to_dict(),
        }


def examine(home: Home, request: DoctorRequest, data_folder: Path, tell: Tell) -> Examination:
    """Examine everything that a search needs, without creating, downloading or leaving anything.

    Args:
        home: The home of a search.
        request: The user's request.
        data_folder: Where to look for CIFAR-10 if the request does not say.
        tell: Called with the name of each step that takes a while.

    Raises:
        CifarSearchError: The request is not valid.
    """
    devices = resolve_devices(request.device)
    slots = slots_of(devices, request.workers)
    plan = plan_of(StartRequest(SPACE), load_space(SPACE), devices)
    # The storage comes first: an invalid URL is wrong usage, and ends the command at once.
    places = [home_check(home), storage_check(request.storage or home.storage_url())]
    tell("Reading the images")
    images, data = images_check(request.data, data_folder)
    with ending_like_ctrl_c():
        speed, speeds = _measured(data, plan, slots, tell)
    return Examination(
        checks=(
            *version_checks(),
            *machine_checks(request.device, devices, slots),
            scale_check(plan),
            images,
            *places,
            speed,
        ),
        speeds=tuple(speeds),
        outlook=_outlook(data, plan, speeds) if speeds else None,
        plan=plan,
    )


def widest(space: Space) -> Recipe:
    """Return the recipe of a space's first known configuration with the widest network."""
    values = space.fit(space.known[0].values)
    for name, parameter in space.parameters.items():
        if (parameter.sets or "").startswith("network.") and parameter.is_integer:
            values[name] = parameter.extremes()[-1]
    return space.recipe_of(values)


def _measured(
    data: DataSet, plan: Plan, slots: Sequence[Slot], tell: Tell
) -> tuple[Check, list[Speed]]:
    """The speed in all workers, on the images that a search here would use."""
    try:
        with TemporaryDirectory(prefix="cifar-search-") as folder:
            images, logs = Path(folder, "images"), Path(folder, "logs")
            if data.source is None:
                tell("Drawing the synthetic images")
            prepare_images(data, cut_to(data, plan.train_images)[0], images)
            tell(f"Training in {len(slots)} worker{'s' if len(slots) > 1 else ''}")
            try:
                with _temporary_files_in(folder), LocalPool(slots, images, logs) as pool:
                    recipes = {DEFAULT: Recipe(), WIDEST: widest(plan.space)}
                    speeds = measure_speeds(recipes, SECONDS, pool)
            except ServiceError as error:
                return _cannot_train(error, logs), []
    except (ServiceError, OSError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        found = f"not measured, as there is no room for temporary files: {cause}"
        advice = "Make space, or set TMPDIR. A search itself keeps its files in its home."
        return Check("speed", "speed", "warning", found, advice), []
    found = f"{speeds[0].training:,.0f} images/s"
    if data.source is None:
        found = f"{found}, on SYNTHETIC images of the same size"
    facts = {"images": data.name}
    return Check("speed", "speed", "ok", found, None, facts), speeds


@contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    """Give processes that start meanwhile this folder for temporary files, which PyTorch creates."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def _cannot_train(error: ServiceError, logs: Path) -> Check:
    """A failed check with the last line of the workers' logs, which are temporary here."""
    reason = str(error).partition(" The log may say why")[0]
    for log in sorted(logs.glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        if words := [line.strip() for line in lines if line.strip()]:
            reason = f"{reason.rstrip('.')}. The last line of its log: {words[-1]}"
            break
    advice = "Try --workers 1, which needs less memory, or --device cpu."
    return Check("speed", "speed", "failed", reason, advice)


def _outlook(data: DataSet, plan: Plan, speeds: Sequence[Speed]) -> Outlook:
    narrow, wide = (one.workers for one in speeds)
    most = data.most_train_images
    validating = data.train_images - most
    return Outlook.of(
        narrow,
        wide,
        default=Workload(Recipe().epochs, most, validating),
        trial=Workload(plan.space.epochs, cut_to(data, plan.train_images)[0] or most, validating),
        trials=plan.budget.trials,
    )
