"""The score: how often the measured bounds hold the best rate, and what a suggested rate costs."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.lr_range.cells import CELLS, Cell, Half
from bench.lr_range.curves import Curve, as_used, found
from bench.lr_range.formulas import FORMULAS
from bench.lr_range.truth import Point

__all__ = ["Grid", "Judged", "Score", "grids", "judge", "ours", "score", "suggestions"]

NEAR_ENOUGH = 0.03
"""Decades within which a rate that was trained stands for the one suggested."""
HAND_RANGES = {"sgd": (3e-4, 0.3), "adam": (1e-4, 1e-2)}
"""Those that the space `baseline_constrained` has in its file."""


@dataclass(frozen=True)
class Grid:
    """What a cell's trainings at all rates came to.

    Attributes:
        cell: The cell.
        accuracy: Mean final validation accuracy at each of the cell's rates.
        seeds: Trainings of each.
        elsewhere: Mean accuracy at other rates that were trained too.
    """

    cell: Cell
    accuracy: tuple[float, ...]
    seeds: int
    elsewhere: dict[float, float]

    @property
    def best_lr(self) -> float:
        """The rate of the best accuracy."""
        return self.cell.rates[int(np.argmax(self.accuracy))]

    @property
    def best(self) -> float:
        """The best accuracy."""
        return max(self.accuracy)

    def loss(self, lr: float) -> float:
        """Points lost at this rate against the best, between the rates of the grid by interpolation.

        Linear in log lr; beyond the grid that of its end, which is kind to what lies there.
        """
        there = np.interp(math.log10(lr), np.log10(self.cell.rates), self.accuracy)
        return 100 * (self.best - float(there))


@dataclass(frozen=True)
class Judged:
    """What the project says of one cell, beside the truth.

    Attributes:
        grid: The truth.
        low: Lower bound; None where there is no conclusion.
        high: Upper bound.
        suggested: First rate.
        epochs: What the sweeps cost.
    """

    grid: Grid
    low: float | None
    high: float | None
    suggested: float | None
    epochs: float

    @property
    def inside(self) -> bool:
        """The best rate lies within the bounds."""
        if self.low is None or self.high is None:
            return False
        return self.low <= self.grid.best_lr <= self.high

    @property
    def decades(self) -> float | None:
        """Width of the bounds."""
        if self.low is None or self.high is None:
            return None
        return math.log10(self.high / self.low)

    @property
    def trained_loss(self) -> float | None:
        """Points lost by training at the suggested rate, to 7 %; None where that was not done."""
        if self.suggested is None:
            return None
        away = {abs(math.log10(lr / self.suggested)): lr for lr in self.grid.elsewhere}
        nearest = min(away, default=math.inf)
        if nearest > NEAR_ENOUGH:
            return None
        return 100 * (self.grid.best - self.grid.elsewhere[away[nearest]])


def grids(points: Sequence[Point]) -> list[Grid]:
    """The truth of every cell that was trained at all its rates."""
    found_grids = []
    for cell in CELLS:
        at: dict[float, list[float]] = {}
        for point in points:
            if point.cell == cell.name:
                at.setdefault(point.lr, []).append(point.accuracy)
        rates = [float(f"{lr:.6g}") for lr in cell.rates]
        if all(lr in at for lr in rates):
            means = {lr: statistics.fmean(values) for lr, values in at.items()}
            found_grids.append(
                Grid(
                    cell,
                    tuple(means.pop(lr) for lr in rates),
                    min(len(at[lr]) for lr in rates),
                    means,
                )
            )
    return found_grids


def judge(grid: Grid, curves: Sequence[Curve]) -> Judged:
    """What the project says of these curves of a cell."""
    finding = found(curves)
    return Judged(grid, finding.low, finding.high, finding.suggested, finding.epochs)


def ours(truth: Sequence[Grid], curves: Sequence[Curve], half: Half | None = None) -> list[Judged]:
    """What the project says of each cell, by all its sweeps together."""
    wanted = [grid for grid in truth if half in {None, grid.cell.half}]
    return [judge(grid, as_used(curves, grid.cell.name)) for grid in wanted]


def single(truth: Sequence[Grid], curves: Sequence[Curve]) -> list[Judged]:
    """What the project says of each cell by each of its sweeps alone."""
    return [judge(grid, [curve]) for grid in truth for curve in as_used(curves, grid.cell.name)]


def suggestions(
    truth: Sequence[Grid],
    curves: Sequence[Curve],
    rule: Callable[[Sequence[float], Sequence[float]], float | None],
) -> list[tuple[Grid, float | None]]:
    """What another tool's formula suggests for each sweep of each cell."""
    return [
        (grid, rule(curve.lr, curve.loss))
        for grid in truth
        for curve in as_used(curves, grid.cell.name)
    ]


@dataclass(frozen=True)
class Score:
    """A rule's figures over some cells.

    Attributes:
        name: The rule.
        answers: Sweeps, or cells, for which it gave a rate.
        asked: For how many it was asked.
        median: Points lost at its rate, in the median of the answers.
        worst: The same in the worst.
        within: Share of the answers that lose at most one point.
        centred: Share of what was asked in which the best rate lies within 0.75 decades of it.
    """

    name: str
    answers: int
    asked: int
    median: float
    worst: float
    within: float
    centred: float


def score(name: str, answers: Sequence[tuple[Grid, float | None]]) -> Score:
    """The figures of a rule's suggestions."""
    given = [(grid, lr) for grid, lr in answers if lr is not None]
    losses = [grid.loss(lr) for grid, lr in given]
    near = [abs(math.log10(lr / grid.best_lr)) <= 0.75 for grid, lr in given]
    return Score(
        name,
        len(given),
        len(answers),
        statistics.median(losses) if losses else math.nan,
        max(losses, default=math.nan),
        sum(loss <= 1.0 for loss in losses) / max(1, len(losses)),
        sum(near) / len(answers),
    )


def all_scores(truth: Sequence[Grid], curves: Sequence[Curve]) -> list[Score]:
    """Ours, by all sweeps of a cell and by each alone, and every other tool's by each alone."""
    together = [(one.grid, one.suggested) for one in ours(truth, curves)]
    alone = [(one.grid, one.suggested) for one in single(truth, curves)]
    return [
        score("cifar-search, 3 sweeps", together),
        score("cifar-search, 1 sweep", alone),
        *(score(name, suggestions(truth, curves, rule)) for name, rule in FORMULAS.items()),
    ]
