"""The amount that a search will train, as far as its policy has a plan."""

from collections.abc import Sequence

from search.policy.work import Allowance, looks_of
from search.study.rows import TrialRow
from search.study.study import SearchStudy

__all__ = ["planned_epochs"]


def planned_epochs(study: SearchStudy, rows: Sequence[TrialRow]) -> int | None:
    """Return the epochs that the default policy trains over all trials; None for the others."""
    if study.settings.pruner != "freeze-thaw":
        return None
    epochs = study.settings.space.epochs
    allowance = Allowance(study.budget.trials, epochs, looks_of(epochs))
    return allowance.total(sum(row.known for row in rows))
