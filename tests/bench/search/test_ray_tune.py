"""Ray Tune as a rival: its scheduler's decisions by hand, and what its searcher learns."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
import pytest
from optuna.trial import Trial, TrialState

from bench.search.ray_tune import RayTune
from search.errors import ServiceError
from search.policy.simulation import Seen, run_search

EPOCHS = 6
LAST_EPOCHS = {0.50: 6, 0.40: 1, 0.48: 4, 0.60: 6, 0.51: 1, 0.54: 4}
"""Scores in the order in which trials of them come, and the epoch after which each must end. At epoch 1
they meet, as the 75th percentile of those before, none, 0.5, 0.475, 0.49, 0.525 and 0.51; at epoch 4 those
that come as far meet none, 0.5, 0.495 and 0.55."""


def choose(trial: Trial) -> Mapping[str, Any]:
    return {"score": trial.suggest_float("score", 0.0, 1.0)}


def train(values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    for epoch in range(1, EPOCHS + 1):
        yield epoch, values["score"]


def searched(trials: int, *, limited: bool = True) -> tuple[list[Seen], optuna.Study, optuna.Study]:
    """A search whose first trials have the scores above: its epochs, its study, and Ray's own."""
    pytest.importorskip("ray.tune", reason="Ray Tune is not installed")
    study = optuna.create_study(direction="maximize")
    for score in LAST_EPOCHS:
        study.enqueue_trial({"score": score})
    policy = RayTune(study, choose, epochs=EPOCHS, seed=0, limited=limited)
    seen = run_search(policy, study, choose=choose, train=train, epochs=EPOCHS, trials=trials)
    return seen, study, policy._searcher._ot_study


def test_trials_end_where_a_table_of_rungs_says() -> None:
    seen, study, _ = searched(len(LAST_EPOCHS))
    assert {one.accuracy: one.epoch for one in seen} == LAST_EPOCHS
    complete = [
        trial.params["score"] for trial in study.trials if trial.state is TrialState.COMPLETE
    ]
    assert complete == [score for score, last in LAST_EPOCHS.items() if last == EPOCHS]


def test_the_searcher_takes_a_stopped_trial_for_a_complete_one() -> None:
    seen, study, theirs = searched(15)
    assert [trial.params for trial in theirs.trials] == [trial.params for trial in study.trials]
    assert {trial.state for trial in theirs.trials} == {TrialState.COMPLETE}
    assert [trial.value for trial in theirs.trials] == [
        trial.params["score"] for trial in study.trials
    ]
    last = {one.trial: one.epoch for one in seen}
    for trial in theirs.trials:  # Ray keeps the last score from its reports
        assert list(trial.intermediate_values) == list(range(1, last[trial.number]))


def test_one_configuration_is_drawn_before_it_can_begin_unless_that_is_limited() -> None:
    _, study, theirs = searched(8, limited=False)
    assert len(theirs.trials) == len(study.trials) + 1
    assert len(searched(8, limited=True)[2].trials) == 8


def test_ray_not_installed_is_answered_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray.tune.schedulers", None)
    with pytest.raises(ServiceError, match=r"not installed .*pip install 'ray\[tune\]'"):
        RayTune(optuna.create_study(), choose, epochs=EPOCHS, seed=0)
