"""A study is read once, and becomes the record that its report is drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cifar_core.plots.lr_curve import Curve
from search.home import Home
from search.lr_range.bounds import with_bounds
from search.lr_range.curves import stored_curves
from search.report.record import Missing, ReportRecord
from search.report.winner import diagnosed, find_images, sheet_of
from search.results.importance import what_mattered
from search.results.summary import Summary
from search.study import attributes
from search.study.study import SearchStudy

__all__ = ["gather"]


def gather(
    study: SearchStudy,
    summary: Summary,
    home: Home,
    *,
    where: str,
    data: str | None,
    folder: Path,
    made: datetime,
) -> ReportRecord:
    """Gather what a report shows.

    Args:
        study: The study.
        summary: The same as it stands now.
        home: The home of its files.
        where: Options that name its place in commands.
        data: The value of ``--data``; None for the default.
        folder: The folder of the images by default.
        made: The time.
    """
    space = with_bounds(study.settings.space, summary.bounds)
    nothing = Missing("No trial is complete yet.")
    record = ReportRecord(
        summary=summary,
        space=space,
        importance=what_mattered(summary),
        diagnosis=nothing,
        sheet=nothing,
        lr_curves=_lr_curves(study),
        versions=study.note(attributes.VERSIONS) or {},
        where=where,
        data=data,
        made=made,
    )
    winner = record.winner
    if winner is None:
        return record
    images = find_images(study.data, data, folder)
    own = study.folder(home)
    return replace(
        record,
        diagnosis=diagnosed(winner, own, images),
        sheet=sheet_of(winner, images, study.settings.seed),
    )


def _lr_curves(study: SearchStudy) -> Mapping[str, Sequence[Curve]]:
    swept = study.note(attributes.LR_CURVES) or {}
    try:
        return stored_curves(swept["corners"])
    except (KeyError, TypeError, ValueError):
        return {}  # none, or in another version's format
