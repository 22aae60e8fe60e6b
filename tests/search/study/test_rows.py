"""Trials as plain rows."""

from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from search.study import attributes
from search.study.rows import best_rows, gains, row_of, rows_of
from tests.search.script import row
from tests.spaces.making import small_space

SPACE = small_space()


def trial(state: TrialState, **values: Any) -> optuna.trial.FrozenTrial:
    value = 0.5 if state is TrialState.COMPLETE else None
    return create_trial(state=state, value=value, **values)


@pytest.mark.parametrize(
    ("state", "word", "finished"),
    [
        (TrialState.WAITING, "waiting", False),
        (TrialState.RUNNING, "running", False),
        (TrialState.COMPLETE, "complete", True),
        (TrialState.PRUNED, "pruned", True),
        (TrialState.FAIL, "failed", True),
    ],
)
def test_every_state_has_its_word(state: TrialState, word: str, finished: bool) -> None:
    found = row_of(trial(state), SPACE)
    assert (found.state, found.finished) == (word, finished)


def test_one_that_waits_with_epochs_is_paused_and_goes_on() -> None:
    notes = {attributes.EPOCHS: [{"number": 1}], attributes.TRIAL_SECONDS: 7.5}
    found = row_of(
        trial(TrialState.WAITING, user_attrs=notes, intermediate_values={1: 0.25}), SPACE
    )
    assert (found.state, found.finished, found.unfinished) == ("paused", False, True)
    assert (found.validation_accuracy, found.epochs, found.seconds) == (0.25, 1, 7.5)
    assert found.history == ({"number": 1},)
    assert found.ended is None


@pytest.mark.parametrize(
    ("state", "unfinished"),
    [
        (TrialState.WAITING, False),
        (TrialState.RUNNING, True),
        (TrialState.COMPLETE, False),
        (TrialState.PRUNED, False),
        (TrialState.FAIL, False),
    ],
)
def test_a_trial_that_was_started_and_is_not_finished_is_unfinished(
    state: TrialState, unfinished: bool
) -> None:
    assert row_of(trial(state), SPACE).unfinished is unfinished


def test_a_finished_row_knows_when_it_ended() -> None:
    study = optuna.create_study()
    asked = study.ask()
    asked.set_user_attr(attributes.RECIPE, {"epochs": 0})
    study.tell(asked, 0.5)
    (found,) = rows_of(study, SPACE)
    assert found.ended == study.trials[0].datetime_complete is not None


def test_there_is_a_word_for_every_state_that_optuna_has() -> None:
    assert {row_of(trial(state), SPACE).state for state in TrialState} >= {"waiting", "failed"}


def test_a_trial_that_has_not_begun_knows_nothing() -> None:
    found = row_of(trial(TrialState.WAITING), SPACE)
    assert (found.validation_accuracy, found.epochs, found.values) == (None, 0, {})
    assert (found.recipe, found.seed, found.label, found.reason) == (None, None, None, None)
    assert (found.known, found.seconds) == (False, 0.0)


def test_a_row_holds_what_the_service_noted() -> None:
    notes = {
        attributes.RECIPE: {"epochs": 3},
        attributes.SEED: 0,
        attributes.REASON: "why",
        attributes.TRIAL_SECONDS: 7.5,
        attributes.KNOWN: "base",
    }
    found = row_of(
        trial(TrialState.PRUNED, user_attrs=notes, intermediate_values={1: 0.1, 2: 0.2}), SPACE
    )
    assert (found.recipe, found.seed, found.reason) == ({"epochs": 3}, 0, "why")
    assert (found.seconds, found.label, found.known) == (7.5, "base", True)


def test_the_score_is_that_of_the_last_epoch_not_of_the_best() -> None:
    found = row_of(trial(TrialState.PRUNED, intermediate_values={2: 0.9, 10: 0.4, 1: 0.1}), SPACE)
    assert (found.validation_accuracy, found.epochs) == (0.4, 10)


@pytest.mark.parametrize(
    ("key", "label"),
    [
        (attributes.SUGGESTED, "LR-range test, sgd"),
        (attributes.WARM, "from study old, trial 12"),
    ],
)
def test_a_trial_that_something_suggested_has_a_label_and_is_not_known(
    key: str, label: str
) -> None:
    found = row_of(trial(TrialState.COMPLETE, user_attrs={key: label}), SPACE)
    assert (found.label, found.known) == (label, False)


def test_rows_stand_by_number() -> None:
    study = optuna.create_study()
    for _ in range(3):
        study.add_trial(trial(TrialState.COMPLETE, user_attrs={attributes.RECIPE: {"epochs": 0}}))
    assert [one.number for one in rows_of(study, SPACE)] == [0, 1, 2]


def test_the_best_rows_are_complete_highest_first_earlier_first() -> None:
    rows = [
        row(0, accuracy=0.5),
        row(1, "pruned", accuracy=0.9),
        row(2, accuracy=0.7),
        row(3, "running", accuracy=0.8),
        row(4, accuracy=0.7),
        row(5, "failed", accuracy=None),
    ]
    assert [one.number for one in best_rows(rows)] == [2]
    assert [one.number for one in best_rows(rows, 99)] == [2, 4, 0]
    assert best_rows(rows[5:], 3) == []


def test_gains_are_over_every_other_complete_known_configuration() -> None:
    rows = [
        row(2, accuracy=0.75),
        row(0, accuracy=0.5, known="base"),
        row(1, accuracy=0.625, known="better"),
        row(3, "pruned", accuracy=0.1, known="pruned"),
    ]
    assert gains(rows) == [("base", 0.25), ("better", 0.125)]


def test_a_best_that_is_known_has_no_gain_over_itself() -> None:
    rows = [row(0, accuracy=0.5, known="base"), row(1, accuracy=0.625, known="better")]
    assert gains(rows) == [("base", 0.125)]


def test_without_a_complete_trial_there_are_no_gains() -> None:
    assert gains([row(0, "pruned", accuracy=0.5, known="base")]) == []
    assert gains([]) == []
