"""Kinds of ends of trials that did not reach their last epoch, stored beside the reason in words."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from optuna.trial import TrialState

from search.study import attributes

__all__ = ["CHANGED_OUTSIDE", "ENDED_OUTSIDE", "Ending", "ending_of"]

Ending = Literal["pruner", "diverged", "timeout", "lowered total", "outside", "error"]
"""``pruner``: stopped early; ``diverged``: non-finite loss; ``timeout``: the study's time was used up;
``lowered total``: no room in a total that was lowered; ``outside``: another process changed it; ``error``:
it failed."""

ENDED_OUTSIDE = "ended from outside"
CHANGED_OUTSIDE = "ended from outside: another process changed what the study has of it"

PREFIXES: tuple[tuple[str, Ending], ...] = (
    ("stopped early", "pruner"),
    ("diverged", "diverged"),
    ("the study's time", "timeout"),
    ("the study's total", "lowered total"),
)
"""Beginnings of reasons by which earlier versions, which stored no kind, told the ends apart."""


def ending_of(state: TrialState, notes: Mapping[str, Any]) -> Ending | None:
    """Return the kind of a trial's end; None for one that is complete or not finished.

    Args:
        state: The trial's state.
        notes: Its user attributes.
    """
    if not state.is_finished():
        return None
    stored = notes.get(attributes.ENDING)
    if stored in get_args(Ending):
        return stored
    if state is TrialState.FAIL:
        return "error"
    if state is not TrialState.PRUNED:
        return None
    reason = str(notes.get(attributes.REASON, ""))
    return next((kind for prefix, kind in PREFIXES if reason.startswith(prefix)), None)
