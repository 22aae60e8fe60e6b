"""The default policy: trials wait at rungs and are promoted; the sampler sees each where it stands."""

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from search.policy.base import (
    Decision,
    InvalidParametersError,
    InvalidTrialError,
    Policy,
    Prepare,
)
from search.policy.draft_study import Drafts
from search.policy.rungs import RungSystem
from search.study.trial_states import (
    attach,
    begin,
    enqueued_waiting,
    is_paused,
    is_queued,
    pause,
    snapshot,
    take_up,
    writes,
)

__all__ = ["MOST_PAUSED", "Promotion"]

MOST_PAUSED = 32
"""Trials that may wait at one rung, each with a checkpoint. A 33rd would go on only after about a hundred
further trials of which hardly one is better."""
MOST_SHOWN, BEST_SHOWN = 100, 50
"""Trials that a sampler is shown, and how many of them for being the best; the others are the newest.
Without a limit the time that TPE takes to choose grows with the trials, and the density of those that are
not good hardly changes any more."""
FAILED = -1.0
"""The value that a sampler sees of a failed or diverged trial: worse than any accuracy."""

Standing = Literal["running", "paused", "complete", "ended", "failed"]


@dataclass
class _Candidate:
    """The policy's record of a trial."""

    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    standing: Standing
    exempt: bool
    scores: dict[int, float] = field(default_factory=dict)
    granted: int = 0
    worth: float | None = None
    shell: tuple[float | None, FrozenTrial] | None = None


class Promotion(Policy):
    """Promotes trials from rung to rung, and draws new ones by a sampler that sees how far each has come.

    Everything it decides by stands in the study, and is read from there once; from then on the process that
    owns it is the only one that writes.

    A sampler of Optuna's is not given the study: finished trials alone would teach it little, as most
    wait, and it would keep clear of those that are running or waiting whatever they are worth. Instead each
    configuration is shown once, as a complete trial whose value is the number of rungs it has come above
    the first plus its accuracy at the highest: whoever has come further is better, and among equals the
    more accurate.

    Args:
        study: Where trials are written.
        sampler: Makes the sampler for a trial of this number.
        ladder: The rungs, and how many go on.
        exempt: Whether a trial is trained to its end whatever it is worth.
        most_paused: How many trials may wait at one rung.
    """

    def __init__(
        self,
        study: optuna.Study,
        sampler: Callable[[int], BaseSampler],
        ladder: RungSystem,
        *,
        exempt: Callable[[FrozenTrial], bool] = lambda _trial: False,
        most_paused: int = MOST_PAUSED,
    ) -> None:
        self._study = study
        self._sampler = sampler
        self._ladder = ladder
        self._exempt = exempt
        self._most_paused = most_paused
        self._candidates: dict[int, _Candidate] = {}
        self._paused: dict[int, int] = {}  # at which rung
        # Whom a sampler may be shown, the best first; the same by number; and who has changed since.
        self._worths: list[tuple[float, int]] = []
        self._places: dict[int, tuple[float, int]] = {}
        self._changed: set[int] = set()
        # What it depended on that no paused trial was hopeless.
        self._all_hope: object = None
        self._drafts = Drafts()
        for trial in study.get_trials(deepcopy=False):
            if not is_queued(trial):
                self._add(trial)

    def _add(self, trial: FrozenTrial) -> None:
        standing: Standing = "running"
        if is_paused(trial):
            standing = "paused"
        elif trial.state.is_finished():
            standing = _STANDINGS[trial.state]
        self._candidates[trial.number] = _Candidate(
            trial.params,
            trial.distributions,
            standing,
            self._exempt(trial),
            dict(trial.intermediate_values),
        )
        self._ladder.reach(trial.number, trial.intermediate_values)
        self._changed.add(trial.number)
        if standing == "paused":
            self._paused[trial.number] = max(trial.intermediate_values)

    @property
    def paused(self) -> list[int]:
        """The trials that wait, by number."""
        return list(self._paused)

    def ask(self, prepare: Prepare) -> Trial:
        """Begin a trial: one that was enqueued, else a new one.

        Args:
            prepare: Chooses all parameters of the trial that it is given, and returns notes about it.

        Raises:
            InvalidTrialError: `prepare` refused what was chosen; the trial is written and running.
        """
        for number in enqueued_waiting(self._study)[:1]:  # also what was enqueued meanwhile
            enqueued = take_up(self._study, number)
            with writes(enqueued):
                return self.complete(enqueued, prepare)
        drafted = self._drafts.new(self._sampler(len(self._candidates)), self._shown())
        refused = None
        try:
            notes: Mapping[str, Any] = prepare(drafted, len(self._candidates))
        except InvalidParametersError as error:
            refused, notes = error, {}
        trial = begin(self._study, drafted, notes)
        self._add(snapshot(trial))
        if refused is not None:
            raise InvalidTrialError(trial) from refused
        return trial

    def complete(self, trial: Trial, prepare: Prepare) -> Trial:
        """Choose what an enqueued or interrupted trial still lacks; raises `InvalidTrialError`."""
        self._study.sampler = self._sampler(trial.number)
        try:
            notes = prepare(trial, trial.number)
        except InvalidParametersError as error:
            raise InvalidTrialError(trial) from error
        finally:
            self._add(snapshot(trial))
        for key, value in notes.items():
            trial.set_user_attr(key, value)
        self._candidates[trial.number].exempt = self._exempt(snapshot(trial))
        return trial

    def promote(self, *, last: bool) -> Trial | None:
        """Take up the paused trial that goes on next, if one does.

        Args:
            last: No more trials will be started.
        """
        number = self._ladder.promotable(self._paused, last=last)
        if number is None:
            return None
        one = self._candidates[number]
        one.standing, one.granted = "running", self._paused.pop(number)
        self._ladder.go_on(number, one.granted)
        return take_up(self._study, number)

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        """Return whether a trial continues, pauses or stops after the last of these epochs.

        Args:
            trial: The trial; the study has its scores.
            scores: Validation accuracy by epoch, all so far.
        """
        one = self._candidates[trial.number]
        epoch = max(scores)
        one.scores.update(scores)
        self._changed.add(trial.number)
        self._ladder.reach(trial.number, scores)
        if one.exempt or epoch not in self._ladder.rungs or epoch <= one.granted:
            return "go on"
        if trial.number not in self._ladder.chosen(epoch):
            return "pause"
        self._ladder.go_on(trial.number, epoch)
        return "go on"

    def pause(self, trial: Trial) -> None:
        """Let a trial wait at its rung."""
        pause(trial)
        one = self._candidates[trial.number]
        one.standing, self._paused[trial.number] = "paused", max(one.scores)

    def hopeless(self, to_come: int) -> list[Trial]:
        """Paused trials that need not wait any longer, for `give_up`.

        Args:
            to_come: How many trials may still reach the first rung.
        """
        situation = (to_come, self._ladder.progress, tuple(self._paused.items()))
        if situation == self._all_hope:
            return []
        found = self._ladder.hopeless(self._paused, to_come, self._most_paused)
        if to_come == 0 and self._ladder.promotable(self._paused, last=True) is None:
            found = self.paused
        for number in found:
            del self._paused[number]
        if not found:
            self._all_hope = situation
        return [attach(self._study, number) for number in found]

    def ended(self, number: int, state: TrialState) -> None:
        """A trial has become final."""
        self._candidates[number].standing = _STANDINGS[state]
        self._changed.add(number)

    def _shown(self) -> Sequence[FrozenTrial]:
        """Return the trials that a sampler learns from."""
        self._weigh_again()
        numbers = sorted(self._places)
        if len(numbers) > MOST_SHOWN:
            best = (number for _, number in self._worths[:BEST_SHOWN])
            numbers = sorted({*best, *numbers[BEST_SHOWN - MOST_SHOWN :]})
        return [self._shell(number, place) for place, number in enumerate(numbers)]

    def _weigh_again(self) -> None:
        """Put those that have changed where they belong: to weigh all would take longer than to choose."""
        for number in self._changed:
            one = self._candidates[number]
            if number in self._places:
                del self._worths[bisect_left(self._worths, self._places.pop(number))]
            if one.params:
                one.worth = self._weigh(number, one)
                self._places[number] = (-(FAILED if one.worth is None else one.worth), number)
                insort(self._worths, self._places[number])
        # How far an exempt one would have come depends on all the others.
        self._changed = {number for number in self._changed if self._candidates[number].exempt}

    def _shell(self, number: int, shown_as: int) -> FrozenTrial:
        one = self._candidates[number]
        if one.shell is None or one.shell[0] != one.worth:
            state = TrialState.RUNNING if one.worth is None else TrialState.COMPLETE
            shell = create_trial(
                state=state,
                value=one.worth,
                params=dict(one.params),
                distributions=dict(one.distributions),
            )
            one.shell = (one.worth, shell)
        one.shell[1].number = shown_as
        return one.shell[1]

    def _weigh(self, number: int, one: _Candidate) -> float | None:
        if one.standing == "failed":
            return FAILED
        furthest = self._ladder.furthest(number, earned=one.exempt)
        through = furthest is not None and furthest[0] == len(self._ladder.rungs) - 1
        if one.standing == "complete" and (through or not self._ladder.rungs):
            last = one.scores[max(one.scores)]
            return len(self._ladder.rungs) + (FAILED if isnan(last) else last)
        if furthest is None:
            return FAILED if one.standing == "ended" else None
        index, score = furthest
        return index + max(score, FAILED)


_STANDINGS: Mapping[TrialState, Standing] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "ended",
    TrialState.FAIL: "failed",
}
