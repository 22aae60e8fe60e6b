"""A decision of a freeze-thaw search as a question and an answer: nothing of a study is read or written.

So another process can find the answer while the one that has the study goes on (`ThinkingProcess`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from search.policy.beliefs import Beliefs
from search.policy.choice import Choice, choose_next
from search.policy.model.curve_model import Curve, CurveModel, Forecasts, Hyperparameters
from search.policy.model.encoding import Encoding
from search.policy.model.gaussian_process import FitError
from search.policy.situation import Situation, Standing

__all__ = ["Answer", "Beside", "Question", "Thinker", "ThinkingEndedError"]


@dataclass(frozen=True)
class Question:
    """A decision to make, and all that it depends on.

    Attributes:
        curves: The trials as the model sees them.
        situation: The trials, and what may be done.
        hyperparameters: Those of the model's last fit, if there was one.
        seed: Of all random choices.
        count: How many choices are wanted.
        ends: The predicted ends of the paused trials are wanted, too.
    """

    curves: Sequence[Curve]
    situation: Situation
    hyperparameters: Hyperparameters | None
    seed: int
    count: int = 1
    ends: bool = False

    def with_trials(self, curves: Sequence[Curve], trials: Sequence[Standing]) -> "Question":
        """Return the same question about other trials."""
        return replace(self, curves=curves, situation=replace(self.situation, trials=trials))


@dataclass(frozen=True)
class Answer:
    """The choices.

    Attributes:
        choices: The choices, in the order in which they are to be taken; empty where nothing is left to
            choose, and where nothing can be predicted.
        hyperparameters: Those that were used.
        predicts: The model could predict something.
        problem: What is wrong with the model, if it could not be fitted.
        ends: What the paused trials are predicted to come to, by number, as scores.
    """

    choices: Sequence[Choice]
    hyperparameters: Hyperparameters | None
    predicts: bool = True
    problem: str | None = None
    ends: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Thinker:
    """Answers questions.

    Attributes:
        model: The model of training curves.
        encoding: Of the configurations.
        beliefs: What is believed about the best one.
    """

    model: CurveModel
    encoding: Encoding
    beliefs: Beliefs

    def answer(self, question: Question) -> Answer:
        """Return what is chosen: always the same for the same question."""
        situation, before = question.situation, question.hyperparameters
        try:
            forecasts, after = self.model.observe(question.curves, before)
        except FitError as error:
            return Answer((), before, predicts=False, problem=str(error))
        if forecasts is None:
            return Answer((), after, predicts=False)
        choices: Sequence[Choice] = ()
        if question.count:
            rng = np.random.default_rng(question.seed)
            choices = choose_next(
                forecasts, situation, self.encoding, self.beliefs, rng, question.count
            )
        ends = self._ends(forecasts, situation) if question.ends else {}
        return Answer(choices, after, ends=ends)

    def _ends(self, forecasts: Forecasts, situation: Situation) -> dict[int, float]:
        waiting = [one for one in situation.trials if one.paused]
        if not waiting:
            return {}
        features = self.encoding.features(np.array([one.unit for one in waiting]))
        last = np.full(len(waiting), situation.looks[-1])
        means = forecasts.predict(features, last)[0].tolist()
        return {one.number: mean for one, mean in zip(waiting, means, strict=True)}


class ThinkingEndedError(Exception):
    """The process beside has ended; the text says how."""


class Beside(Protocol):
    """Finds answers while its caller goes on, one question at a time."""

    def begin(self, thinker: Thinker) -> None:
        """Take what answers the questions; called once, before the first."""

    def ask(self, question: Question) -> None:
        """Begin to think."""

    def answer(self, *, wait: bool) -> Answer | None:
        """Return the answer to the last question; None as long as it is not there.

        Args:
            wait: Wait for it.

        Raises:
            ThinkingEndedError: It will not come.
        """
