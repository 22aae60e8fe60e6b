"""The figures as tables of plain text."""

import math
import statistics
from collections.abc import Sequence

from bench.lr_range.cells import EPOCHS, TRAIN_IMAGES
from bench.lr_range.curves import Curve, as_used
from bench.lr_range.score import HAND_RANGES, Judged, all_scores, grids, ours, single
from bench.lr_range.truth import Point
from bench.lr_range.worth import ARMS, Run

__all__ = ["score_page", "worth_page"]

TARGETS = 3
"""Targets of the worth: a point apart, the highest what half of all searches reach."""


def score_page(points: Sequence[Point], curves: Sequence[Curve]) -> str:
    """Truth, coverage, and what suggested rates cost."""
    truth = [one for one in grids(points) if as_used(curves, one.cell.name)]
    judged = ours(truth, curves)
    seeds = min((one.seeds for one in truth), default=0)
    return "\n".join(
        [
            (
                f"Truth: {len(truth)} cells, {TRAIN_IMAGES:,} training images, {EPOCHS} epochs, mean "
                f"of {seeds} seeds or more; validation accuracy in %, rates half a decade apart."
            ),
            "",
            _table(TRUTH_HEAD, [_truth_row(one) for one in judged]),
            "",
            *_coverage(judged, single(truth, curves)),
            "",
            "Points lost by training at the suggested rate, read off between the rates of the grid:",
            "",
            _table(
                [
                    "rule",
                    "answers",
                    "median",
                    "worst",
                    "within 1 point",
                    "best within 0.75 decades",
                ],
                [
                    [
                        one.name,
                        f"{one.answers} of {one.asked}",
                        f"{one.median:.1f}",
                        f"{one.worst:.1f}",
                        f"{100 * one.within:.0f} %",
                        f"{100 * one.centred:.0f} %",
                    ]
                    for one in all_scores(truth, curves)
                ],
            ),
            "",
            *_trained(judged),
        ]
    )


def worth_page(runs: Sequence[Run]) -> str:
    """Epochs until each target, the LR-range test's own among them."""
    if not runs:
        return "Worth: no searches are recorded."
    middle = statistics.median(run.best for run in runs)
    targets = [math.floor(100 * middle) / 100 - step / 100 for step in reversed(range(TARGETS))]
    head = ["ranges", "searches", "sweeps"]
    head += [f"until {100 * target:.0f} %" for target in targets] + ["all", "best"]
    rows = []
    for arm in ARMS:
        own = [run for run in runs if run.arm == arm]
        if not own:
            continue
        costs = [[run.epochs_until(target) for run in own] for target in targets]
        rows.append(
            [
                arm,
                str(len(own)),
                f"{statistics.fmean(run.sweep_epochs for run in own):.1f}",
                *(_until(cost) for cost in costs),
                f"{statistics.median(run.epochs for run in own):.0f}",
                f"{100 * statistics.median(run.best for run in own):.1f} %",
            ]
        )
    return "\n".join(
        [
            (
                "Worth: median epochs of training until a trial first ends with the target, the sweeps "
                "among them, and how many searches got there; all, and the best, at the end of the search."
            ),
            "",
            _table(head, rows),
        ]
    )


TRUTH_HEAD = [
    "cell",
    "",
    "accuracy at each rate, ascending",
    "best lr",
    "bounds",
    "",
    "lost",
    "epochs",
]


def _truth_row(one: Judged) -> list[str]:
    bounds, lost = "inconclusive", "-"
    if one.low is not None and one.high is not None and one.suggested is not None:
        bounds = f"{one.low:.2g} to {one.high:.2g}"
        lost = f"{one.grid.loss(one.suggested):.1f}"
    return [
        one.grid.cell.name,
        one.grid.cell.half,
        " ".join(f"{100 * value:.0f}" for value in one.grid.accuracy),
        f"{one.grid.best_lr:.2g}",
        bounds,
        "inside" if one.inside else "OUTSIDE" if one.low is not None else "",
        lost,
        f"{one.epochs:.1f}",
    ]


def _coverage(judged: Sequence[Judged], alone: Sequence[Judged]) -> list[str]:
    lines = []
    halves = {
        "tuning cells": [one for one in judged if one.grid.cell.half == "tuning"],
        "held-out cells": [one for one in judged if one.grid.cell.half == "held out"],
        "all cells": judged,
        "all cells, each sweep alone": alone,
    }
    for name, some in halves.items():
        known = [one for one in some if one.decades is not None]
        if not known:
            continue
        inside = sum(one.inside for one in known)
        widths = [one.decades for one in known if one.decades is not None]
        lines.append(
            f"{name}: best lr inside the bounds {inside} of {len(known)} "
            f"({100 * inside / len(known):.0f} %), {len(some) - len(known)} inconclusive; bounds "
            f"{statistics.median(widths):.2f} decades wide in the median, at most {max(widths):.2f}"
        )
    for kind, (low, high) in HAND_RANGES.items():
        own = [one.grid for one in judged if one.grid.cell.recipe.optimizer.name == kind]
        inside = sum(low <= grid.best_lr <= high for grid in own)
        lines.append(
            f"by hand, {kind} {low:g} to {high:g}: {inside} of {len(own)}, "
            f"{math.log10(high / low):.1f} decades wide"
        )
    return lines


def _trained(judged: Sequence[Judged]) -> list[str]:
    losses = [loss for one in judged if (loss := one.trained_loss) is not None]
    if not losses:
        return ["Nothing was trained at the suggested rates themselves yet."]
    return [
        (
            f"Trained at the suggested rate itself, {len(losses)} cells: "
            f"{statistics.median(losses):.1f} points lost in the median, {max(losses):.1f} in the worst."
        )
    ]


def _until(costs: Sequence[float | None]) -> str:
    """The median, searches that never got there counting as endless."""
    reached = sum(cost is not None for cost in costs)
    middle = statistics.median_low([math.inf if cost is None else cost for cost in costs])
    shown = "-" if math.isinf(middle) else f"{middle:.0f}"
    return f"{shown} ({reached}/{len(costs)})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
