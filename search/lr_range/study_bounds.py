"""The learning-rate bounds of a study: measured once, then read from it."""

from search.events import BoundsFound, Observer
from search.home import StudyFolder
from search.lr_range.bounds import combine_all, unmeasured, with_bounds
from search.lr_range.corners import curves_document
from search.lr_range.curves import labels_of
from search.lr_range.sweep_plan import sweeps_for
from search.lr_range.sweeps import measure
from search.signals import StopRequested
from search.study import attributes
from search.study.bounds import Bounds
from search.study.study import SearchStudy
from search.workers.pool import Pool
from spaces.space import Space

__all__ = ["bounded_space"]


def bounded_space(
    study: SearchStudy,
    pool: Pool,
    folder: StudyFolder,
    observe: Observer,
    stop_requested: StopRequested,
    work_after: float | None = None,
) -> Space:
    """Return the space with the study's bounds and suggested rates, measuring them if unknown.

    Args:
        study: The study.
        pool: The workers.
        folder: The study's files.
        observe: Told what happens.
        stop_requested: Returns whether to stop.
        work_after: Expected cost of what follows, in the unit of `cost_of_sweep`; None if it is unknown.

    Raises:
        ServiceError: A sweep's worker keeps dying.
        StopBeforeTrials: A stop was asked for.
    """
    space = study.settings.space
    bounds = study.lr_bounds()
    if bounds is None and study.settings.lr_bounds == "auto" and space.measured():
        bounds = _measured(study, pool, folder, observe, stop_requested, work_after)
    elif bounds is None:
        bounds = unmeasured(space, study.settings.lr_bounds)
        study.write(attributes.LR_BOUNDS, [one.to_dict() for one in bounds])
    for one in bounds:
        observe(BoundsFound(one.optimizer, one.low, one.high, one.how))
    return with_bounds(space, bounds)


def _measured(
    study: SearchStudy,
    pool: Pool,
    folder: StudyFolder,
    observe: Observer,
    stop_requested: StopRequested,
    work_after: float | None,
) -> list[Bounds]:
    """Run the LR-range test, and keep its curves and bounds with the study."""
    space = study.settings.space
    plan = sweeps_for(space, work_after)
    assert plan is not None  # noqa: S101 - for mypy; a space with measured rates has it
    kept = folder.sweeps / study.settings.data.split
    kept.mkdir(parents=True, exist_ok=True)
    corners = plan.corners
    findings = measure(
        [(corner.recipe, plan.ramp) for corner in corners],
        plan.seeds,
        pool,
        study.settings.seed,
        kept,
        observe,
        stop_requested,
        work_after or 0.0,
        labels_of([corner.values for corner in corners]),
    )
    bounds = combine_all(space, corners, findings)
    study.write(attributes.LR_CURVES, curves_document(corners, findings))
    study.write(attributes.LR_BOUNDS, [one.to_dict() for one in bounds])
    return bounds
