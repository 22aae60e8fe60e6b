"""The default policy: freeze-thaw Bayesian optimisation (Swersky et al. 2014, arXiv 1406.3896).

Trials pause at looks. Each time a worker is free, one model of all training curves (`curve_model`) decides
whether a paused trial continues to its next look or a new configuration starts (`choice`), by how much it
is expected to better the best within a random amount of time (`acquisition`). So neither a
pruner's fixed shares nor a sampler that ignores paused trials is needed.

A search ends by work: `work.Allowance` says how many epochs a number of trials may train. New
trials are spread over it; the rest goes to the paused trials with the best predicted ends, as long
as they can still be finished, so that the best one is not left half trained.

Everything that a decision depends on is in the study: scores, trials, the model's hyperparameters, and,
where the caller does not say what an epoch costs, the seconds of trials that paused or ended. Random
choices are derived from the study's seed and the numbers of epochs and trials so far. So a search with
one worker that is killed and resumed asks for what it would have asked for.

With many workers, choices are made ahead, in another process if there is one (`choices_ahead`): what is
chosen next does not wait for a decision, which takes longer than all else.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from cifar_core.seeds import derive
from search.policy.base import (
    Decision,
    InvalidParametersError,
    InvalidTrialError,
    Policy,
    Prepare,
)
from search.policy.beliefs import Beliefs
from search.policy.beside.thinking import Beside, Thinker
from search.policy.choice import Choice, drawn
from search.policy.decisions import Decisions
from search.policy.draft_study import Drafts
from search.policy.given_sampler import GivenSampler
from search.policy.knowledge import NOTHING, Knowledge
from search.policy.members import STATES, EpochCost, Members
from search.policy.model.curve_model import CurveModel
from search.policy.model.encoding import NO_ZEROS, Encoding
from search.policy.work import Allowance, looks_of
from search.study import attributes
from search.study.trial_states import (
    LostTrialError,
    attach,
    begin,
    enqueued_waiting,
    pause,
    resume,
    snapshot,
    take_up,
    writes,
)

__all__ = ["MOST_PAUSED", "FreezeThaw"]

MOST_PAUSED = 64
"""Trials that may be paused, each with a checkpoint, or as many as are running if these are more. Those
predicted to end worst are given up first ..."""
SPARE = 8
"""... so many at a time, because predicting all ends takes a while."""
FIRST = 8
"""Trials that are drawn at random before the model is asked."""


class FreezeThaw(Policy):
    """Continues a paused trial or starts a new one, whichever a model expects more of.

    Args:
        study: Where trials are written.
        choose: Asks a trial for the value of each parameter, as an objective of Optuna's does. The
            parameters are discovered by calling it with random trials that are not written.
        epochs: Epochs of a whole training.
        seed: Random seed.
        trials: Trials in all, which decide how much is trained; None if something else ends the search.
        knowledge: Beliefs and older trainings.
        exempt: Whether a trial is trained to its end whatever it is predicted to come to.
        epoch_cost: What an epoch of a trial costs; by default its measured seconds, which no two runs
            have in common.
        seconds_left: Seconds until the search must end; None where there is no such limit. Close to
            it, only what can still be finished continues.
        say: Told, in a sentence, when the model cannot be fitted and choices are made without it.
        zero_below: Numbers below which the value of a parameter stands for 0, by name.
        beside: Finds choices while this goes on, once 8 trials are running. Which those are depends on when
            it is done, so no two runs need have them in common.
    """

    def __init__(
        self,
        study: optuna.Study,
        choose: Callable[[Trial], object],
        *,
        epochs: int,
        seed: int,
        trials: int | None = None,
        knowledge: Knowledge = NOTHING,
        exempt: Callable[[FrozenTrial], bool] = lambda _trial: False,
        epoch_cost: EpochCost | None = None,
        seconds_left: Callable[[], float | None] = lambda: None,
        say: Callable[[str], None] = lambda _notice: None,
        zero_below: Mapping[str, float] = NO_ZEROS,
        beside: Beside | None = None,
    ) -> None:
        self._study, self._seed = study, seed
        self._looks = looks_of(epochs)
        self._encoding = Encoding(choose, zero_below)
        self._beliefs = Beliefs(self._encoding, knowledge.beliefs)
        model = CurveModel(self._encoding, epochs, knowledge.experience)
        allowance = None if trials is None else Allowance(trials, epochs, self._looks)
        self._members = Members(study, self._encoding, self._looks, allowance, exempt, epoch_cost)
        self._decisions = Decisions(
            study,
            self._members,
            Thinker(model, self._encoding, self._beliefs),
            self._looks,
            seed=seed,
            # Experience tells the model as much as the first random trials would.
            first=0 if knowledge.experience else FIRST,
            seconds_left=seconds_left,
            say=say,
            beside=beside,
        )
        self._drafts = Drafts()
        # Those under way or paused, as far as this process has them.
        self._trials: dict[int, Trial] = {}

    @property
    def paused(self) -> list[int]:
        """The trials that wait, by number."""
        return self._members.paused

    def ready(self, *, wait: bool = False) -> bool:
        """Return whether a trial can be had without a long thought.

        Args:
            wait: Wait until that is so.
        """
        return bool(self._members.queued) or self._decisions.ready(wait=wait)

    def promote(self, *, last: bool) -> Trial | None:
        """Take up the paused trial that continues, if more is expected of one than of a new trial.

        Args:
            last: No more trials will be started.
        """
        if self._members.queued and not last:
            return None
        choice = self._decisions.choice(last=last)
        if choice is None or choice.number is None:
            return None
        trial = self._trial(choice.number)
        self._members.put(choice.number, "running", choice.until)
        with writes(trial):
            trial.set_user_attr(attributes.FORECAST, _kept(choice))
        resume(trial)
        self._trials[trial.number] = trial
        return trial

    def ask(self, prepare: Prepare) -> Trial:
        """Start a trial: one that was enqueued, else the new one that was chosen.

        Args:
            prepare: Chooses all parameters of the trial that it is given, and returns notes about it.

        Raises:
            InvalidTrialError: `prepare` refused what was chosen; the trial is written and running.
        """
        self._members.queued = enqueued_waiting(self._study)  # a user may have enqueued more
        if self._members.queued:
            enqueued = take_up(self._study, self._members.queued.pop(0))
            with writes(enqueued):
                return self.complete(enqueued, prepare)
        number = len(self._members)
        choice = self._decisions.choice(last=False)
        if choice is None or choice.number is not None:
            rng = np.random.default_rng(derive(self._seed, "freeze-thaw", "new", number))
            choice = drawn(self._encoding, self._beliefs, self._looks, rng)
        values = self._encoding.values(choice.unit)
        sampler = GivenSampler(values, derive(self._seed, "sampler", number) % 2**32)
        drafted = self._drafts.new(sampler, ())
        refused = None
        try:
            notes: Mapping[str, Any] = prepare(drafted, number)
        except InvalidParametersError as error:
            refused, notes = error, {}
        trial = begin(self._study, drafted, {attributes.FORECAST: _kept(choice), **notes})
        self._add(trial)
        if refused is not None:
            raise InvalidTrialError(trial) from refused
        return trial

    def complete(self, trial: Trial, prepare: Prepare) -> Trial:
        """Choose what an enqueued or interrupted trial still lacks; raises `InvalidTrialError`."""
        seed = derive(self._seed, "sampler", trial.number) % 2**32
        self._study.sampler = RandomSampler(seed=seed)
        try:
            notes = prepare(trial, trial.number)
        except InvalidParametersError as error:
            self._add(trial)
            raise InvalidTrialError(trial) from error
        for key, value in notes.items():
            trial.set_user_attr(key, value)
        self._add(trial)
        return trial

    def _add(self, trial: Trial) -> None:
        self._members.add(snapshot(trial))
        self._trials[trial.number] = trial

    def _trial(self, number: int) -> Trial:
        """Return a trial to write into; raises `LostTrialError`."""
        # Reading one from the study takes longer than all else that is done about it.
        return self._trials.get(number) or attach(self._study, number)

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        """Return whether a trial continues after the last of these epochs.

        Args:
            trial: The trial; the study has its scores.
            scores: Validation accuracy by epoch, all so far.
        """
        self._members.note_scores(trial.number, scores)
        member = self._members[trial.number]
        if member.exempt or member.at < member.until or member.at >= self._looks[-1]:
            return "go on"
        if self._decisions.are_ahead:
            return "pause"  # others were chosen before it had come so far
        choice = self._decisions.choice(last=False, stopping=trial.number)
        if choice is None or choice.number != trial.number:
            return "pause"
        self._members.put(trial.number, "running", choice.until)
        with writes(trial):
            trial.set_user_attr(attributes.FORECAST, _kept(choice))
        return "go on"

    def pause(self, trial: Trial) -> None:
        """Let a trial wait at its look."""
        pause(trial)
        self._trials[trial.number] = trial
        self._members.put(trial.number, "paused")
        self._members.note_seconds(snapshot(trial))

    def hopeless(self, to_come: int) -> list[Trial]:
        """Return the paused trials that need not wait any longer.

        Args:
            to_come: How many trials may still be trained, besides those that wait.
        """
        waiting = self.paused
        if to_come == 0 and waiting and self._decisions.choice(last=True) is None:
            return [self._trial(number) for number in waiting]
        running = len(self._members.running())
        most = max(MOST_PAUSED, running)
        if len(waiting) <= most:
            return []
        ends = self._decisions.ends(waiting)
        worst = sorted(ends, key=lambda number: (ends[number], -number))
        return [self._trial(number) for number in worst[: len(waiting) - most + SPARE]]

    def ended(self, number: int, state: TrialState) -> None:
        """Take note that a trial has become final."""
        self._decisions.forget(number)
        self._members.put(number, STATES[state])
        with suppress(LostTrialError):  # then it has none
            self._members.note_seconds(snapshot(self._trial(number)))
        self._trials.pop(number, None)


def _kept(choice: Choice) -> dict[str, float]:
    """Return what is kept with a trial about why it continues."""
    forecast = {} if choice.forecast is None else asdict(choice.forecast)
    return {"until": choice.until, **forecast}
