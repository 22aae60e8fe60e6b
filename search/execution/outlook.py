"""The amount that a search will train, as far as its policy has a plan."""

from search.policy.work import Allowance, looks_of
from search.study.study import SearchStudy

__all__ = ["planned", "planned_epochs"]


def planned_epochs(study: SearchStudy, known: int) -> int | None:
    """Return the epochs that the default policy trains over all trials; None for the others.

    Args:
        study: The study.
        known: Trials that are known configurations, which are trained to their end.
    """
    if study.settings.pruner != "freeze-thaw":
        return None
    return planned(study.budget.trials, study.settings.space.epochs, known)


def planned(trials: int, epochs: int, known: int) -> int:
    """Return the same from the number of trials and the epochs of each."""
    return Allowance(trials, epochs, looks_of(epochs)).total(known)
