"""A view of an Optuna study without the trials that other programs have added."""

from collections.abc import Container
from typing import Protocol, runtime_checkable

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.study.trial_states import is_foreign

__all__ = ["OwnTrialsStudy"]


@runtime_checkable
class _Caching(Protocol):
    """A storage that keeps what it has read, such as `search.storage.retrying.RetryingStorage`."""

    def forget(self) -> None:
        """Read everything again when it is next asked for."""


class OwnTrialsStudy(optuna.Study):
    """An Optuna study that samplers, pruners and reports see without the trials of other programs.

    The database of a study is an ordinary one, so a user's script may add finished trials. They were not
    trained by this service: nothing tells what they were measured on.

    Args:
        study: The study.
    """

    def __init__(self, study: optuna.Study) -> None:
        super().__init__(study.study_name, study._storage)  # noqa: SLF001

    def foreign(self) -> list[int]:
        """Return the trials that other programs have added, by number."""
        return [trial.number for trial in super()._get_trials(deepcopy=False) if is_foreign(trial)]

    def forget_deleted(self) -> None:
        """Read all trials again: Optuna's cache keeps one that another program has deleted."""
        if isinstance(self._storage, _Caching):
            self._storage.forget()
        self._thread_local.cached_all_trials = None

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        # Optuna's samplers and pruners ask here, as does `get_trials`.
        found = super()._get_trials(deepcopy, states, use_cache)
        return [trial for trial in found if not is_foreign(trial)]
