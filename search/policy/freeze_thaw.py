"""The default policy: freeze-thaw Bayesian optimisation (Swersky et al. 2014, arXiv 1406.3896).

Trials pause at looks. Each time a worker is free, one model of all training curves (`curve_model`) decides
whether a paused trial continues to its next look or a new configuration starts (`choice`), by the
probability that it betters the best within a random amount of time (`acquisition`). So neither a
pruner's fixed shares nor a sampler that ignores paused trials is needed.

A search ends by work: `work.Allowance` says how many epochs a number of trials may train. New
trials are spread over it; the rest goes to the paused trials with the best predicted ends, as long
as they can still be finished, so that the best one is not left half trained.

Everything that a decision depends on is in the study: scores, trials, the model's hyperparameters, and,
where the caller does not say what an epoch costs, the seconds of trials that paused or ended. Random
choices are derived from the study's seed and the numbers of epochs and trials so far. So a search with
one worker that is killed and resumed asks for what it would have asked for.
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
from search.policy.choice import Choice, choose_next, drawn
from search.policy.draft_study import Drafts
from search.policy.given_sampler import GivenSampler
from search.policy.knowledge import NOTHING, Knowledge
from search.policy.members import STATES, EpochCost, Members
from search.policy.model.curve_model import CurveModel, Forecasts, Hyperparameters
from search.policy.model.encoding import NO_ZEROS, Encoding
from search.policy.model.gaussian_process import FitError
from search.policy.situation import Situation
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
"""Trials that may be paused, each with a checkpoint. Those predicted to end worst are given up first ..."""
SPARE = 8
"""... so many at a time, because predicting all ends takes a while."""
FIRST = 8
"""Trials that are drawn at random before the model is asked."""
WORKERS_A_CHOICE = 2
"""For each 2 running trials, one more choice is made with the same model, so that no worker waits."""


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
    ) -> None:
        self._study, self._seed = study, seed
        self._seconds_left, self._say = seconds_left, say
        self._looks = looks_of(epochs)
        self._encoding = Encoding(choose, zero_below)
        self._beliefs = Beliefs(self._encoding, knowledge.beliefs)
        self._model = CurveModel(self._encoding, epochs, knowledge.experience)
        allowance = None if trials is None else Allowance(trials, epochs, self._looks)
        self._members = Members(study, self._encoding, self._looks, allowance, exempt, epoch_cost)
        # Experience tells the model as much as the first random trials would.
        self._first = 0 if knowledge.experience else FIRST
        self._drafts = Drafts()
        stored = study.user_attrs.get(attributes.CURVE_MODEL)
        self._hyperparameters = (
            None if stored is None else Hyperparameters(stored["rows"], tuple(stored["logs"]))
        )
        # The newest choice, with all that it depended on, and further ones that were made with it.
        self._newest: tuple[object, Choice | None] | None = None
        self._ahead: list[Choice] = []

    @property
    def paused(self) -> list[int]:
        """The trials that wait, by number."""
        return self._members.paused

    def promote(self, *, last: bool) -> Trial | None:
        """Take up the paused trial that continues, if more is expected of one than of a new trial.

        Args:
            last: No more trials will be started.
        """
        if self._members.queued and not last:
            return None
        choice = self._choice(last=last)
        if choice is None or choice.number is None:
            return None
        member = self._members[choice.number]
        member.state, member.until = "running", choice.until
        trial = attach(self._study, choice.number)
        with writes(trial):
            trial.set_user_attr(attributes.FORECAST, _note(choice))
        resume(trial)
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
        choice = self._choice(last=False)
        if choice is None or choice.number is not None:
            choice = drawn(self._encoding, self._beliefs, self._looks, self._rng("new", number))
        values = self._encoding.values(choice.unit)
        sampler = GivenSampler(values, derive(self._seed, "sampler", number) % 2**32)
        drafted = self._drafts.new(sampler, ())
        refused = None
        try:
            notes: Mapping[str, Any] = prepare(drafted, number)
        except InvalidParametersError as error:
            refused, notes = error, {}
        trial = begin(self._study, drafted, {attributes.FORECAST: _note(choice), **notes})
        self._members.add(snapshot(trial))
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
            self._members.add(snapshot(trial))
            raise InvalidTrialError(trial) from error
        for key, value in notes.items():
            trial.set_user_attr(key, value)
        self._members.add(snapshot(trial))
        return trial

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
        if self._ahead:
            return "pause"  # others were chosen before it had come so far
        choice = self._choice(last=False, stopping=trial.number)
        if choice is None or choice.number != trial.number:
            return "pause"
        member.until = choice.until
        with writes(trial):
            trial.set_user_attr(attributes.FORECAST, _note(choice))
        return "go on"

    def pause(self, trial: Trial) -> None:
        """Let a trial wait at its look."""
        pause(trial)
        self._members[trial.number].state = "paused"
        self._members.note_seconds(snapshot(trial))

    def hopeless(self, to_come: int) -> list[Trial]:
        """Return the paused trials that need not wait any longer.

        Args:
            to_come: How many trials may still be trained, besides those that wait.
        """
        waiting = self.paused
        if to_come == 0 and waiting and self._choice(last=True) is None:
            return [attach(self._study, number) for number in waiting]
        if len(waiting) <= MOST_PAUSED:
            return []
        ends = self._ends(waiting)
        worst = sorted(waiting, key=lambda number: (ends[number], -number))
        most = MOST_PAUSED - SPARE
        return [attach(self._study, number) for number in worst[: len(waiting) - most]]

    def ended(self, number: int, state: TrialState) -> None:
        """Take note that a trial has become final."""
        if self._newest is not None and (choice := self._newest[1]) and choice.number == number:
            self._newest = None
        self._members[number].state = STATES[state]
        with suppress(LostTrialError):  # then it has none
            self._members.note_seconds(snapshot(attach(self._study, number)))

    def _choice(self, *, last: bool, stopping: int | None = None) -> Choice | None:
        """Return what is done next: the same again as long as nothing has happened.

        Args:
            last: No more trials will be started.
            stopping: A running trial that is at its look, and may pause.
        """
        running = self._members.running(stopping)
        key = (self._members.epochs, len(self._members), tuple(running), last)
        if self._newest is not None and self._newest[0] == key:
            return self._newest[1]
        choice = None
        while self._ahead and choice is None:
            first = self._ahead.pop(0)
            choice = first if self._members.is_open(first, last=last) else None
        if choice is None:
            choice = self._decide(last=last, stopping=stopping, running=len(running))
        self._newest = (key, choice)
        return choice

    def _decide(self, *, last: bool, stopping: int | None, running: int) -> Choice | None:
        situation = self._members.situation(
            last=last, stopping=stopping, seconds_left=self._seconds_left()
        )
        if not situation.may_begin and not any(one.paused for one in situation.trials):
            return None
        rng = self._rng("decision", self._members.epochs, len(self._members), running)
        is_early = situation.may_begin and len(self._members) < self._first
        forecasts = None if is_early else self._forecasts()
        if forecasts is None and situation.may_begin:
            return drawn(self._encoding, self._beliefs, self._looks, rng)
        if forecasts is None:
            return self._furthest(situation)
        count = max(1, running // WORKERS_A_CHOICE)
        choices = choose_next(forecasts, situation, self._encoding, self._beliefs, rng, count)
        if choices:
            self._ahead = choices[1:]
            return choices[0]
        nothing = running == 0 and all(one.state != "complete" for one in self._members)
        return self._furthest(situation) if nothing else None

    def _furthest(self, situation: Situation) -> Choice | None:
        """Continue the best of the trials that were trained longest, without a model."""
        waiting = [one for one in situation.trials if one.paused]
        if not waiting:
            return None
        one = max(waiting, key=lambda one: (one.at, one.best, -one.number))
        return Choice(one.number, one.unit, next(look for look in self._looks if look > one.at))

    def _forecasts(self) -> Forecasts | None:
        """Return what the model predicts; its hyperparameters are written when they change."""
        before = self._hyperparameters
        try:
            forecasts, after = self._model.observe(self._members.curves(), before)
        except FitError as error:
            self._say(
                f"The model of training curves cannot be fitted ({error}): choices are random."
            )
            return None
        if after is not None and after != before:
            note = {"rows": after.rows, "logs": list(after.logs)}
            self._study.set_user_attr(attributes.CURVE_MODEL, note)
            self._hyperparameters = after
        return forecasts

    def _ends(self, numbers: list[int]) -> dict[int, float]:
        """Return what trials are predicted to come to; their best scores without a prediction."""
        members = [self._members[number] for number in numbers]
        forecasts = self._forecasts()
        if forecasts is None:
            ends = [max(one.scores.values(), default=0.0) for one in members]
        else:
            features = self._encoding.features(np.array([one.unit for one in members]))
            ends = forecasts.predict(features, np.full(len(members), self._looks[-1]))[0].tolist()
        return dict(zip(numbers, ends, strict=True))

    def _rng(self, *names: str | int) -> np.random.Generator:
        return np.random.default_rng(derive(self._seed, "freeze-thaw", *names))


def _note(choice: Choice) -> dict[str, float]:
    """Return what is kept with a trial about why it continues."""
    forecast = {} if choice.forecast is None else asdict(choice.forecast)
    return {"until": choice.until, **forecast}
