"""Choices that are made beside the search, ahead of the workers that will need them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from search.policy.beside.thinking import Answer, Beside, Question, Thinker, ThinkingEndedError
from search.policy.choice import Choice
from search.policy.situation import Situation, Standing

__all__ = ["ChoicesAhead", "with_choices"]

LEFT, SURE = 1 / 2, 1 / 4
"""Choices that are left when others are asked for, and those of them that stand when the others come, for
each trial of the most that were running side by side."""
MOST = 256
"""Choices that are asked for at a time, at most."""


class ChoicesAhead:
    """A list of choices that is filled up in time by what thinks beside.

    There is one for each running trial, and when half are left, others are asked for. The next few count as
    trials that run then, as they will be taken meanwhile; the rest gives way to the answer.

    Args:
        beside: What thinks.
        thinker: Answers its questions.
        say: Told, in a sentence, when it has ended.

    Attributes:
        choices: The choices, in the order in which they are to be taken.
        asked: It is thinking.
    """

    def __init__(self, beside: Beside, thinker: Thinker, say: Callable[[str], None]) -> None:
        self._beside, self._say = beside, say
        self.choices: list[Choice] = []
        self.asked = False
        self.works = True
        self._most_running = 0
        self._sure: Sequence[Choice] = ()
        beside.begin(thinker)

    def take(self) -> Choice | None:
        """Return the first choice, which is no longer in the list; None if there is none."""
        if not self.choices:
            return None
        return self.choices.pop(0)

    def hear(self, *, wait: bool) -> Answer | None:
        """Return an answer that has come since, after adding its choices.

        Args:
            wait: Wait for it, if there was a question.
        """
        if not self.asked:
            return None
        try:
            answer = self._beside.answer(wait=wait)
        except ThinkingEndedError as error:
            self.works = self.asked = False
            self._say(
                f"The process that chooses ahead was {error}: choices are made without it, which keeps "
                "fewer workers busy."
            )
            return None
        if answer is not None:
            self.asked = False
            sure = {id(one) for one in self._sure}
            self.choices = [one for one in self.choices if id(one) in sure]
            self.choices += answer.choices
        return answer

    def ask(self, running: int, question: Callable[[int, Sequence[Choice]], Question]) -> None:
        """Ask for other choices if it is time to.

        Args:
            running: Trials that are being trained.
            question: Makes the question, from the number of choices that are wanted, and those that will be
                taken meanwhile.
        """
        self._most_running = most = max(self._most_running, running)
        if not self.asked and self.works and len(self.choices) <= LEFT * most:
            self._sure = self.choices[: round(SURE * most)]
            self._beside.ask(question(min(MOST, most), self._sure))
            self.asked = True


def with_choices(situation: Situation, choices: Sequence[Choice]) -> Situation:
    """Return the situation as it will be when these choices were taken."""
    resumed = {one.number: one for one in choices if one.number is not None}
    trials = [
        replace(one, until=resumed[one.number].until, paused=False)
        if one.number in resumed
        else one
        for one in situation.trials
    ]
    begun = [
        Standing(-1, np.asarray(one.unit), 0, one.until, paused=False, best=0.0, cost=None)
        for one in choices
        if one.number is None
    ]
    return replace(situation, trials=[*trials, *begun])
