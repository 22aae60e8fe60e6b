"""Choices that are made beside: renewed in time, the same as here, and made here where nothing is there."""

import math
import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import Trial, TrialState

from search.policy import run_search
from search.policy.beliefs import Beliefs
from search.policy.beside.thinking import Answer, Question, Thinker, ThinkingEndedError
from search.policy.beside.thinking_process import ThinkingProcess
from search.policy.factory import default_policy
from search.policy.model.curve_model import Curve, CurveModel
from search.policy.model.encoding import Encoding
from search.policy.model.tabled_forecasts import TabledForecasts
from search.policy.situation import Situation, Standing
from search.policy.work import looks_of

EPOCHS = 6


def choose(trial: Trial) -> Mapping[str, Any]:
    return {"x": trial.suggest_float("x", 0.0, 1.0), "y": trial.suggest_float("y", 0.0, 1.0)}


def worth(x: float, y: float, epoch: int) -> float:
    return (1.0 - (x - 0.7) ** 2 - (y - 0.2) ** 2) * (1.0 - math.exp(-epoch))


def curve(values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    for epoch in range(1, EPOCHS + 1):
        yield epoch, worth(values["x"], values["y"], epoch)


def thinker() -> Thinker:
    encoding = Encoding(choose)
    return Thinker(CurveModel(encoding, EPOCHS), encoding, Beliefs(encoding, {}))


def question(trials: int, count: int = 5) -> Question:
    """About paused trials at their first look, of which every third is running."""
    units = np.random.default_rng(0).random((trials, 2))
    looks = looks_of(EPOCHS)
    standings = [
        Standing(number, unit, 1, 1 + (number % 3 == 0), number % 3 != 0, 0.5, cost=1.0)
        for number, unit in enumerate(units)
    ]
    curves = [Curve(unit, {1: worth(*unit, 1)}, open=True) for unit in units]
    situation = Situation(standings, looks, may_begin=True)
    return Question(curves, situation, None, seed=1, count=count, ends=True)


class Beside:
    """Thinks at once, and tells only after so many times of asking; ends after so many answers."""

    def __init__(self, delay: int = 3, answers: float = math.inf) -> None:
        self.questions: list[Question] = []
        self._delay, self._left, self._answers = delay, 0, answers

    def begin(self, thinker: Thinker) -> None:
        self._thinker = thinker

    def ask(self, question: Question) -> None:
        self.questions.append(question)
        self._left = self._delay

    def answer(self, *, wait: bool) -> Answer | None:
        if len(self.questions) > self._answers:
            raise ThinkingEndedError("killed by SIGKILL")
        self._left = 0 if wait else self._left - 1
        return None if self._left > 0 else self._thinker.answer(self.questions[-1])


def searched(
    beside: Beside | None, workers: int, said: list[str], trials: int = 60
) -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    policy = default_policy(
        study, choose=choose, epochs=EPOCHS, seed=0, trials=trials, say=said.append, beside=beside
    )
    seen = run_search(
        policy, study, choose=choose, train=curve, epochs=EPOCHS, trials=trials, workers=workers
    )
    assert len({(one.trial, one.epoch) for one in seen}) == len(seen)
    assert len(study.trials) == trials
    assert {one.state for one in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    return study


def test_many_workers_get_choices_that_were_made_beside() -> None:
    beside, said = Beside(), list[str]()
    study = searched(beside, 16, said)
    assert said == []
    assert len(beside.questions) > 5
    values = [worth(**one.params, epoch=EPOCHS) for one in study.trials]
    assert np.mean(values[-20:]) > np.mean(values[:16]) + 0.1
    standing = [one for asked in beside.questions for one in asked.situation.trials]
    assert any(one.number < 0 for one in standing), "what will be begun meanwhile counts as running"


def test_few_workers_are_served_as_if_nothing_thought_beside() -> None:
    beside = Beside()
    params = [one.params for one in searched(beside, 3, [], trials=18).trials]
    assert params == [one.params for one in searched(None, 3, [], trials=18).trials]
    assert beside.questions == []


def test_a_search_goes_on_without_what_thought_beside() -> None:
    said: list[str] = []
    searched(Beside(answers=2), 16, said, trials=30)
    assert len(said) == 1
    assert "killed by SIGKILL" in said[0]


def test_a_process_answers_as_this_one_and_is_sent_only_what_has_changed() -> None:
    own = thinker()
    first = question(12)
    second = question(14)
    # The first trials are the same objects, as those are that change no more.
    second = second.with_trials(
        [*first.curves[:6], *second.curves[6:]],
        [*first.situation.trials[:6], *second.situation.trials[6:]],
    )
    with ThinkingProcess() as beside:
        beside.begin(own)
        for asked in (first, second):
            beside.ask(asked)
            answer, expected = beside.answer(wait=True), own.answer(asked)
            assert answer is not None
            assert len(answer.choices) == 5
            assert [one.unit.tolist() for one in answer.choices] == [
                one.unit.tolist() for one in expected.choices
            ]
            assert answer.ends == expected.ends != {}
        process = beside._process
        assert process is not None
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        beside.ask(first)
        with pytest.raises(ThinkingEndedError, match="killed by SIGKILL"):
            beside.answer(wait=True)


def test_several_choices_are_those_that_one_after_the_other_would_be() -> None:
    """Believing in a table is the rank-one form of growing the Cholesky factor."""
    own, asked = thinker(), question(20)
    forecasts, _ = own.model.observe(asked.curves, None)
    assert forecasts is not None
    features = own.encoding.features(np.random.default_rng(1).random((7, 2)))
    looks, ends = np.full(7, 2), np.full(7, EPOCHS)
    table = TabledForecasts(forecasts, features, [looks, ends])
    for row in (3, 5, 3):
        table.believe(row, 2)
        forecasts = forecasts.believing(features[row : row + 1], looks[:1])
    for epochs in (looks, ends):
        for found, expected in zip(
            table.predict(features, epochs), forecasts.predict(features, epochs), strict=True
        ):
            assert found == pytest.approx(expected, abs=1e-5)
