"""The decisions of a freeze-thaw search: made when they are needed, or ahead, by what thinks beside."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optuna

from cifar_core.seeds import derive
from search.policy.beside.choices_ahead import ChoicesAhead, with_choices
from search.policy.beside.thinking import Answer, Beside, Question, Thinker
from search.policy.choice import Choice, drawn
from search.policy.members import Members
from search.policy.model.curve_model import Hyperparameters
from search.policy.situation import Situation
from search.study import attributes

__all__ = ["Decisions"]

WORKERS_A_CHOICE = 2
"""For each 2 running trials, one more choice is made with the same model, so that no worker waits."""
BESIDE = 8
"""Running trials from which on choices are made beside."""


class Decisions:
    """Makes choices, and keeps those that were made ahead.

    Args:
        study: Has the hyperparameters of the model's last fit, and gets new ones.
        members: The trials.
        thinker: Makes the choices.
        looks: Epochs at which trials may pause, the last a whole training.
        seed: Random seed.
        first: Trials that are drawn at random before the model is asked.
        seconds_left: Seconds until the search must end; None where there is no such limit.
        say: Told, in a sentence, when the model cannot be fitted and choices are made without it.
        beside: Finds choices while this goes on; None where nothing does.
    """

    def __init__(
        self,
        study: optuna.Study,
        members: Members,
        thinker: Thinker,
        looks: Sequence[int],
        *,
        seed: int,
        first: int,
        seconds_left: Callable[[], float | None],
        say: Callable[[str], None],
        beside: Beside | None,
    ) -> None:
        self._study, self._members, self._thinker, self._looks = study, members, thinker, looks
        self._seed, self._first, self._seconds_left, self._say = seed, first, seconds_left, say
        stored = study.user_attrs.get(attributes.CURVE_MODEL)
        self._hyperparameters = (
            None if stored is None else Hyperparameters(stored["rows"], tuple(stored["logs"]))
        )
        # The newest choice, with all that it depended on, and further ones that were made with it.
        self._newest: tuple[object, Choice | None] | None = None
        self._ahead: list[Choice] = []
        self._beside = beside
        self._ahead_beside: ChoicesAhead | None = None
        self._ends_beside: Mapping[int, float] = {}

    @property
    def are_ahead(self) -> bool:
        """Choices are made already, or are being made beside."""
        return bool(self._ahead) or self._used_beside() is not None

    def forget(self, number: int) -> None:
        """Take note that a trial has become final."""
        if self._newest is not None and (choice := self._newest[1]) and choice.number == number:
            self._newest = None

    def ready(self, *, wait: bool = False) -> bool:
        """Return whether a trial can be had without a long thought.

        Args:
            wait: Wait until that is so.
        """
        ahead = self._used_beside()
        if ahead is None:
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

    def choice(self, *, last: bool, stopping: int | None = None) -> Choice | None:
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
            return drawn(self._thinker.encoding, self._thinker.beliefs, self._looks, rng)
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

    def ends(self, numbers: list[int]) -> Mapping[int, float]:
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
