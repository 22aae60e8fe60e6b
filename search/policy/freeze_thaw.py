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

With many workers, choices are made ahead, in another process if there is one (`choices_ahead`): what is
chosen next does not wait for a decision, which takes longer than all else.
"""

from collections.abc import Callable, Mapping, Sequence
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
from search.policy.choice import Choice, drawn
from search.policy.choices_ahead import ChoicesAhead, with_choices
from search.policy.draft_study import Drafts
from search.policy.given_sampler import GivenSampler
from search.policy.knowledge import NOTHING, Knowledge
from search.policy.members import STATES, EpochCost, Members
from search.policy.model.curve_model import CurveModel, Hyperparameters
from search.policy.model.encoding import NO_ZEROS, Encoding
from search.policy.situation import Situation
from search.policy.thinking import Answer, Beside, Question, Thinker
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
WORKERS_A_CHOICE = 2
"""For each 2 running trials, one more choice is made with the same model, so that no worker waits."""
BESIDE = 8
"""Running trials from which on choices are made beside."""


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
        self._seconds_left, self._say = seconds_left, say
        self._looks = looks_of(epochs)
        self._encoding = Encoding(choose, zero_below)
        self._beliefs = Beliefs(self._encoding, knowledge.beliefs)
        model = CurveModel(self._encoding, epochs, knowledge.experience)
        self._thinker = Thinker(model, self._encoding, self._beliefs)
        self._beside = beside
        self._ahead_beside: ChoicesAhead | None = None
        self._ends_beside: Mapping[int, float] = {}
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
        self._trials: dict[
            int, Trial
        ] = {}  # those under way or paused, as far as this process has them

    @property
    def paused(self) -> list[int]:
        """The trials that wait, by number."""
        return self._members.paused

    def ready(self, *, wait: bool = False) -> bool:
        """Return whether a trial can be had without a long thought.

        Args:
            wait: Wait until that is so.
        """
        ahead = self._used_beside()
        if ahead is None or self._members.queued:
            return True
        while True:
            answer = ahead.hear(wait=wait)
            if answer is not None:
                self._note(answer)
                self._ends_beside = answer.ends
            while ahead.choices and not self._members.is_open(ahead.choices[0], last=False):
                ahead.choices.pop(0)
            ahead.ask(len(self._members.running()), self._question_beside)
            # Where nothing was found, nothing is open, which is an answer, too.
            is_ready = bool(ahead.choices) or answer is not None or not ahead.works
            if is_ready or not wait:
                return is_ready

    def _used_beside(self) -> ChoicesAhead | None:
        """Return the choices that are made beside, if they are to be used now."""
        if self._beside is None or len(self._members) < max(self._first, BESIDE):
            return None
        if len(self._members.running()) < BESIDE:
            return None
        if self._ahead_beside is None:
            self._ahead_beside = ChoicesAhead(self._beside, self._thinker, self._say)
        return self._ahead_beside if self._ahead_beside.works else None

    def _question_beside(self, count: int, taken: Sequence[Choice]) -> Question:
        situation = self._members.situation(
            last=False, stopping=None, seconds_left=self._seconds_left()
        )
        return Question(
            self._members.curves(),
            with_choices(situation, taken),
            self._hyperparameters,
            self._seed_of("beside", self._members.epochs, len(self._members)),
            count,
            ends=True,
        )

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
        if self._ahead or self._used_beside() is not None:
            return "pause"  # others were chosen before it had come so far
        choice = self._choice(last=False, stopping=trial.number)
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
        if to_come == 0 and waiting and self._choice(last=True) is None:
            return [self._trial(number) for number in waiting]
        running = len(self._members.running())
        most = max(MOST_PAUSED, running)
        if len(waiting) <= most:
            return []
        ends = self._ends(waiting)
        worst = sorted(ends, key=lambda number: (ends[number], -number))
        return [self._trial(number) for number in worst[: len(waiting) - most + SPARE]]

    def ended(self, number: int, state: TrialState) -> None:
        """Take note that a trial has become final."""
        if self._newest is not None and (choice := self._newest[1]) and choice.number == number:
            self._newest = None
        self._members.put(number, STATES[state])
        with suppress(LostTrialError):  # then it has none
            self._members.note_seconds(snapshot(self._trial(number)))
        self._trials.pop(number, None)

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
        if choice is None and not last and (beside := self._used_beside()) is not None:
            choice = beside.take()
        elif choice is None:
            choice = self._decide(last=last, stopping=stopping, running=len(running))
        self._newest = (key, choice)
        return choice

    def _decide(self, *, last: bool, stopping: int | None, running: int) -> Choice | None:
        situation = self._members.situation(
            last=last, stopping=stopping, seconds_left=self._seconds_left()
        )
        if not situation.may_begin and not any(one.paused for one in situation.trials):
            return None
        seed = self._seed_of("decision", self._members.epochs, len(self._members), running)
        is_early = situation.may_begin and len(self._members) < self._first
        count = max(1, running // WORKERS_A_CHOICE)
        answer = None if is_early else self._answer(situation, seed, count)
        if (answer is None or not answer.predicts) and situation.may_begin:
            rng = np.random.default_rng(seed)
            return drawn(self._encoding, self._beliefs, self._looks, rng)
        if answer is None or not answer.predicts:
            return self._furthest(situation)
        if answer.choices:
            self._ahead = list(answer.choices[1:])
            return answer.choices[0]
        nothing = running == 0 and not self._members.has_complete
        return self._furthest(situation) if nothing else None

    def _furthest(self, situation: Situation) -> Choice | None:
        """Continue the best of the trials that were trained longest, without a model."""
        waiting = [one for one in situation.trials if one.paused]
        if not waiting:
            return None
        one = max(waiting, key=lambda one: (one.at, one.best, -one.number))
        return Choice(one.number, one.unit, next(look for look in self._looks if look > one.at))

    def _answer(self, situation: Situation, seed: int, count: int, *, ends: bool = False) -> Answer:
        """Return what is chosen; the model's hyperparameters are written when they change."""
        curves, known = self._members.curves(), self._hyperparameters
        answer = self._thinker.answer(Question(curves, situation, known, seed, count, ends))
        self._note(answer)
        return answer

    def _note(self, answer: Answer) -> None:
        after = answer.hyperparameters
        if answer.problem is not None:
            self._say(
                f"The model of training curves cannot be fitted ({answer.problem}): choices are random."
            )
        if after is not None and after != self._hyperparameters:
            note = {"rows": after.rows, "logs": list(after.logs)}
            self._study.set_user_attr(attributes.CURVE_MODEL, note)
            self._hyperparameters = after

    def _ends(self, numbers: list[int]) -> Mapping[int, float]:
        """Return what trials are predicted to come to; their best scores without a prediction.

        With choices that are made beside, these are the newest predictions, and some have none yet.
        """
        if self._used_beside() is not None:
            found = self._ends_beside
            return {number: found[number] for number in numbers if number in found}
        situation = self._members.situation(last=True, stopping=None, seconds_left=None)
        answer = self._answer(situation, 0, 0, ends=True)
        if answer.predicts:
            return answer.ends
        return {
            number: max(self._members[number].scores.values(), default=0.0) for number in numbers
        }

    def _seed_of(self, *names: str | int) -> int:
        return derive(self._seed, "freeze-thaw", *names)

    def _rng(self, *names: str | int) -> np.random.Generator:
        return np.random.default_rng(self._seed_of(*names))


def _kept(choice: Choice) -> dict[str, float]:
    """Return what is kept with a trial about why it continues."""
    forecast = {} if choice.forecast is None else asdict(choice.forecast)
    return {"until": choice.until, **forecast}
