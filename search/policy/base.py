"""The interface of policies: the questions that they are asked, and their answers."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from optuna.trial import Trial, TrialState

from search.study.trial_states import pause

__all__ = ["Decision", "InvalidParametersError", "InvalidTrialError", "Policy", "Prepare"]

Decision = Literal["go on", "pause", "stop"]

Prepare = Callable[[Trial, int], Mapping[str, Any]]
"""Chooses all parameters of a trial, whose number comes second, and returns notes to keep with it; may
raise `InvalidParametersError`."""


class InvalidParametersError(Exception):
    """These parameters make no training; the text says why."""


class InvalidTrialError(Exception):
    """A trial's parameters make no training; the cause says why.

    Args:
        trial: The trial; it is running.
    """

    def __init__(self, trial: Trial) -> None:
        super().__init__(f"trial {trial.number} cannot be trained")
        self.trial = trial


class Policy(Protocol):
    """Decides which configuration is next, and whether a trial goes on after an epoch.

    A policy that never lets a trial wait inherits all but `ask`, `complete` and `verdict`.
    """

    @property
    def paused(self) -> list[int]:
        """The trials that wait, by number."""
        return []

    def ready(self, *, wait: bool = False) -> bool:
        """Return whether a new trial, or a paused one, can be had at once.

        Args:
            wait: Wait until that is so.
        """
        return True

    def ask(self, prepare: Prepare) -> Trial:
        """Begin a trial: one that was enqueued, else a new one; raises `InvalidTrialError`."""

    def complete(self, trial: Trial, prepare: Prepare) -> Trial:
        """Choose what an enqueued or interrupted trial still lacks; raises `InvalidTrialError`."""

    def promote(self, *, last: bool) -> Trial | None:
        """Take up the paused trial that continues next, if any; `last`: no more will be started."""
        return None

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        """Return whether a trial continues after the last of its epochs, whose scores the study has."""

    def pause(self, trial: Trial) -> None:
        """Let a trial wait."""
        pause(trial)

    def hopeless(self, to_come: int) -> list[Trial]:
        """Return paused trials that need not wait any longer, if `to_come` may still be started."""
        return []

    def ended(self, number: int, state: TrialState) -> None:
        """Take note that a trial has become final."""
        return
