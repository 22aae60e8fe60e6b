"""The frame of a rival whose own classes decide which trial is next, and when one waits."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial

from search.policy.base import Decision, Policy, Prepare
from search.study.trial_states import begin, pause, take_up
from spaces.space import Space

__all__ = ["Given", "Rival"]


class Rival(Policy):
    """A policy that is told by another library what comes next; a subclass asks that.

    Args:
        study: Where trials are written.
        space: The space; what does not apply to a configuration is dropped from it.
    """

    def __init__(self, study: optuna.Study, space: Space) -> None:
        self._study, self._space = study, space
        # `Study.ask` of the study itself would take up a paused trial.
        self._drafts = optuna.create_study(direction="maximize")
        self._next: int | Mapping[str, Any] | None = None
        self._paused: dict[int, None] = {}

    def suggest(self) -> int | Mapping[str, Any]:
        """Return the number of a paused trial that goes on, or the configuration of a new one."""
        raise NotImplementedError

    def begun(self, number: int) -> None:
        """Take note of the number of the trial that the last configuration has become."""
        raise NotImplementedError

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        """As `Policy` says."""
        raise NotImplementedError

    @property
    def paused(self) -> list[int]:
        """The trials that wait, by number."""
        return list(self._paused)

    def promote(self, *, last: bool) -> Trial | None:
        """Take up a paused trial, if the library wants one to go on."""
        if self._next is None:
            self._next = self.suggest()
        if not isinstance(self._next, int):
            return None
        number, self._next = self._next, None
        del self._paused[number]
        return take_up(self._study, number)

    def ask(self, prepare: Prepare) -> Trial:
        """Begin a trial of the configuration that the library suggested."""
        values = self.suggest() if self._next is None else self._next
        assert isinstance(values, Mapping), "`promote` is asked before `ask`"
        self._next = None
        self._drafts.sampler = Given(values)
        draft = self._drafts.ask()
        notes = prepare(draft, len(self._study.get_trials(deepcopy=False)))
        trial = begin(self._study, draft, notes)
        self.begun(trial.number)
        return trial

    def complete(self, trial: Trial, prepare: Prepare) -> Trial:
        """Not asked for: in simulated time nothing is interrupted."""
        raise AssertionError(f"trial {trial.number} was interrupted")

    def pause(self, trial: Trial) -> None:
        """Let a trial wait."""
        pause(trial)
        self._paused[trial.number] = None


class Given(BaseSampler):
    """Hands out what was drawn elsewhere; a `KeyError` says that something else is asked for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing is drawn together."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing is drawn together."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the value of this name."""
        return self._values[param_name]
