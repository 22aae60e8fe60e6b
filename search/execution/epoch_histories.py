"""The epochs of trials that are under way, and how they are kept with a trial when it ends or waits."""

import copy
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from math import isfinite

from optuna.trial import FrozenTrial, Trial, TrialState

from cifar_core.checkpoint import load_state
from cifar_core.epoch import Epoch
from cifar_core.errors import CheckpointError
from search.home import StudyFolder
from search.study import attributes
from search.study.trial_states import known

__all__ = ["Histories", "frozen", "reported"]


class Histories:
    """What is known of each epoch of each trial under way.

    Args:
        folder: Where checkpoints are kept, which have the epochs of trials that this process has not seen.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._epochs: dict[int, dict[int, Epoch]] = {}

    def add(self, number: int, epochs: Sequence[Epoch]) -> None:
        """A trial has these epochs; it may have said so before."""
        there = self._epochs.setdefault(number, {})
        there.update({epoch.number: epoch for epoch in epochs})

    def scores(self, number: int) -> dict[int, float]:
        """Validation accuracy by epoch."""
        return {one.number: one.validation_accuracy for one in self._epochs[number].values()}

    def converged(self, number: int) -> bool:
        """The trial's schedule has brought it to its end before the last epoch."""
        history = self._epochs.get(number, {})
        return bool(history) and history[max(history)].converged

    def keep(self, trial: Trial) -> None:
        """Write what is known of the trial's epochs into its notes, and forget it."""
        history = self._epochs.pop(trial.number, None)
        if history is None:
            if len(known(trial).user_attrs.get(attributes.EPOCHS, ())) == len(reported(trial)) > 0:
                return  # it has waited, and nothing has been trained since
            history = self._saved(trial)
        epochs = [asdict(history[number]) for number in sorted(history)]
        trial.set_user_attr(attributes.EPOCHS, [_rounded(epoch) for epoch in epochs])
        trial.set_user_attr(
            attributes.TRIAL_SECONDS, round(sum(epoch["seconds"] for epoch in epochs), 3)
        )

    def _saved(self, trial: Trial) -> dict[int, Epoch]:
        """The epochs of a trial that no worker of this session has taken up."""
        try:
            state = load_state(self._folder.checkpoint(trial.number))
            epochs = [Epoch(**values) for values in state["history"]]
        except (CheckpointError, KeyError, TypeError):
            return {}
        return {epoch.number: epoch for epoch in epochs}


def reported(trial: Trial) -> dict[int, float]:
    """The validation accuracy of each epoch that the study has, by number."""
    return known(trial).intermediate_values


def frozen(trial: Trial, state: TrialState) -> FrozenTrial:
    """The trial as it stands, for whoever wrote all of it and has just put it into this state."""
    # To read it from the study again takes longer than all else that is done about it.
    found = copy.copy(known(trial))
    found.state = state
    if state.is_finished():
        found.datetime_complete = datetime.now()  # noqa: DTZ005 - Optuna's times are local
    return found


def _rounded(epoch: dict[str, float | None]) -> dict[str, float | None]:
    """With six digits; what is no number is null, as JSON has none for it."""
    return {
        key: float(f"{value:.6g}")
        if isinstance(value, float) and isfinite(value)
        # Numbers of epochs, and whether it converged, stay what they are.
        else value
        if isinstance(value, int)
        else None
        for key, value in epoch.items()
    }
