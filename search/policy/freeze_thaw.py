"""The default policy: freeze-thaw Bayesian optimisation (Swersky et al. 2014, arXiv 1406.3896).

Trials pause at looks. One model of all training curves (`curve_model`) decides, every time a worker is
free, whether a paused trial goes on to its next look or a new configuration begins (`choice`), by the
probability that it betters the best within a random amount of time (`acquisition`). So neither a
pruner's fixed shares nor a sampler that knows nothing of paused trials is needed.

A search ends by work: `work.Allowance` says how many epochs so many trials may train. Beginning trials
is spread over it; what is left at last goes to the paused trials with the best predicted ends, each of
which must still fit, so the best one is not left half trained.

Everything that a decision depends on stands in the study: scores, what was begun, the seconds of trials
that paused or ended, the model's hyperparameters. Its random choices are derived from the study's seed
and the number of epochs and trials so far. So a search with one worker that is killed and resumed asks
for what it would have asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from math import isnan
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
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
from search.policy.choice import Choice, Situation, Standing, choose_next, drawn
from search.policy.curve_model import Curve, CurveModel, Forecasts, Hyperparameters
from search.policy.draft_study import Drafts
from search.policy.encoding import Encoding, Floats
from search.policy.gaussian_process import FitError
from search.policy.knowledge import NOTHING, Knowledge
from search.policy.work import Allowance, looks_of
from search.study import attributes
from search.study.trial_states import (
    attach,
    begin,
    is_paused,
    is_queued,
    known,
    pause,
    take_up,
    writes,
)

__all__ = ["MOST_PAUSED", "FreezeThaw"]

MOST_PAUSED = 64
"""Trials that may be paused, each with a checkpoint. Those that are given up first are predicted to end
worst."""
FIRST = 8
"""Trials that are drawn at random before the model is asked."""
FINISH = 2.0
"""Whole trainings before the end of the allowance, from where on only what can be finished goes on."""

WORKERS_A_CHOICE = 8
"""For each 8 running trials, one more choice is made with the same model, so that no worker waits."""
SPREAD = 8
"""Trials that may be started ahead of an even spread over the allowance."""

State = Literal["running", "paused", "complete", "ended", "failed"]


@dataclass
class _Member:
    """What the policy knows of a trial that was begun."""

    unit: Floats
    state: State
    exempt: bool
    scores: dict[int, float] = field(default_factory=dict)
    until: int = 0
    seconds: float | None = None

    @property
    def at(self) -> int:
        """Epochs that it was trained for."""
        return max(self.scores, default=0)


class FreezeThaw(Policy):
    """Goes on with a paused trial or begins a new one, whichever a model expects more of.

    Args:
        study: Where trials are written.
        choose: Asks a trial for the value of each parameter, as an objective of Optuna's does. The
            parameters are found out by calling it with random trials that are not written.
        epochs: Epochs of a whole training.
        seed: Random seed.
        trials: Trials in all, which decide how much is trained; None where somebody else ends the search.
        knowledge: Beliefs and older trainings.
        exempt: Whether a trial is trained to its end whatever it is predicted to come to.
        seconds_left: Seconds until the search must end; None where there is no such limit. Close to it,
            only what can be finished goes on.
        say: Told, in a sentence, when the model cannot be fitted and choices are made without it.
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
        seconds_left: Callable[[], float | None] = lambda: None,
        say: Callable[[str], None] = lambda _notice: None,
    ) -> None:
        self._study = study
        self._seed = seed
        self._exempt = exempt
        self._seconds_left = seconds_left
        self._say = say
        self._looks = looks_of(epochs)
        self._allowance = None if trials is None else Allowance(trials, epochs, self._looks)
        self._encoding = Encoding(choose)
        self._beliefs = Beliefs(self._encoding, knowledge.beliefs)
        self._model = CurveModel(self._encoding, epochs, knowledge.experience)
        self._drafts = Drafts()
        self._members: dict[int, _Member] = {}
        self._queued: list[int] = []
        # The newest choice, with all that it depended on, and further ones that were made with it.
        self._cached: tuple[object, Choice | None] | None = None
        self._ahead: list[Choice] = []
        for trial in study.get_trials(deepcopy=False):
            if is_queued(trial):
                self._queued.append(trial.number)
            else:
                self._add(trial)
        self._exempt_queued = sum(
            exempt(trial) for trial in study.get_trials(deepcopy=False) if is_queued(trial)
        )

    def _add(self, trial: FrozenTrial) -> None:
        state: State = "running"
        if is_paused(trial):
            state = "paused"
        elif trial.state.is_finished():
            state = _STATES[trial.state]
        member = _Member(
            self._encoding.unit(trial.params),
            state,
            self._exempt(trial),
            dict(trial.intermediate_values),
            seconds=_seconds_of(trial),
        )
        if state == "running":
            note = trial.user_attrs.get(attributes.FORECAST) or {}
            # It is asked about again where it stands if it had come to its look when the search was killed.
            look = min(look for look in self._looks if look >= min(member.at, self._looks[-1]))
            member.until = (
                self._looks[-1] if member.exempt else max(look, int(note.get("until", 0)))
            )
        self._members[trial.number] = member

    @property
    def paused(self) -> list[int]:
        """The trials that wait, by number."""
        return [number for number, one in self._members.items() if one.state == "paused"]

    def promote(self, *, last: bool) -> Trial | None:
        """Take up the paused trial that goes on, if one is expected more of than a new one.

        Args:
            last: No more trials will be begun.
        """
        if self._queued and not last:
            return None
        choice = self._choice(last=last)
        if choice is None or choice.number is None:
            return None
        member = self._members[choice.number]
        member.state, member.until = "running", choice.until
        trial = attach(self._study, choice.number)
        with writes(trial):
            trial.set_user_attr(attributes.FORECAST, _note(choice))
        return take_up(self._study, choice.number)

    def ask(self, prepare: Prepare) -> Trial:
        """Begin a trial: one that was enqueued, else the new one that was chosen.

        Args:
            prepare: Chooses all parameters of the trial that it is given, and returns notes about it.

        Raises:
            InvalidTrialError: `prepare` refused what was chosen; the trial is written and running.
        """
        if self._queued:
            trial = take_up(self._study, self._queued.pop(0))
            self._exempt_queued -= self._exempt(known(trial))
            return self.complete(trial, prepare)
        number = len(self._members)
        choice = self._choice(last=False)
        if choice is None or choice.number is not None:
            choice = drawn(self._encoding, self._beliefs, self._looks, self._rng("new", number))
        values = self._encoding.values(choice.unit)
        sampler = _Given(values, derive(self._seed, "sampler", number) % 2**32)
        drafted = self._drafts.new(sampler, ())
        refused = None
        try:
            notes: Mapping[str, Any] = prepare(drafted, number)
        except InvalidParametersError as error:
            refused, notes = error, {}
        trial = begin(self._study, drafted, {attributes.FORECAST: _note(choice), **notes})
        self._add(known(trial))
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
            raise InvalidTrialError(trial) from error
        finally:
            self._add(known(trial))
        for key, value in notes.items():
            trial.set_user_attr(key, value)
        self._add(known(trial))
        return trial

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        """Whether a trial goes on after the last of these epochs.

        Args:
            trial: The trial; the study has its scores.
            scores: Validation accuracy by epoch, all so far.
        """
        member = self._members[trial.number]
        member.scores.update(scores)
        at = member.at
        if member.exempt or at < member.until or at >= self._looks[-1]:
            return "go on"
        if self._ahead:
            return "pause"  # others were chosen before it had come so far
        choice = self._choice(last=False, stopping=trial.number)
        if choice is None or choice.number != trial.number:
            return "pause"
        member.until = choice.until
        trial.set_user_attr(attributes.FORECAST, _note(choice))
        return "go on"

    def pause(self, trial: Trial) -> None:
        """Let a trial wait at its look."""
        pause(trial)
        member = self._members[trial.number]
        member.state, member.until = "paused", member.at
        member.seconds = _seconds_of(known(trial))

    def hopeless(self, to_come: int) -> list[Trial]:
        """Paused trials that need not wait any longer.

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
        return [attach(self._study, number) for number in worst[: len(waiting) - MOST_PAUSED]]

    def ended(self, number: int, state: TrialState) -> None:
        """Take note that a trial has become final."""
        self._cached = None  # it may have been the one that was to go on
        member = self._members[number]
        member.state, member.until = _STATES[state], member.at
        member.seconds = _seconds_of(known(attach(self._study, number)))

    def _choice(self, *, last: bool, stopping: int | None = None) -> Choice | None:
        """What is done next; asked again while nothing has happened, the same.

        Args:
            last: No more trials will be begun.
            stopping: A running trial that is at its look, and may pause.
        """
        running = [n for n, m in self._members.items() if m.state == "running" and n != stopping]
        epochs = sum(len(one.scores) for one in self._members.values())
        key = (epochs, len(self._members), tuple(running), last)
        if self._cached is not None and self._cached[0] == key:
            return self._cached[1]
        while self._ahead and stopping is None:
            ahead = self._ahead.pop(0)
            if self._is_open(ahead, last=last):
                self._cached = (key, ahead)
                return ahead
        choice = self._decided(last=last, stopping=stopping, running=len(running), epochs=epochs)
        self._cached = (key, choice)
        return choice

    def _is_open(self, choice: Choice, *, last: bool) -> bool:
        """Return whether a choice that was made ahead can still be had."""
        if choice.number is None:
            to_begin = 1 if self._allowance is None else self._allowance.trials - len(self._members)
            return not last and to_begin > 0
        member = self._members[choice.number]
        fits = self._allowance is None or choice.until - member.at <= self._left(self._allowance)
        return member.state == "paused" and fits

    def _left(self, allowance: Allowance) -> int:
        """Return the epochs that may still be trained, without those that running trials are let train."""
        exempt = sum(one.exempt for one in self._members.values()) + self._exempt_queued
        used = sum(
            max(one.at, one.until if one.state == "running" else 0)
            for one in self._members.values()
        )
        return allowance.total(exempt) - used

    def _decided(
        self, *, last: bool, stopping: int | None, running: int, epochs: int
    ) -> Choice | None:
        situation = self._situation(last=last, stopping=stopping)
        rng = self._rng("decision", epochs, len(self._members), running)
        waiting = any(one.paused for one in situation.trials)
        if not situation.may_begin and not waiting:
            return None
        if situation.may_begin and len(self._members) < FIRST:
            return drawn(self._encoding, self._beliefs, self._looks, rng)
        forecasts = self._forecasts()
        if forecasts is None:
            if situation.may_begin:
                return drawn(self._encoding, self._beliefs, self._looks, rng)
            return self._furthest(situation)
        count = max(1, running // WORKERS_A_CHOICE)
        choices = choose_next(forecasts, situation, self._encoding, self._beliefs, rng, count)
        if choices:
            self._ahead = choices[1:]
            return choices[0]
        nothing = running == 0 and all(m.state != "complete" for m in self._members.values())
        return self._furthest(situation) if nothing else None

    def _furthest(self, situation: Situation) -> Choice | None:
        """Go on with the best of the trials that were trained longest, without a model."""
        waiting = [one for one in situation.trials if one.paused]
        if not waiting:
            return None
        one = max(waiting, key=lambda one: (one.at, one.best, -one.number))
        return Choice(one.number, one.unit, next(x for x in self._looks if x > one.at))

    def _situation(self, *, last: bool, stopping: int | None) -> Situation:
        trials = [
            Standing(
                number,
                one.unit,
                one.at,
                max(one.until, one.at) if one.state == "running" and number != stopping else one.at,
                one.at < self._looks[-1]
                and (one.state == "paused" or (number == stopping and not one.exempt)),
                max((s for s in one.scores.values() if not isnan(s)), default=0.0),
                one.seconds,
            )
            for number, one in self._members.items()
        ]
        may_begin, most, finish = not last, None, False
        if self._allowance is not None:
            left = self._left(self._allowance)
            to_begin = max(0, self._allowance.trials - len(self._members))
            may_begin = may_begin and to_begin > 0
            most = left - to_begin * self._looks[0] if may_begin else left
            finish = not may_begin and left <= FINISH * self._looks[-1]
            if may_begin and most > 0 and any(one.paused for one in trials):
                may_begin = len(self._members) < self._allowance.begun(left) + SPREAD
        seconds = self._seconds_left()
        usual = np.median([one.seconds for one in trials if one.seconds] or [0.0])
        if seconds is not None and usual > 0.0:
            epochs = int(seconds / usual)
            if epochs <= FINISH * self._looks[-1]:
                may_begin, finish = False, True
                most = epochs if most is None else min(most, epochs)
        return Situation(trials, self._looks, may_begin, most, finish)

    def _forecasts(self) -> Forecasts | None:
        """What the model predicts; its hyperparameters are kept in the study when they change."""
        curves = [
            Curve(one.unit, one.scores, one.state in {"running", "paused"})
            for one in self._members.values()
        ]
        stored = self._study.user_attrs.get(attributes.CURVE_MODEL)
        before = None if stored is None else Hyperparameters(stored["rows"], tuple(stored["logs"]))
        try:
            forecasts, after = self._model.observe(curves, before)
        except FitError as error:
            self._say(
                f"The model of training curves could not be fitted ({error}): choices are random."
            )
            return None
        if after is not None and after != before:
            note = {"rows": after.rows, "logs": list(after.logs)}
            self._study.set_user_attr(attributes.CURVE_MODEL, note)
        return forecasts

    def _ends(self, numbers: list[int]) -> dict[int, float]:
        """What trials are predicted to come to; their best scores where nothing can be predicted."""
        members = [self._members[number] for number in numbers]
        forecasts = self._forecasts()
        if forecasts is None:
            return {
                n: max(m.scores.values(), default=0.0)
                for n, m in zip(numbers, members, strict=True)
            }
        features = self._encoding.features(np.array([one.unit for one in members]))
        ends, _ = forecasts.predict(features, np.full(len(members), self._looks[-1]))
        return dict(zip(numbers, ends.tolist(), strict=True))

    def _rng(self, *names: str | int) -> np.random.Generator:
        return np.random.default_rng(derive(self._seed, "freeze-thaw", *names))


class _Given(BaseSampler):
    """Gives a trial the values that were chosen for it, and random ones for what they lack."""

    def __init__(self, values: Mapping[str, Any], seed: int) -> None:
        self._values = values
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing is chosen together here: the values were."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing, as there is nothing to be chosen together."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The value that was chosen, if the trial asks for one of that kind."""
        if param_name in self._values:
            value = self._values[param_name]
            try:
                if param_distribution._contains(param_distribution.to_internal_repr(value)):  # noqa: SLF001
                    return value
            except ValueError:
                pass  # a choice that this trial does not have
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def _note(choice: Choice) -> dict[str, float]:
    """What is kept with a trial about why it goes on."""
    forecast = {} if choice.forecast is None else asdict(choice.forecast)
    return {"until": choice.until, **forecast}


def _seconds_of(trial: FrozenTrial) -> float | None:
    """Mean seconds of a trial's epochs, as the study keeps them."""
    seconds = trial.user_attrs.get(attributes.TRIAL_SECONDS)
    epochs = len(trial.intermediate_values)
    return None if not seconds or not epochs else float(seconds) / epochs


_STATES: Mapping[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "ended",
    TrialState.FAIL: "failed",
}
