"""Trials as plain records: the one place where Optuna's trials are read for showing and exporting."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from search.study import attributes
from search.study.trial_states import is_paused
from spaces.space import Values

__all__ = ["TrialRow", "best_rows", "gains", "label_of", "row_of", "rows_of"]

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
        state: What has become of it; a trial of a stopped search that can go on is ``running``, and one
            that waits at a rung, to go on when it proves to be among the best, is ``paused``.
        validation_accuracy: After its last epoch, 0-1; None before the first.
        epochs: Epochs trained.
        values: The searched parameters.
        recipe: The full recipe as plain values; None if it was never started.
        seed: The trial's seed; None if it was never started.
        label: Name of the known configuration it is, or of what suggested it, or where it is from; None
            otherwise.
        known: It is one of the space's known configurations.
        reason: Why it ended before its last epoch; None if it did not.
        seconds: Time spent training it.
        history: Its epochs as plain values, once it is finished or paused.
        ended: When it was finished; None if it is not.
        scores: Validation accuracy by epoch, counted from 1.
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

    @property
    def going_on(self) -> bool:
        """It was begun, and is trained, or may be trained further."""
        return self.state in {"running", "paused"}

    @property
    def finished(self) -> bool:
        """It will not change any more."""
        return self.state in {"complete", "pruned", "failed"}


def rows_of(study: optuna.Study) -> list[TrialRow]:
    """All trials of a study, by number."""
    return [row_of(trial) for trial in study.get_trials(deepcopy=False)]


def row_of(trial: FrozenTrial) -> TrialRow:
    """One trial."""
    notes = trial.user_attrs
    last = max(trial.intermediate_values, default=None)
    return TrialRow(
        number=trial.number,
        state="paused" if is_paused(trial) else STATES[trial.state],
        validation_accuracy=None if last is None else trial.intermediate_values[last],
        epochs=last or 0,
        values=dict(trial.params),
        recipe=notes.get(attributes.RECIPE),
        seed=notes.get(attributes.SEED),
        label=label_of(trial),
        known=attributes.KNOWN in notes,
        reason=notes.get(attributes.REASON),
        seconds=notes.get(attributes.TRIAL_SECONDS, 0.0),
        history=tuple(notes.get(attributes.EPOCHS, ())),
        ended=trial.datetime_complete,
        scores=dict(trial.intermediate_values),
    )


def label_of(trial: FrozenTrial | Trial) -> str | None:
    """What a trial is called beside its number, if it was not the sampler that chose it."""
    notes = trial.user_attrs
    keys = (attributes.KNOWN, attributes.SUGGESTED, attributes.WARM)
    return next((notes[key] for key in keys if notes.get(key)), None)


def best_rows(rows: list[TrialRow], count: int = 1) -> list[TrialRow]:
    """The complete trials with the highest validation accuracy, the earlier first where it is equal."""
    complete = [row for row in rows if row.state == "complete"]
    return sorted(complete, key=lambda row: (-(row.validation_accuracy or 0.0), row.number))[:count]


def gains(rows: list[TrialRow]) -> list[tuple[str, float]]:
    """What the best complete trial is above each other known configuration that is complete.

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
