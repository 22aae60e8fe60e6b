"""The writes of a study's only writer, many of them done at once where the study's storage can do that."""

from contextlib import AbstractContextManager
from typing import Protocol, Self, runtime_checkable

import optuna
from optuna.trial import Trial

__all__ = ["Gathering", "GathersWrites"]


@runtime_checkable
class GathersWrites(Protocol):
    """A storage that can gather writes into unfinished trials and do them in one transaction."""

    def gathering(self) -> AbstractContextManager[None]:
        """Gather writes within this context."""

    def write_gathered(self) -> set[int]:
        """Write what was gathered; return the ids of the trials that could not be written."""


class Gathering:
    """A context in which what is written into unfinished trials of a study is gathered.

    With a storage that does not gather, each write is done by itself, and one into a trial that another
    process has ended raises `LostTrialError` at once.

    Args:
        study: The study.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._storage = study._storage  # noqa: SLF001
        self._context: AbstractContextManager[None] | None = None
        self._lost: set[int] = set()

    def __enter__(self) -> Self:
        if isinstance(self._storage, GathersWrites):
            self._context = self._storage.gathering()
            self._context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._context is not None:
            context, self._context = self._context, None
            context.__exit__(None, None, None)

    def write(self) -> None:
        """Write what was gathered: from now on it may be relied on."""
        if self._context is not None and isinstance(self._storage, GathersWrites):
            self._lost |= self._storage.write_gathered()

    def has_lost(self, trial: Trial) -> bool:
        """Return, once, whether nothing could be written because another process has ended the trial."""
        lost = trial._trial_id in self._lost  # noqa: SLF001
        self._lost.discard(trial._trial_id)  # noqa: SLF001
        return lost
