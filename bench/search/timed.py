"""A policy whose decisions are timed."""

import time
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from optuna.trial import Trial, TrialState

from search.policy import Decision, Policy
from search.policy.base import Prepare

__all__ = ["Timed"]

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class Timed:
    """Passes every question on to a policy, and counts the seconds of the processor until the answer.

    Args:
        policy: The policy that answers.

    Attributes:
        decisions: For each decision, the trials that were there, and its seconds: of all answers from the
            last training that was handed out to the next.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._numbers: set[int] = set()
        self._since = 0.0
        self.decisions: list[tuple[int, float]] = []

    @property
    def paused(self) -> list[int]:
        """The trials that wait, by number."""
        return self._policy.paused

    def ready(self, *, wait: bool = False) -> bool:
        """Return whether a trial can be had at once."""
        return self._timed(self._policy.ready, wait=wait)

    def ask(self, prepare: Prepare) -> Trial:
        """Begin a trial."""
        return self._handed_out(self._timed(self._policy.ask, prepare))

    def complete(self, trial: Trial, prepare: Prepare) -> Trial:
        """Choose what a running trial lacks."""
        return self._timed(self._policy.complete, trial, prepare)

    def promote(self, *, last: bool) -> Trial | None:
        """Take up a paused trial, if one goes on."""
        trial = self._timed(self._policy.promote, last=last)
        return None if trial is None else self._handed_out(trial)

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        """Return whether a trial goes on."""
        return self._timed(self._policy.verdict, trial, scores)

    def pause(self, trial: Trial) -> None:
        """Let a trial wait."""
        self._timed(self._policy.pause, trial)

    def hopeless(self, to_come: int) -> list[Trial]:
        """Return paused trials that need not wait any longer."""
        return self._timed(self._policy.hopeless, to_come)

    def ended(self, number: int, state: TrialState) -> None:
        """Take note that a trial has become final."""
        self._timed(self._policy.ended, number, state)

    def _timed(
        self,
        question: Callable[Arguments, Answer],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Answer:
        began = time.process_time()
        try:
            return question(*args, **kwargs)
        finally:
            self._since += time.process_time() - began

    def _handed_out(self, trial: Trial) -> Trial:
        self._numbers.add(trial.number)
        self.decisions.append((len(self._numbers), self._since))
        self._since = 0.0
        return trial
