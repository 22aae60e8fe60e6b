"""Learning-rate bounds of a study: sweeps at the corners of its space, combined for each optimizer."""

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from cifar_core.files import write_atomically
from cifar_core.lr_range import Finding, Sweep, find_bounds
from cifar_core.recipe import Recipe
from cifar_core.seeds import derive
from search.errors import ServiceError
from search.events import Observer, SweepsProgress
from search.messages import Died, Failed, SweepDone, SweepTask
from search.pool import Pool
from search.settings import given_range
from spaces.space import Known, Space, Values

__all__ = [
    "Bounds",
    "StopBeforeTrials",
    "combine",
    "corner_recipes",
    "measure",
    "unmeasured",
    "values_for",
]

ATTEMPTS = 3
"""Times a sweep is tried if its worker is killed."""


class StopBeforeTrials(Exception):  # noqa: N818 - not an error: somebody asked for it
    """A stop was asked for during the LR-range test; finished sweeps are kept."""


@dataclass(frozen=True)
class Bounds:
    """The range in which one learning rate is searched.

    Attributes:
        parameter: The space's parameter, such as ``sgd_lr``.
        optimizer: The optimizer it belongs to.
        low: Lower end, in real units.
        high: Upper end.
        suggested: A rate to start with; None unless measured.
        conclusive: Measured by the LR-range test.
        how: Where the range comes from, in words.
    """

    parameter: str
    optimizer: str
    low: float
    high: float
    suggested: float | None
    conclusive: bool
    how: str

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Corner:
    """One recipe that the LR-range test measures.

    Attributes:
        parameter: The learning-rate parameter it is for.
        values: The space's parameters at this corner.
        recipe: The recipe that they make.
    """

    parameter: str
    values: Values
    recipe: Recipe


def corner_recipes(space: Space) -> list[Corner]:
    """All recipes that the LR-range test of a space measures."""
    found = []
    for parameter in space.measured():
        base = values_for(space, _base(space), parameter)
        found += [
            Corner(parameter, values, space.recipe_of(values)) for values in _corners(space, base)
        ]
    return found


def values_for(space: Space, base: Known, lr_parameter: str, lr: float | None = None) -> Values:
    """The values of `base`, moved to the optimizer that `lr_parameter` belongs to.

    Args:
        space: The space.
        base: A known configuration.
        lr_parameter: The learning-rate parameter.
        lr: Its value; by default the middle of its range.
    """
    wanted = space.parameters[lr_parameter].when
    known = space.fit(base.values)
    values: Values = {}
    for name, parameter in space.parameters.items():
        if not parameter.applies(values):
            continue
        if name == lr_parameter:
            low, high = (float(end) for end in parameter.extremes())
            values[name] = (low * high) ** 0.5 if lr is None else lr
        elif name in wanted:
            values[name] = wanted[name][0]
        else:
            values[name] = known.get(name, parameter.extremes()[0])
    return values


def measure(
    space: Space,
    pool: Pool,
    seed: int,
    folder: Path,
    observer: Observer,
    stop_requested: Callable[[], bool],
) -> tuple[list[Bounds], dict[str, Any]]:
    """Run the LR-range test on the pool's workers.

    Every finished sweep is kept in `folder`, so that a restart goes on with the next one.

    Returns:
        Bounds for each measured parameter, and what was found at each corner, curves included.

    Raises:
        ServiceError: A sweep's worker keeps dying.
        StopBeforeTrials: `stop_requested` said so.
    """
    assert space.lr_range is not None  # noqa: S101 - for mypy; a space with measured rates has it
    corners = corner_recipes(space)
    tasks = [
        [
            _task(corner, derive(seed, "sweep", index, repeat))
            for repeat in range(space.lr_range.seeds)
        ]
        for index, corner in enumerate(corners)
    ]
    sweeps = _run([task for own in tasks for task in own], pool, folder, observer, stop_requested)
    findings = [find_bounds([sweeps[task.key] for task in own]) for own in tasks]
    bounds = [
        combine(
            space,
            parameter,
            [
                one
                for one, corner in zip(findings, corners, strict=True)
                if corner.parameter == parameter
            ],
        )
        for parameter in space.measured()
    ]
    pictures = sum(one.pictures for one in sweeps.values())
    curves = [
        {"parameter": corner.parameter, "values": corner.values, **_rounded(finding)}
        for corner, finding in zip(corners, findings, strict=True)
    ]
    return bounds, {"pictures": pictures, "corners": curves}


def combine(space: Space, parameter: str, findings: list[Finding]) -> Bounds:
    """One range that holds what the corners found, and every known configuration's rate.

    Where fewer than half of the corners have a conclusion, the range of the space's file is used.
    """
    found = [one for one in findings if one.conclusive]
    if 2 * len(found) < len(findings):
        low, high = (float(end) for end in space.parameters[parameter].extremes())
        reason = next(one.reason for one in findings if not one.conclusive)
        how = f"the space's own range, because the LR-range test was inconclusive: {reason}"
        return _bounds(space, parameter, low, high, how)
    corners = "1 corner" if len(found) == 1 else f"{len(found)} corners"
    return _bounds(
        space,
        parameter,
        min(one.low for one in found if one.low is not None),
        max(one.high for one in found if one.high is not None),
        f"measured by an LR-range test at {corners} of the space",
        statistics.geometric_mean(one.suggested for one in found if one.suggested is not None),
    )


def unmeasured(space: Space, wish: str) -> list[Bounds]:
    """Bounds that are not measured: the user's, or the space's own.

    Args:
        space: The space.
        wish: What `--lr-bounds` says.
    """
    found = []
    for name, parameter in space.measured().items():
        given = given_range(wish)
        low, high = given or (float(end) for end in parameter.extremes())
        how = "given with --lr-bounds" if given else "the space's own range"
        found.append(_bounds(space, name, low, high, how))
    return found


def _bounds(
    space: Space,
    parameter: str,
    low: float,
    high: float,
    how: str,
    suggested: float | None = None,
) -> Bounds:
    """A range, widened where a known configuration's rate would otherwise lie outside of it."""
    for known in space.known:
        rate = known.values.get(parameter)
        if isinstance(rate, int | float) and not low <= rate <= high:
            low, high = min(low, rate), max(high, rate)
            how += f", widened to hold the {rate:g} of {known.name}"
    optimizer = space.recipe_of(values_for(space, _base(space), parameter)).optimizer.name
    return Bounds(parameter, optimizer, low, high, suggested, suggested is not None, how)


def _task(corner: Corner, seed: int) -> SweepTask:
    # A sweep that another recipe or seed has left behind must not be taken for this one.
    return SweepTask(f"{corner.recipe.digest}-{seed}", corner.recipe, seed)


def _base(space: Space) -> Known:
    assert space.lr_range is not None  # noqa: S101 - for mypy; checked when the space was read
    return next(one for one in space.known if one.name == space.lr_range.base)


def _corners(space: Space, base: Values) -> Iterator[Values]:
    """`base` with each group of parameters at its lowest and at its highest values."""
    assert space.lr_range is not None  # noqa: S101 - for mypy
    groups = [[name for name in group if name in base] for group in space.lr_range.corners]
    for ends in product((min, max), repeat=len(groups)):
        corner = dict(base)
        for group, end in zip(groups, ends, strict=True):
            for name in group:
                corner[name] = end(space.parameters[name].extremes())
        yield corner


def _run(
    tasks: list[SweepTask],
    pool: Pool,
    folder: Path,
    observer: Observer,
    stop_requested: Callable[[], bool],
) -> dict[str, Sweep]:
    done = {task.key: sweep for task in tasks if (sweep := _load(folder / f"{task.key}.json"))}
    waiting = [task for task in tasks if task.key not in done]
    attempts: dict[str, int] = {}
    observer(SweepsProgress(len(done), len(tasks)))
    while len(done) < len(tasks):
        if stop_requested():
            raise StopBeforeTrials
        for worker in pool.workers:
            if worker.idle and waiting:
                pool.assign(worker, waiting.pop(0))
        for _, task, message in pool.poll(0.25):
            match task, message:
                case SweepTask(), SweepDone(sweep):
                    content = json.dumps(asdict(sweep)).encode()
                    write_atomically(folder / f"{task.key}.json", content)
                    done[task.key] = sweep
                    observer(SweepsProgress(len(done), len(tasks)))
                case SweepTask(), Failed(reason) | Died(reason):
                    attempts[task.key] = attempts.get(task.key, 0) + 1
                    if isinstance(message, Failed) or attempts[task.key] >= ATTEMPTS:
                        raise ServiceError(
                            f"The LR-range test cannot be run: {reason}. "
                            "Search the space's own ranges with --lr-bounds off, or give them with "
                            "--lr-bounds LOW:HIGH, in both cases with --study and a new name."
                        )
                    waiting.insert(0, task)
    return done


def _load(path: Path) -> Sweep | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Sweep(tuple(values["lr"]), tuple(values["loss"]), int(values["pictures"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _rounded(finding: Finding) -> dict[str, Any]:
    """As plain JSON, curves with the digits that a plot shows."""
    plain = asdict(finding)
    for key in ("lr", "loss", "smoothed"):
        plain[key] = [float(f"{value:.5g}") if value == value else None for value in plain[key]]
    return plain
