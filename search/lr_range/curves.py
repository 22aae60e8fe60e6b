"""Curves of an LR-range test by learning-rate parameter."""

from collections.abc import Mapping, Sequence
from typing import Any

from cifar_core.plots.lr_curve import Curve
from search.formatting import short
from search.lr_range.corners import curves_document
from search.lr_range.report import Report

__all__ = ["curves_of", "labels_of", "stored_curves"]

READ = (
    *("lr", "loss", "smoothed", "start"),
    *("steepest", "minimum", "divergence", "low", "high", "suggested"),
)


def curves_of(report: Report) -> dict[str, list[Curve]]:
    """Return the curves of each learning-rate parameter."""
    return stored_curves(curves_document(report.corners, report.findings)["corners"])


def stored_curves(corners: Sequence[Mapping[str, Any]]) -> dict[str, list[Curve]]:
    """Return the curves of each learning-rate parameter, from corners stored as plain JSON."""
    found: dict[str, list[Curve]] = {}
    for corner, label in zip(corners, labels_of([one["values"] for one in corners]), strict=True):
        found.setdefault(corner["parameter"], []).append(
            Curve(
                label=label or "smoothed loss",
                minima=[(one["lr"], one["loss"]) for one in corner["minima"]],
                **{name: corner[name] for name in READ},
            )
        )
    return found


def labels_of(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the differences between configurations in words; the swept learning rates are left out."""
    seen: dict[str, set[Any]] = {}
    for one in values:
        for name, value in one.items():
            seen.setdefault(name, set()).add(value)
    varied = [name for name in seen if len(seen[name]) > 1 and not name.endswith("lr")]
    return [short({name: one[name] for name in varied if name in one}) for one in values]
