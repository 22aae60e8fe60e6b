"""Trials as plain records: the one place where Optuna's trials are read for display and export."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any, Literal, TypeVar

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from search.study import attributes
from search.study.endings import ENDED_OUTSIDE, Ending, ending_of
from search.study.trial_states import is_foreign, is_paused, was_ended_outside
from spaces.space import Space, Values

__all__ = ["TrialRow", "best_rows", "gains", "label_of", "row_of", "rows_of"]

Kind = TypeVar("Kind")
State = Literal["waiting", "running", "paused", "complete", "pruned", "failed"]

STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class TrialRow:
    """One trial.

    Attributes:
        number: Its number in the study.
        state: Its state; an interrupted trial that can continue is ``running``, and one that waits at a
            rung and continues if it proves to be among the best is ``paused``.
        validation_accuracy: After its last epoch, 0 to 1; None before the first.
        epochs: Epochs trained.
        values: The searched parameters.
        recipe: The full recipe as plain values; None if it was never started.
        seed: The trial's seed; None if it was never started.
        label: Name of the known configuration it is, or of what suggested it; None if the sampler chose it.
        known: It is one of the space's known configurations.
        reason: Reason, in words, for an end before its last epoch; None otherwise.
        seconds: Time spent training it.
        history: Its epochs as plain values, once it is finished or paused.
        ended: Time at which it was finished; None if it is not.
        scores: Validation accuracy by epoch, counted from 1.
        ending: Kind of an end before its last epoch; None otherwise.
    """

    number: int
    state: State
    validation_accuracy: float | None
    epochs: int
    values: Values
    recipe: dict[str, Any] | None
    seed: int | None
    label: str | None
    known: bool
    reason: str | None
    seconds: float
    history: tuple[dict[str, Any], ...] = ()
    ended: datetime | None = None
    scores: Mapping[int, float] = field(default_factory=dict)
    ending: Ending | None = None

    @property
    def unfinished(self) -> bool:
        """It was started, and may be trained further."""
        return self.state in {"running", "paused"}

    @property
    def finished(self) -> bool:
        """Its state is final."""
        return self.state in {"complete", "pruned", "failed"}

    @property
    def score(self) -> float:
        """The validation accuracy as a sort key: one that has none is below all others."""
        return -inf if self.validation_accuracy is None else self.validation_accuracy


def rows_of(study: optuna.Study, space: Space) -> list[TrialRow]:
    """Return the trials of a study, by number, without those that another program added.

    A search also has its storage hide those from Optuna's samplers, which read the study by themselves
    (`RetryingStorage.hides`). Other storages hide nothing: a copy and the dashboard have all trials.
    """
    return [
        row_of(trial, space) for trial in study.get_trials(deepcopy=False) if not is_foreign(trial)
    ]


def row_of(trial: FrozenTrial, space: Space) -> TrialRow:
    """Return the record of one trial.

    Args:
        trial: The trial.
        space: The space that it was chosen from, which knows what its parameters stand for.
    """
    notes = trial.user_attrs
    if was_ended_outside(trial):
        notes = {**notes, attributes.ENDING: "outside", attributes.REASON: ENDED_OUTSIDE}
    ending = ending_of(trial.state, notes)
    last = max(trial.intermediate_values, default=None)
    return TrialRow(
        number=trial.number,
        state=_state_of(trial, ending),
        validation_accuracy=None if last is None else trial.intermediate_values[last],
        epochs=last or 0,
        values=space.values_of(trial.params),
        recipe=_if(dict, notes.get(attributes.RECIPE)),
        seed=_if(int, notes.get(attributes.SEED)),
        label=label_of(trial),
        known=attributes.KNOWN in notes,
        reason=notes.get(attributes.REASON),
        seconds=notes.get(attributes.TRIAL_SECONDS, 0.0),
        history=tuple(notes.get(attributes.EPOCHS, ())),
        ended=trial.datetime_complete,
        scores=dict(trial.intermediate_values),
        ending=ending,
    )


def _state_of(trial: FrozenTrial, ending: Ending | None) -> State:
    if ending == "outside":
        return "failed"  # also one that was told a value: it has not come to its last epoch
    return "paused" if is_paused(trial) else STATES[trial.state]


def _if(kind: type[Kind], value: object) -> Kind | None:
    """Return a note of this kind; None for anything else, which another program has written."""
    return value if isinstance(value, kind) else None


def label_of(trial: FrozenTrial | Trial) -> str | None:
    """Return the name of an enqueued configuration; None for a trial that the sampler chose."""
    notes = trial.user_attrs
    keys = (attributes.KNOWN, attributes.SUGGESTED, attributes.WARM)
    return next((notes[key] for key in keys if notes.get(key)), None)


def best_rows(rows: list[TrialRow], count: int = 1) -> list[TrialRow]:
    """Return the complete trials with the highest validation accuracy; the earlier first where equal."""
    complete = [row for row in rows if row.state == "complete"]
    return sorted(complete, key=lambda row: (-row.score, row.number))[:count]


def gains(rows: list[TrialRow]) -> list[tuple[str, float]]:
    """Compare the best complete trial with each other complete known configuration.

    Returns:
        Name and difference in validation accuracy, 0 to 1, in the order of the trials.
    """
    best = next(iter(best_rows(rows)), None)
    if best is None or best.validation_accuracy is None:
        return []
    return [
        (row.label or "", best.validation_accuracy - row.validation_accuracy)
        for row in sorted(rows, key=lambda row: row.number)
        if row.known and row.state == "complete" and row.number != best.number
        if row.validation_accuracy is not None
    ]
