"""A storage whose only writer has many writes done at once."""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial, TrialState

from search.storage.fast_rdb import FastRDBStorage
from search.storage.gathered_writes import GatheredWrites
from search.storage.retrying import RetryingStorage
from search.study import attributes

__all__ = ["GatheringStorage"]


class GatheringStorage(RetryingStorage):
    """Gathers writes into unfinished trials where it is asked to; else it is as `RetryingStorage`.

    What is gathered is done in one transaction before anything of a trial is read, and when
    `write_gathered` is called. Until then it is not in the database, so nothing may be done that relies on
    it: no worker may hear that its epoch counts, and no file may be removed.

    Args:
        database: The storage that each call goes to.
        file: The database's file, if it is SQLite's.
        read_from: The URL that the user knows a database by which is opened to be read only.
    """

    def __init__(
        self, database: FastRDBStorage, file: Path | None = None, read_from: str | None = None
    ) -> None:
        super().__init__(database, file, read_from)
        self._gathered: GatheredWrites | None = None
        self._lost: set[int] = set()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Gather writes within this context; what is left at its end is written then."""
        self._gathered = GatheredWrites()
        try:
            yield
        finally:
            try:
                self.write_gathered()
            finally:
                self._gathered = None

    def write_gathered(self) -> set[int]:
        """Write what was gathered.

        Returns:
            The ids of trials that could not be written since the last call, as another process has ended or
            removed them, or has changed their state.
        """
        writes = self._gathered
        if writes:

            def write(*, again: bool = False) -> set[int]:
                lost = self._database.write_gathered(writes, again=again)
                if writes.ends_trials:
                    self._make_durable()
                return lost

            self._lost |= self._until_done(write, lambda: write(again=True))
            writes.clear()
        lost, self._lost = self._lost, set()
        return lost

    def create_whole_trial(self, study_id: int, template: FrozenTrial) -> FrozenTrial:
        """Create a trial as `create_new_trial` does, and return it without reading it."""
        trial_id = self.create_new_trial(study_id, template)
        cache = self._cached
        assert isinstance(cache, _CachedStorage)  # noqa: S101 - for mypy: it is, for a database
        _, number = cache._trial_id_to_study_id_and_number[trial_id]  # noqa: SLF001
        return cache._studies[study_id].trials[number]  # noqa: SLF001

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Write a parameter, at once."""
        self._write_first()
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Change a trial's state; where writes are gathered it is taken to be possible."""
        if self._gathered is None:
            return super().set_trial_state_values(trial_id, state, values)
        self._gathered.add_state(trial_id, state, values)
        return True

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Write the value of a step."""
        if self._gathered is None:
            super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        else:
            self._gathered.add_score(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write a user attribute; a recipe is durable on return."""
        if self._gathered is not None and key != attributes.RECIPE:
            self._gathered.add_note(trial_id, key, value)
        else:
            self._write_first()
            super().set_trial_user_attr(trial_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        self._write_first()
        return super().get_trial(trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return a study's trials by number."""
        self._write_first()
        return super().get_all_trials(study_id, deepcopy, states)

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the best complete trial."""
        self._write_first()
        return super().get_best_trial(study_id)

    def _write_first(self) -> None:
        if self._gathered:
            self._lost |= self.write_gathered()
