"""The truth: final validation accuracy of every cell at every learning rate of its grid."""

import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from bench.lr_range.cells import CELLS, TRAIN_IMAGES, Cell
from cifar_core.data.dataset import open_data
from cifar_core.data.resident import Splits, splits_of
from cifar_core.data.split import split
from cifar_core.trainer import Training

__all__ = ["Point", "measure", "read", "trained"]

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Point:
    """One training.

    Attributes:
        cell: The cell's name.
        lr: Learning rate.
        seed: Of weights and order.
        accuracy: Validation accuracy after the last epoch, in [0, 1]; that of guessing, 0.1, where the
            loss stopped being a number.
    """

    cell: str
    lr: float
    seed: int
    accuracy: float


def splits_for(data: str) -> Splits:
    """The images of all cells."""
    labelled = open_data(data).read_train()
    return splits_of(labelled, split(labelled, TRAIN_IMAGES))


def trained(cell: Cell, lr: float, seed: int, splits: Splits) -> Point:
    """Train once, to the end."""
    epochs = list(Training(cell.at(lr), splits, seed=seed, device=CPU).epochs())
    accuracy = 0.1 if epochs[-1].diverged else epochs[-1].validation_accuracy
    return Point(cell.name, float(f"{lr:.6g}"), seed, round(accuracy, 5))


def read(path: Path) -> list[Point]:
    """The points of a file, none if it isn't there."""
    if not path.exists():
        return []
    return [Point(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def measure(
    data: str, wanted: Iterable[tuple[Cell, float, int]], path: Path, processes: int
) -> None:
    """Train what `path` doesn't have yet, and add each result to it at once."""
    there = {(point.cell, point.lr, point.seed) for point in read(path)}
    missing = [
        (cell.name, lr, seed)
        for cell, lr, seed in wanted
        if (cell.name, float(f"{lr:.6g}"), seed) not in there
    ]
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(data,)) as pool,
        path.open("a", encoding="utf-8") as file,
    ):
        futures = [pool.submit(_train, *one) for one in missing]
        for count, future in enumerate(as_completed(futures), start=1):
            point = future.result()
            file.write(json.dumps(asdict(point)) + "\n")
            file.flush()
            print(
                f"{count}/{len(missing)}  {point.cell}  lr {point.lr:g}  seed {point.seed}"
                f"  {100 * point.accuracy:.1f} %",
                flush=True,
            )


_splits: Splits | None = None
_cells = {cell.name: cell for cell in CELLS}


def _begin(data: str) -> None:
    global _splits
    torch.set_num_threads(1)
    _splits = splits_for(data)


def _train(name: str, lr: float, seed: int) -> Point:
    assert _splits is not None
    return trained(_cells[name], lr, seed, _splits)
