"""The configurations that a study tries first: the known ones, and those with the measured rates."""

from search.lr_range.corners import lr_base, values_for
from search.study import attributes
from search.study.study import SearchStudy
from spaces.space import Space, Values

__all__ = ["enqueue_known"]


def enqueue_known(study: SearchStudy, space: Space) -> None:
    """Enqueue the known configurations, and those with the measured rates, once.

    Args:
        study: The study, which this process holds.
        space: Its space, with the learning-rate bounds it is searched in.
    """
    if study.settings.known == "off":
        return  # a measured rate would be tried in a known configuration, too
    wanted: list[tuple[str, str, Values]] = [
        (attributes.KNOWN, known.name, space.fit(known.values)) for known in space.known
    ]
    if space.lr_range is not None:
        base = lr_base(space)
        for one in study.lr_bounds() or []:
            if one.suggested is not None:
                values = values_for(space, base, one.parameter, one.suggested)
                wanted.append((attributes.SUGGESTED, f"LR-range test, {one.optimizer}", values))
    rows = study.rows()
    there = {row.label for row in rows}
    missing = [one for one in wanted if one[1] not in there]
    # What the budget has no room for would wait in the study forever.
    for kind, label, values in missing[: max(0, study.budget.trials - len(rows))]:
        study.optuna.enqueue_trial(space.stored(values), user_attrs={kind: label})
