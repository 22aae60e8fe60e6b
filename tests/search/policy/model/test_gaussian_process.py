"""The Gaussian process: its gradient, what it predicts, and what it does where it cannot be fitted."""

import numpy as np
import pytest

from search.policy.model.gaussian_process import (
    FitError,
    Points,
    Posterior,
    Prior,
    fit,
    log_density,
)

GROUPS = np.array([0, 1, 1, 2])


def made(n: int = 30, seed: int = 0, tasks: int = 2) -> tuple[Points, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, t = rng.random((n, len(GROUPS))), rng.random((n, 1))
    scores = np.sin(3 * x[:, 0]) + t[:, 0] + 0.05 * rng.standard_normal(n)
    return Points(x, t, rng.integers(tasks, size=n)), (scores - scores.mean()) / scores.std()


def test_the_gradient_is_that_of_the_density() -> None:
    points, scores = made()
    prior = Prior(GROUPS, 1)
    logs = prior.mean + 0.3 * np.random.default_rng(1).standard_normal(len(prior.mean))
    _, gradient = log_density(logs, points, scores, prior)
    for place in range(len(logs)):
        step = np.zeros_like(logs)
        step[place] = 1e-5
        above, below = (log_density(logs + s, points, scores, prior)[0] for s in (step, -step))
        assert gradient[place] == pytest.approx((above - below) / 2e-5, abs=1e-4), place


def test_a_fit_finds_which_feature_matters_and_predicts_what_was_held_out() -> None:
    points, scores = made(80, tasks=1)
    prior = Prior(GROUPS, 1)
    seen, held = np.arange(60), np.arange(60, 80)
    logs = fit(points[seen], scores[seen], prior, prior.mean, 50)
    assert (
        log_density(logs, points[seen], scores[seen], prior)[0]
        < (log_density(prior.mean, points[seen], scores[seen], prior)[0])
    )
    assert logs[0] < logs[1] - 0.3
    assert logs[0] < logs[2] - 0.3
    mean, deviation = Posterior.condition(points[seen], scores[seen], prior, logs).predict(
        points[held]
    )
    assert np.abs(mean - scores[held]).max() < 0.4
    assert (deviation > 0).all()


def test_a_believed_point_loses_its_uncertainty_and_moves_no_prediction() -> None:
    points, scores = made(20, tasks=1)
    prior = Prior(GROUPS, 1)
    posterior = Posterior.condition(points, scores, prior, prior.mean)
    asked, _ = made(10, seed=5, tasks=1)
    before = posterior.predict(asked)
    after = posterior.believing(asked[np.arange(3)]).predict(asked)
    np.testing.assert_allclose(after[0], before[0], atol=1e-6)
    assert (after[1][:3] < 0.75 * before[1][:3]).all()
    assert (after[1] <= before[1] + 1e-9).all()


def test_scores_of_another_task_count_as_much_as_the_tasks_are_alike() -> None:
    points, scores = made(40, tasks=1)
    prior = Prior(GROUPS, 1)
    old = Points(points.configurations, points.progress, np.ones(40, dtype=np.int64))
    spreads = []
    for odds in (-3.0, 3.0):
        logs = prior.mean
        logs[-1] = odds
        mean, _ = Posterior.condition(old, scores, prior, logs).predict(points)
        spreads.append(mean.std())
    assert spreads[0] < 0.1 < 0.6 < spreads[1]


def test_equal_points_and_a_thousandfold_scale_are_no_trouble() -> None:
    points, scores = made(10, tasks=1)
    same = points[np.zeros(50, dtype=np.int64)]
    prior = Prior(GROUPS, 1)
    logs = fit(same, 1e3 * scores[np.arange(50) % 10], prior, prior.mean, 20)
    mean, deviation = Posterior.condition(same, scores[np.arange(50) % 10], prior, logs).predict(
        same
    )
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()


def test_what_cannot_be_factored_says_so() -> None:
    points, scores = made(5, tasks=1)
    prior = Prior(GROUPS, 1)
    with pytest.raises(FitError, match="not positive definite"):
        Posterior.condition(points, scores, prior, np.full(len(prior.mean), np.nan))
