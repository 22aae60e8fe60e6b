"""The model of training curves: what it predicts, what it keeps, and what older studies add."""

from typing import Any

import numpy as np
import pytest
from optuna.trial import Trial

from search.policy.knowledge import ExperienceRecord
from search.policy.model.curve_model import MOST_ROWS, Curve, CurveModel, Hyperparameters
from search.policy.model.encoding import Encoding

EPOCHS = 12


def choose(trial: Trial) -> None:
    for name in ("x", "y", "z"):
        trial.suggest_float(name, 0.0, 1.0)


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    return Encoding(choose)


def accuracy(unit: Any, epoch: int) -> float:
    return float(0.1 + (0.8 - abs(unit[0] - 0.7)) * (1 - 0.6 / epoch**0.7))


def curves(count: int, seed: int, epochs: tuple[int, ...]) -> list[Curve]:
    units = np.random.default_rng(seed).random((count, 3))
    return [Curve(unit, {one: accuracy(unit, one) for one in epochs}) for unit in units]


def rank_correlation(left: Any, right: Any) -> float:
    ranks = [np.argsort(np.argsort(one)) for one in (left, right)]
    return float(np.corrcoef(*ranks)[0, 1])


def test_ends_are_predicted_from_first_looks_and_a_few_ends(encoding: Encoding) -> None:
    model = CurveModel(encoding, EPOCHS)
    seen = curves(25, 0, (1,)) + curves(5, 1, (1, 2, 3, 6, 12))
    forecasts, known = model.observe(seen, None)
    assert forecasts is not None
    assert known is not None
    asked = np.random.default_rng(2).random((60, 3))
    mean, deviation = forecasts.predict(encoding.features(asked), np.full(60, EPOCHS))
    ends = [accuracy(unit, EPOCHS) for unit in asked]
    assert rank_correlation(mean, ends) > 0.9
    assert (deviation > 0).all()
    later = forecasts.predict(encoding.features(asked[:1]), np.array([EPOCHS]))[0][0]
    first = forecasts.predict(encoding.features(asked[:1]), np.array([1]))[0][0]
    assert later > first
    for score, seen in zip(forecasts.scores, forecasts.accuracies, strict=True):
        assert forecasts.accuracy(score) == pytest.approx(seen)
    best = forecasts.scores.max()
    assert forecasts.accuracies.max() < forecasts.accuracy(best + 0.5) < 1.0
    assert (forecasts.accuracy(-99.0), forecasts.accuracy(99.0)) == (0.0, 1.0)


def test_hyperparameters_are_fitted_anew_only_when_there_are_many_more_scores(
    encoding: Encoding,
) -> None:
    model = CurveModel(encoding, EPOCHS)
    _, first = model.observe(curves(20, 0, (1, 2)), None)
    assert first is not None
    assert model.observe(curves(21, 0, (1, 2)), first)[1] == first
    _, later = model.observe(curves(30, 0, (1, 2)), first)
    assert later != first
    assert model.observe(curves(30, 0, (1, 2)), Hyperparameters(60, (0.0,)))[1] != first


def test_too_little_to_learn_from_predicts_nothing(encoding: Encoding) -> None:
    model = CurveModel(encoding, EPOCHS)
    assert model.observe(curves(3, 0, (1,)), None) == (None, None)
    same = [Curve(unit, {1: 0.1}) for unit in np.random.default_rng(0).random((9, 3))]
    assert model.observe(same, None)[0] is None


def test_what_is_no_number_counts_as_the_worst(encoding: Encoding) -> None:
    model = CurveModel(encoding, EPOCHS)
    seen = curves(12, 0, (1, 2))
    broken = Curve(seen[0].unit, {1: float("nan"), 2: float("nan")})
    forecasts, _ = model.observe([broken, *seen[1:]], None)
    assert forecasts is not None
    assert np.isfinite(forecasts.scores).all()
    assert forecasts.scores[:2].max() <= forecasts.scores[2:].min()


def test_of_too_many_scores_the_best_and_those_of_open_trials_are_used(encoding: Encoding) -> None:
    model = CurveModel(encoding, EPOCHS)
    many = curves(MOST_ROWS, 0, (1, 2))
    worst = min(range(len(many)), key=lambda n: many[n].scores[2])
    many[worst] = Curve(many[worst].unit, many[worst].scores, open=True)
    fixed = Hyperparameters(10**6, tuple(model.prior.mean))
    forecasts, _ = model.observe(many, fixed)
    assert forecasts is not None
    used = forecasts.posterior.points
    assert len(used) == MOST_ROWS
    kept = {tuple(row) for row in used.configurations}
    best = max(many, key=lambda one: one.scores[2])
    for curve in (best, many[worst]):
        assert tuple(encoding.features(curve.unit[None])[0]) in kept


def records(sign: float) -> list[ExperienceRecord]:
    """Forty trainings of another task, in which what is good here is good (1) or bad (-1)."""
    found = []
    for unit in np.random.default_rng(5).random((40, 3)):
        own = sign * accuracy(unit, EPOCHS)
        values = dict(zip("xyz", (float(one) for one in unit), strict=True))
        found.append(ExperienceRecord("old", values, {1: 0.1 + own / 50, 3: 0.3 + own / 4}, 3))
    return found


def test_older_studies_teach_what_carries_over_and_no_more(encoding: Encoding) -> None:
    """With five first looks of its own, a shifted and scaled task helps; a reversed one hardly harms."""
    asked = np.random.default_rng(6).random((80, 3))
    ends = [accuracy(unit, EPOCHS) for unit in asked]
    found = []
    for experience in ([], records(1.0), records(-1.0)):
        forecasts, _ = CurveModel(encoding, EPOCHS, experience).observe(curves(5, 0, (1,)), None)
        assert forecasts is not None
        mean, _ = forecasts.predict(encoding.features(asked), np.full(80, EPOCHS))
        found.append(rank_correlation(mean, ends))
    alone, alike, reversed_ = found
    assert alike > 0.97 > alone
    assert reversed_ > alone - 0.1


def test_without_own_scores_experience_alone_predicts_nothing(encoding: Encoding) -> None:
    model = CurveModel(encoding, EPOCHS, records(1.0))
    assert model.observe([], None) == (None, None)
