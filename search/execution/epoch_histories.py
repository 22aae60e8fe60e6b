"""The epochs of trials under way, and their storage with a trial when it ends or pauses."""

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
from search.study.trial_states import snapshot

__all__ = ["Histories", "frozen", "reported"]


class Histories:
    """The epochs of each trial under way.

    Args:
        folder: The study's files: checkpoints have the epochs of trials that this process has not seen.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._epochs: dict[int, dict[int, Epoch]] = {}

    def add(self, number: int, epochs: Sequence[Epoch]) -> None:
        """Add epochs of a trial; some may have been added before."""
        there = self._epochs.setdefault(number, {})
        there.update({epoch.number: epoch for epoch in epochs})

    def scores(self, number: int) -> dict[int, float]:
        """Return the validation accuracy by epoch."""
        return {one.number: one.validation_accuracy for one in self._epochs[number].values()}

    def is_complete(self, trial: Trial, epochs: int) -> bool:
        """Return whether a trial has the last of its epochs, or its schedule has ended it before."""
        if max(reported(trial), default=0) >= epochs:
            return True
        history = self._epochs.get(trial.number, {})
        return bool(history) and history[max(history)].converged

    def keep(self, trial: Trial) -> None:
        """Write the trial's epochs into its notes, and forget them."""
        history = self._epochs.pop(trial.number, None)
        if history is None:
            if (
                len(snapshot(trial).user_attrs.get(attributes.EPOCHS, ()))
                == len(reported(trial))
                > 0
            ):
                return  # it has waited, and nothing has been trained since
            history = self._saved(trial)
        epochs = [asdict(history[number]) for number in sorted(history)]
        trial.set_user_attr(attributes.EPOCHS, [_rounded(epoch) for epoch in epochs])
        trial.set_user_attr(
            attributes.TRIAL_SECONDS, round(sum(epoch["seconds"] for epoch in epochs), 3)
        )

    def forget(self, number: int) -> None:
        """Drop the epochs of a trial."""
        self._epochs.pop(number, None)

    def _saved(self, trial: Trial) -> dict[int, Epoch]:
        """Return the epochs of a trial that no worker of this session has trained."""
        try:
            state = load_state(self._folder.checkpoint(trial.number))
            epochs = [Epoch(**values) for values in state["history"]]
        except (CheckpointError, KeyError, TypeError):
            return {}
        return {epoch.number: epoch for epoch in epochs}


def reported(trial: Trial) -> dict[int, float]:
    """Return the validation accuracy of each epoch that the study has, by number."""
    return snapshot(trial).intermediate_values


def frozen(trial: Trial, state: TrialState) -> FrozenTrial:
    """Return the trial as its only writer knows it, in the state into which it was just put."""
    # Reading it from the study again takes longer than all else that is done about it.
    found = copy.copy(snapshot(trial))
    found.state = state
    if state.is_finished():
        found.datetime_complete = datetime.now()  # noqa: DTZ005 - Optuna's times are local
    return found


def _rounded(epoch: dict[str, float | None]) -> dict[str, float | None]:
    """Return the values with six digits; non-finite ones become None, as JSON has no number for them."""
    return {
        key: float(f"{value:.6g}")
        if isinstance(value, float) and isfinite(value)
        # Numbers of epochs, and whether it converged, stay what they are.
        else value
        if isinstance(value, int)
        else None
        for key, value in epoch.items()
    }
