"""Sweeps of an LR-range test on the pool's workers, kept until all are finished."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from cifar_core.epoch_cost import image_cost
from cifar_core.files import write_atomically
from cifar_core.lr_range import Finding, Ramp, Sweep, find_bounds
from cifar_core.recipe import Recipe
from cifar_core.seeds import derive
from search.errors import ServiceError
from search.events import Notice, Observer, SweepsProgress
from search.lr_range.growing import GrowingCurves
from search.workers.messages import Died, Failed, SweepDone, SweepSteps, SweepTask
from search.workers.pool import Pool

__all__ = ["StopBeforeTrials", "cost_of_sweep", "measure"]

SLOWER = 3
"""Factor of steps in the second try of a recipe whose loss hardly fell: some only learn more slowly."""
ATTEMPTS = 3
"""Number of tries of a sweep whose worker is killed."""


class StopBeforeTrials(Exception):  # noqa: N818 - not an error: it was asked for
    """A stop was asked for during the LR-range test; finished sweeps are kept."""


def measure(
    subjects: Sequence[tuple[Recipe, Ramp]],
    seeds: int,
    pool: Pool,
    seed: int,
    folder: Path,
    observer: Observer,
    stop_requested: Callable[[], bool],
    work_after: float = 0.0,
    names: Sequence[str] = (),
) -> list[Finding]:
    """Run the LR-range test at some recipes.

    A recipe whose loss hardly falls is swept once more, more slowly. Every finished sweep is kept in
    `folder`, so that a restart continues with the next one.

    Args:
        subjects: Recipes, each with the rates to sweep.
        seeds: Number of sweeps per recipe.
        pool: The workers.
        seed: Random seed of the sweeps.
        folder: Existing folder for finished sweeps.
        observer: Called with the progress.
        stop_requested: Returns whether to stop.
        work_after: Expected cost of what follows, in the unit of `cost_of_sweep`.
        names: The recipes in words; their optimizers by default.

    Returns:
        The finding of each recipe, in their order.

    Raises:
        ServiceError: A sweep's worker keeps dying.
        StopBeforeTrials: `stop_requested` returned True.
    """

    def run(wanted: Sequence[tuple[int, Recipe, Ramp]]) -> list[Finding]:
        tasks = [
            [
                replace(
                    _task(recipe, ramp, derive(seed, "sweep", index, repeat)),
                    subject=index,
                    name=(names[index] if names else "") or recipe.optimizer.name,
                )
                for repeat in range(seeds)
            ]
            for index, recipe, ramp in wanted
        ]
        every = [task for own in tasks for task in own]
        sweeps = _run(every, pool, folder, observer, stop_requested, work_after)
        return [find_bounds([sweeps[task.key] for task in own]) for own in tasks]

    numbered = [(index, recipe, ramp) for index, (recipe, ramp) in enumerate(subjects)]
    findings = run(numbered)
    again = [
        (index, recipe, ramp.slower(recipe.batch_size, SLOWER))
        for (index, recipe, ramp), finding in zip(numbered, findings, strict=True)
        # A number of steps chosen by the user is kept.
        if finding.too_flat and ramp.steps is None
    ]
    if again:
        observer(
            Notice(
                f"The loss hardly fell in the LR-range test at {len(again)} of {len(subjects)} "
                f"recipes; they are swept again with {SLOWER} times as many steps."
            )
        )
        for (index, _, _), finding in zip(again, run(again), strict=True):
            epochs = findings[index].epochs + finding.epochs
            findings[index] = replace(finding, epochs=epochs)
    return findings


def cost_of_sweep(recipe: Recipe, ramp: Ramp) -> float:
    """Return what a sweep to its end costs, in million multiply-adds of the forward pass."""
    return len(ramp.rates(recipe.batch_size)) * recipe.batch_size * image_cost(recipe)


def _task(recipe: Recipe, ramp: Ramp, seed: int) -> SweepTask:
    # A kept sweep of another recipe, ramp or seed must not be mistaken for this one.
    about = f"{recipe.digest} {ramp} {seed}"
    key = hashlib.sha256(about.encode()).hexdigest()[:16]
    return SweepTask(key, recipe, ramp, seed)


def _run(
    tasks: list[SweepTask],
    pool: Pool,
    folder: Path,
    observer: Observer,
    stop_requested: Callable[[], bool],
    work_after: float,
) -> dict[str, Sweep]:
    done = {task.key: sweep for task in tasks if (sweep := _load(folder / f"{task.key}.json"))}
    waiting = [task for task in tasks if task.key not in done]
    attempts: dict[str, int] = {}
    costs = {task.key: cost_of_sweep(task.recipe, task.ramp) for task in tasks}
    whole = sum(costs.values())
    curves = GrowingCurves(observer)

    def tell() -> None:
        share = sum(costs[key] for key in done) / whole
        observer(SweepsProgress(len(done), len(tasks), share, work_after / whole))

    tell()
    for kept in tasks:
        if kept.key in done:
            curves.end(kept, done[kept.key])
    while len(done) < len(tasks):
        if stop_requested():
            raise StopBeforeTrials
        for worker in pool.workers:
            if worker.idle and waiting:
                pool.assign(worker, waiting.pop(0))
        for _, task, message in pool.poll(0.25):
            match task, message:
                case SweepTask(), SweepSteps(losses):
                    curves.grow(task, losses)
                case SweepTask(), SweepDone(sweep):
                    _keep(sweep, folder / f"{task.key}.json", observer)
                    done[task.key] = sweep
                    curves.end(task, sweep)
                    tell()
                case SweepTask(), Failed(reason) | Died(reason):
                    curves.lose(task)
                    attempts[task.key] = attempts.get(task.key, 0) + 1
                    if isinstance(message, Failed) or attempts[task.key] >= ATTEMPTS:
                        raise ServiceError(
                            f"The LR-range test cannot be run: {reason}. "
                            "To search without it, give --lr-bounds off or --lr-bounds LOW:HIGH, and "
                            "--study with a new name."
                        )
                    waiting.insert(0, task)
    return done


def _keep(sweep: Sweep, path: Path, observer: Observer) -> None:
    """Keep a sweep for a restart, which otherwise repeats it."""
    try:
        write_atomically(path, json.dumps(asdict(sweep)).encode())
    except OSError as error:
        observer(Notice(f"A finished sweep cannot be kept: {path}: {error.strerror}."))


def _load(path: Path) -> Sweep | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Sweep(tuple(values["lr"]), tuple(values["loss"]), float(values["epochs"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
