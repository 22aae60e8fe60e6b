"""The trials of a freeze-thaw search as its policy remembers them, and what may be done next."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Literal, get_args

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from search.policy.choice import Choice
from search.policy.model.curve_model import Curve
from search.policy.model.encoding import Encoding, Floats
from search.policy.situation import Situation, Standing
from search.policy.work import Allowance
from search.study import attributes
from search.study.trial_states import is_paused, is_queued

__all__ = ["STATES", "EpochCost", "Member", "Members", "State", "seconds_of"]

FINISH = 2.0
"""Whole trainings before the end of the allowance, or of the time, from where on only what can still be
finished continues."""
SPREAD = 8
"""Trials that may be started ahead of an even spread over the allowance, or as many as are running."""

State = Literal["running", "paused", "complete", "ended", "failed"]

EpochCost = Callable[[FrozenTrial], float | None]
"""A function that returns the cost of an epoch of a trial, in any unit; None where that is not known."""


@dataclass
class Member:
    """One trial that was started.

    Attributes:
        unit: (p,) coordinates of its configuration.
        state: The state that it is in.
        exempt: It is trained to its end in any case.
        scores: Validation accuracy by epoch.
        until: The epoch of its next look, while it is running.
        cost: What an epoch of it costs, in any unit; None where that is not known.
        seconds: Mean seconds of its epochs, known once it has paused or ended.
    """

    unit: Floats
    state: State
    exempt: bool
    scores: dict[int, float] = field(default_factory=dict)
    until: int = 0
    cost: float | None = None
    seconds: float | None = None

    @property
    def at(self) -> int:
        """Epochs that it was trained for."""
        return max(self.scores, default=0)

    @property
    def granted(self) -> int:
        """Epochs that it was trained for, or may be trained for before it is asked about again."""
        return max(self.at, self.until) if self.state == "running" else self.at


class Members:
    """All trials that were started, and those that are enqueued.

    Args:
        study: The study they are read from, once.
        encoding: Of their configurations.
        looks: Epochs at which trials may pause, the last a whole training.
        allowance: What may be trained in all; None for no limit.
        exempt: Whether a trial is trained to its end in any case.
        epoch_cost: What an epoch of a trial costs, by its parameters; by default its measured seconds.

    Attributes:
        queued: Numbers of the trials that are enqueued, in order.
    """

    def __init__(
        self,
        study: optuna.Study,
        encoding: Encoding,
        looks: tuple[int, ...],
        allowance: Allowance | None,
        exempt: Callable[[FrozenTrial], bool],
        epoch_cost: EpochCost | None = None,
    ) -> None:
        self._encoding, self._looks = encoding, looks
        self._epoch_cost = epoch_cost or seconds_of
        self._allowance, self._exempt = allowance, exempt
        self._members: dict[int, Member] = {}
        # Counted as things change: they are asked for several times an epoch.
        self._epochs = self._granted = self._exempt_members = 0
        self._in_state: dict[State, dict[int, None]] = {state: {} for state in get_args(State)}
        # Of the trials that change no more.
        self._final: dict[int, tuple[Standing, Curve]] = {}
        trials = study.get_trials(deepcopy=False)
        self.queued = [trial.number for trial in trials if is_queued(trial)]
        self._exempt_queued = {
            trial.number for trial in trials if is_queued(trial) and exempt(trial)
        }
        for trial in trials:
            if not is_queued(trial):
                self.add(trial)

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __getitem__(self, number: int) -> Member:
        return self._members[number]

    def add(self, trial: FrozenTrial) -> None:
        """Remember a trial that was started, as it stands in the study."""
        self._exempt_queued.discard(trial.number)
        if trial.number in self._members:
            self._discount(trial.number)
        state: State = "running"
        if is_paused(trial):
            state = "paused"
        elif trial.state.is_finished():
            state = STATES[trial.state]
        member = Member(
            self._encoding.unit(trial.params),
            state,
            self._exempt(trial),
            dict(trial.intermediate_values),
            cost=self._epoch_cost(trial),
            seconds=seconds_of(trial),
        )
        if member.exempt:
            member.until = self._looks[-1]
        else:
            # Where it was interrupted at its look, it is asked about there again.
            look = next((one for one in self._looks if one >= member.at), self._looks[-1])
            note = trial.user_attrs.get(attributes.FORECAST) or {}
            member.until = max(look, int(note.get("until", 0)))
        self._members[trial.number] = member
        self._count(trial.number)

    def put(self, number: int, state: State, until: int | None = None) -> None:
        """Put a trial into a state, and remember the epoch of its next look if that changes."""
        self._discount(number)
        member = self._members[number]
        member.state = state
        if until is not None:
            member.until = until
        self._count(number)

    def _discount(self, number: int) -> None:
        """Take a trial that is about to change out of what is counted."""
        member = self._members[number]
        self._final.pop(number, None)
        del self._in_state[member.state][number]
        self._epochs -= len(member.scores)
        self._granted -= member.granted
        self._exempt_members -= member.exempt

    def _count(self, number: int) -> None:
        member = self._members[number]
        self._in_state[member.state][number] = None
        self._epochs += len(member.scores)
        self._granted += member.granted
        self._exempt_members += member.exempt

    def note_seconds(self, trial: FrozenTrial) -> None:
        """Remember what the epochs of a trial that paused or ended have taken."""
        self._final.pop(trial.number, None)
        member = self._members[trial.number]
        member.seconds = seconds_of(trial)
        if self._epoch_cost is seconds_of:  # another says the same of a trial at all times
            member.cost = member.seconds

    @property
    def paused(self) -> list[int]:
        """Numbers of the trials that wait."""
        return sorted(self._in_state["paused"])

    @property
    def has_complete(self) -> bool:
        """A trial was trained to its end."""
        return bool(self._in_state["complete"])

    def running(self, stopping: int | None = None) -> list[int]:
        """Return the numbers of the trials that are being trained, but for `stopping`."""
        return [number for number in self._in_state["running"] if number != stopping]

    def note_scores(self, number: int, scores: Mapping[int, float]) -> None:
        """Remember the scores of a trial, by epoch; some may be known already."""
        self._discount(number)
        self._members[number].scores.update(scores)
        self._count(number)

    @property
    def epochs(self) -> int:
        """Epochs that were trained, over all trials."""
        return self._epochs

    def curves(self) -> list[Curve]:
        """Return the trials as the model sees them."""
        return [self._seen(number, None)[1] for number in self._members]

    def situation(
        self, *, last: bool, stopping: int | None, seconds_left: float | None
    ) -> Situation:
        """Return what may be done next.

        Args:
            last: No more trials will be started.
            stopping: A running trial that is at its look, and may pause.
            seconds_left: Seconds until the search must end; None where there is no such limit.
        """
        trials = [self._seen(number, stopping)[0] for number in self._members]
        may_begin, most, finish = not last, None, False
        if self._allowance is not None:
            left = self._left(self._allowance)
            to_begin = max(0, self._allowance.trials - len(self))
            may_begin = may_begin and to_begin > 0
            # What is not started yet must still get its first look.
            most = left - to_begin * self._looks[0] if may_begin else left
            finish = not may_begin and left <= FINISH * self._looks[-1]
            if may_begin and most > 0 and any(one.paused for one in trials):
                ahead = max(SPREAD, len(self._in_state["running"]))
                may_begin = len(self) < self._allowance.begun(left) + ahead
        usual = 0.0
        if seconds_left is not None:
            usual = np.median([one.seconds for one in self if one.seconds] or [0.0])
        if seconds_left is not None and usual > 0.0:
            epochs = int(seconds_left / usual)
            if epochs <= FINISH * self._looks[-1]:
                may_begin, finish = False, True
                most = epochs if most is None else min(most, epochs)
        return Situation(trials, self._looks, may_begin, most, finish)

    def is_open(self, choice: Choice, *, last: bool) -> bool:
        """Return whether a choice that was made some time ago can still be had."""
        if choice.number is None:
            return not last and (self._allowance is None or len(self) < self._allowance.trials)
        member = self._members[choice.number]
        left = None if self._allowance is None else self._left(self._allowance)
        return member.state == "paused" and (left is None or choice.until - member.at <= left)

    def _left(self, allowance: Allowance) -> int:
        """Return the epochs that may be trained beyond those that running trials are granted."""
        exempt = self._exempt_members + len(self._exempt_queued)
        return allowance.total(exempt) - self._granted

    def _seen(self, number: int, stopping: int | None) -> tuple[Standing, Curve]:
        """Return what a decision depends on of a trial; the same objects as long as they are final."""
        if number in self._final:
            return self._final[number]
        member = self._members[number]
        is_open = member.state in {"running", "paused"}
        seen = self._current(number, member, stopping), Curve(member.unit, member.scores, is_open)
        if not is_open:
            self._final[number] = seen
        return seen

    def _current(self, number: int, member: Member, stopping: int | None) -> Standing:
        at = member.at
        paused = member.state == "paused" or (number == stopping and not member.exempt)
        return Standing(
            number,
            member.unit,
            at,
            at if number == stopping else member.granted,
            paused and at < self._looks[-1],
            max((one for one in member.scores.values() if not isnan(one)), default=0.0),
            member.cost,
        )


def seconds_of(trial: FrozenTrial) -> float | None:
    """Return the mean seconds of a trial's epochs, as the study keeps them; None where it does not."""
    seconds = trial.user_attrs.get(attributes.TRIAL_SECONDS)
    epochs = len(trial.intermediate_values)
    return None if not seconds or not epochs else float(seconds) / epochs


STATES: Mapping[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "ended",
    TrialState.FAIL: "failed",
}
