"""The curves: sweeps of every cell from 1e-7 to 10, to the end, so that any tool's rule can read them."""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from bench.lr_range.cells import CELLS, TRAIN_IMAGES, Cell
from bench.lr_range.truth import CPU, splits_for
from cifar_core.data.resident import Splits
from cifar_core.lr_range import Finding, Ramp, Sweep, find_bounds, sweep
from cifar_core.lr_range.sweep import CHECK_EVERY, is_over
from cifar_core.trainer import Training

__all__ = ["SEEDS", "Curve", "as_used", "found", "is_flat", "measure", "read"]

RAMP = Ramp(low=1e-7)
"""From where fast.ai begins."""
SEEDS = (100, 101, 102)
"""None of those that the truth was trained with."""
BY_NAME = {cell.name: cell for cell in CELLS}


@dataclass(frozen=True)
class Curve:
    """One sweep.

    Attributes:
        cell: The cell's name.
        seed: Of weights and order.
        factor: 1 for the usual number of steps, else how many times as many.
        loss: The loss before each step, to the ramp's end or to the last that was a number.
    """

    cell: str
    seed: int
    factor: int
    loss: list[float]

    @property
    def lr(self) -> tuple[float, ...]:
        """The rate of each step."""
        return _ramp(BY_NAME[self.cell], self.factor).rates(BY_NAME[self.cell].recipe.batch_size)

    @property
    def sweep(self) -> Sweep:
        """As `cifar_core.lr_range.sweep` returns it: ended where it is over."""
        checks = range(CHECK_EVERY, len(self.loss) + 1, CHECK_EVERY)
        end = next((one for one in checks if is_over(self.loss[:one])), len(self.loss))
        epochs = end * BY_NAME[self.cell].recipe.batch_size / TRAIN_IMAGES
        return Sweep(self.lr, tuple(self.loss[:end]), epochs)


def read(path: Path) -> list[Curve]:
    """The curves of a file, none if it isn't there."""
    if not path.exists():
        return []
    return [Curve(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def found(curves: Sequence[Curve]) -> Finding:
    """What the project says of these curves of one cell."""
    return find_bounds([one.sweep for one in curves])


def is_flat(curves: Iterable[Curve], cell: str) -> bool:
    """A cell's loss hardly fell in the usual number of steps, so that it is swept again in more."""
    own = [one for one in curves if one.cell == cell and one.factor == 1]
    return bool(own) and found(own).too_flat


def as_used(curves: Iterable[Curve], cell: str) -> list[Curve]:
    """A cell's curves as a study would have had them: again with more steps where they were too flat."""
    own = [one for one in curves if one.cell == cell]
    flat = is_flat(own, cell)
    return [one for one in own if (one.factor > 1) == flat]


def measure(data: str, cells: Sequence[Cell], path: Path, processes: int, factor: int) -> None:
    """Sweep what `path` doesn't have yet, and add each curve to it at once.

    Args:
        data: Folder of the images.
        cells: The cells.
        path: The file.
        processes: How many sweep at the same time, with one thread each.
        factor: How many times the usual number of steps.
    """
    there = {(one.cell, one.seed, one.factor) for one in read(path)}
    missing = [
        (cell.name, seed, factor)
        for cell in cells
        for seed in SEEDS
        if (cell.name, seed, factor) not in there
    ]
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(data,)) as pool,
        path.open("a", encoding="utf-8") as file,
    ):
        futures = [pool.submit(_sweep, *one) for one in missing]
        for count, future in enumerate(as_completed(futures), start=1):
            curve = future.result()
            file.write(json.dumps(asdict(curve)) + "\n")
            file.flush()
            steps = f"{len(curve.loss)} of {len(curve.lr)} steps"
            print(f"{count}/{len(missing)}  {curve.cell}  seed {curve.seed}  {steps}", flush=True)


_splits: Splits | None = None


def _begin(data: str) -> None:
    global _splits
    torch.set_num_threads(1)
    _splits = splits_for(data)


def _sweep(name: str, seed: int, factor: int) -> Curve:
    assert _splits is not None
    cell = BY_NAME[name]
    training = Training(cell.recipe, _splits, seed=seed, device=CPU)
    done = sweep(training, _ramp(cell, factor), to_the_end=True)
    return Curve(name, seed, factor, [round(loss, 3) for loss in done.loss])


def _ramp(cell: Cell, factor: int) -> Ramp:
    return RAMP if factor == 1 else RAMP.slower(cell.recipe.batch_size, factor)
