"""Plots of an LR-range test: PNG files, and artifacts of a study for the dashboard."""

from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact

from cifar_core.plots.lr_curve import Curve
from search.lr_range.curves import curves_of, stored_curves
from search.lr_range.report import Report
from search.study import attributes
from search.study.bounds import Bounds
from search.study.settings import DataIdentity
from search.study.study import SearchStudy

__all__ = ["keep_plots", "write_plots"]


def write_plots(report: Report, path: Path) -> list[Path]:
    """Plot a report into one file per learning-rate parameter, and return the files.

    A single file is `path`; several have the parameter's name before its ending.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    seeds = "" if report.seeds == 1 else f", medians of {report.seeds} sweeps"
    below = f"{_below(report.data, report.seed)}{seeds}"
    curves = curves_of(report)
    written = []
    for parameter, own in curves.items():
        bounds = next((one for one in report.bounds if one.parameter == parameter), None)
        file = path if len(curves) == 1 else path.with_stem(f"{path.stem}-{parameter}")
        _draw(f"{report.name}: {parameter}", own, bounds, below, file)
        written.append(file)
    return written


def keep_plots(study: SearchStudy, artifacts: Path) -> None:
    """Store the plots of a study's LR-range test as artifacts, once.

    Args:
        study: The study, with its bounds.
        artifacts: The folder of all artifacts; created if missing.
    """
    swept = study.note(attributes.LR_CURVES)
    if swept is None or "epochs" not in swept:  # none, or stored in an earlier version's format
        return
    artifacts.mkdir(parents=True, exist_ok=True)
    store = FileSystemArtifactStore(artifacts)
    there = {one.filename for one in get_all_artifact_meta(study.optuna)}
    bounds = {one.parameter: one for one in study.lr_bounds() or []}
    settings = study.settings
    below = _below(settings.data, settings.seed)
    try:
        kept = stored_curves(swept["corners"])
    except (KeyError, TypeError, ValueError):
        return  # another format, or damaged: a search can do without the plot
    # One folder per study, in the home: the next process removes what a killed one leaves in it.
    folder = artifacts / f".{study.name}"
    try:
        for parameter, curves in kept.items():
            name = f"lr-range-{parameter}.png"
            if name in there:
                continue
            folder.mkdir(exist_ok=True)
            file = folder / name
            _draw(f"{study.name}: {parameter}", curves, bounds.get(parameter), below, file)
            upload_artifact(artifact_store=store, file_path=str(file), study_or_trial=study.optuna)
    finally:
        rmtree(folder, ignore_errors=True)


def _below(data: DataIdentity, seed: int) -> str:
    return f"{data.described()}; training images; seed {seed}"


def _draw(
    title: str, curves: Sequence[Curve], bounds: Bounds | None, below: str, file: Path
) -> None:
    # matplotlib is slow to import, and a search that continues draws nothing.
    from cifar_core.plots.lr_range import lr_range_figure
    from cifar_core.plots.style import write_png

    figure = lr_range_figure(
        curves,
        title,
        below,
        bounds=(bounds.low, bounds.high) if bounds else None,
        suggested=bounds.suggested if bounds else None,
    )
    write_png(figure, file)
