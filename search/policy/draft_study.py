"""Drafting trials in memory: a sampler is shown some trials, and chooses the parameters of another."""

import copy
from collections.abc import Container, Sequence

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

__all__ = ["Drafts"]


class Drafts:
    """A study in memory in which one trial after another is drafted, and that shows others beside it."""

    def __init__(self) -> None:
        self._storage = _Beside()
        self._storage.create_new_study([StudyDirection.MAXIMIZE], "drafts")
        self._study = optuna.load_study(study_name="drafts", storage=self._storage)

    def new(self, sampler: BaseSampler, shown: Sequence[FrozenTrial]) -> Trial:
        """A trial whose parameters `sampler` chooses as they are asked for.

        Args:
            sampler: What chooses.
            shown: The trials that it learns from, the oldest first, numbered from 0.
        """
        self._storage.shown = shown
        self._study.sampler = sampler
        return self._study.ask()


class _Beside(InMemoryStorage):
    """A storage that shows, of its own trials, only the newest, and others beside it.

    To add those others to it one by one would take longer than to choose.

    Attributes:
        shown: The others.
    """

    shown: Sequence[FrozenTrial] = ()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """A draft is numbered behind the others: several samplers go by the numbers."""
        trial_id = super().create_new_trial(study_id, template_trial)
        self.get_trial(trial_id).number = len(self.shown)
        return trial_id

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The others, and the one that is drafted."""
        newest = super().get_all_trials(study_id, deepcopy=False)[-1:]
        wanted = [
            trial for trial in (*self.shown, *newest) if states is None or trial.state in states
        ]
        return copy.deepcopy(wanted) if deepcopy else wanted
