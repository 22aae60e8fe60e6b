"""Studies of ours in Optuna's storage, and studies that are not."""

import json
from datetime import UTC, datetime

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection

from search.errors import UsageError
from search.study import attributes
from search.study.settings import Budget
from search.study.study import create_or_open, newest_name, open_study, summaries, versions
from tests.search.scripted import new_study, settings_of


@pytest.fixture
def storage() -> BaseStorage:
    return InMemoryStorage()


def test_a_study_is_made_once_and_opened_again(storage: BaseStorage) -> None:
    made, is_new = create_or_open(storage, "mine", settings_of(), Budget(trials=3))
    again, is_new_again = create_or_open(storage, "mine", settings_of(), Budget(trials=3))
    assert (is_new, is_new_again) == (True, False)
    assert made.settings == again.settings == open_study(storage, "mine").settings
    assert made.name == again.name == "mine"
    assert len(storage.get_all_studies()) == 1


def test_a_new_study_maximises_validation_accuracy(storage: BaseStorage) -> None:
    study = new_study(storage)
    assert study.optuna.direction == StudyDirection.MAXIMIZE
    assert study.optuna.metric_names == ["validation accuracy"]


def test_a_new_study_notes_when_and_with_what_it_was_made(storage: BaseStorage) -> None:
    study = new_study(storage)
    assert datetime.fromisoformat(study.note(attributes.STORED_AT)) <= datetime.now(UTC)
    assert study.note(attributes.VERSIONS) == versions()
    assert set(versions()) >= {"python", "torch", "torchvision", "optuna", "numpy", "cifar-search"}
    json.dumps(study.optuna.user_attrs, allow_nan=False)


def test_the_same_name_with_other_settings_is_refused_with_what_differs(
    storage: BaseStorage,
) -> None:
    new_study(storage)
    before = dict(open_study(storage, "mine").optuna.user_attrs)
    with pytest.raises(UsageError) as caught:
        create_or_open(storage, "mine", settings_of(seed=5, pruner="median"), Budget(trials=99))
    said = str(caught.value)
    assert "Study mine exists with other settings:" in said
    assert "pruner: the study has 'none', this command asks for 'median'" in said
    assert "seed: the study has 0, this command asks for 5" in said
    assert "cifar-search resume" in said
    assert "--study NAME" in said
    assert open_study(storage, "mine").optuna.user_attrs == before


def test_a_budget_may_change(storage: BaseStorage) -> None:
    new_study(storage, trials=3)
    create_or_open(storage, "mine", settings_of(), Budget(trials=9, timeout=60.0))
    assert open_study(storage, "mine").budget == Budget(trials=9, timeout=60.0)


@pytest.mark.parametrize("direction", [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE])
def test_a_study_of_somebody_else_is_left_alone(
    storage: BaseStorage, direction: StudyDirection
) -> None:
    theirs = optuna.create_study(storage=storage, study_name="mine", direction=direction)
    theirs.add_trial(optuna.trial.create_trial(value=1.0))
    for touch in (lambda: open_study(storage, "mine"), lambda: new_study(storage)):
        with pytest.raises(UsageError) as caught:
            touch()
        assert "Study mine was not created by cifar-search, and is left alone." in str(caught.value)
        assert "--study" in str(caught.value)
    assert len(theirs.trials) == 1
    assert theirs.user_attrs == {}


def test_a_study_that_minimises_is_not_ours_whatever_it_notes(storage: BaseStorage) -> None:
    theirs = optuna.create_study(storage=storage, study_name="mine", direction="minimize")
    theirs.set_user_attr(attributes.SETTINGS, settings_of().model_dump(mode="json"))
    with pytest.raises(UsageError, match="left alone"):
        open_study(storage, "mine")


@pytest.mark.parametrize("kind", ["attributes", "names", "minimize", "two directions"])
def test_a_study_of_somebody_else_without_trials_is_left_alone(
    storage: BaseStorage, kind: str
) -> None:
    up, down = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
    directions = {"minimize": [down], "two directions": [up, up]}.get(kind, [up])
    theirs = optuna.create_study(storage=storage, study_name="mine", directions=directions)
    if kind == "attributes":
        theirs.set_user_attr("owner", "somebody")
    if kind == "names":
        storage.set_study_system_attr(theirs._study_id, "study:metric_names", ["their loss"])
    with pytest.raises(UsageError, match="left alone"):
        new_study(storage)
    assert optuna.load_study(storage=storage, study_name="mine").user_attrs == theirs.user_attrs


def test_a_study_that_was_killed_before_its_settings_is_made_anew(storage: BaseStorage) -> None:
    half = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    half.set_user_attr(attributes.STORED_AT, "2026-01-01T00:00:00+00:00")
    half.set_user_attr(attributes.BUDGET, {"trials": 1, "timeout": None})
    study, is_new = create_or_open(storage, "mine", settings_of(), Budget(trials=3))
    assert is_new
    assert open_study(storage, "mine").budget == study.budget == Budget(trials=3)
    assert [one.study_name for one in summaries(storage)] == ["mine"]


def test_a_study_of_another_version_is_refused(storage: BaseStorage) -> None:
    study = new_study(storage)
    study.write(attributes.SETTINGS, {"space": "old"})
    for touch in (lambda: open_study(storage, "mine"), lambda: new_study(storage)):
        with pytest.raises(UsageError, match="another version of cifar-search"):
            touch()


def test_an_unknown_study_is_answered_with_the_known_ones(storage: BaseStorage) -> None:
    for name in ("a", "b"):
        new_study(storage, name=name)
    optuna.create_study(storage=storage, study_name="theirs")
    with pytest.raises(UsageError) as caught:
        open_study(storage, "c")
    assert str(caught.value) == "There is no study named 'c' here. Studies: a, b."


def test_no_study_at_all_is_answered_with_the_first_step(storage: BaseStorage) -> None:
    optuna.create_study(storage=storage, study_name="theirs")
    for look in (lambda: newest_name(storage), lambda: open_study(storage, None)):
        with pytest.raises(UsageError, match="cifar-search start --space baseline_constrained"):
            look()


def test_the_newest_study_is_meant_where_none_is_named(storage: BaseStorage) -> None:
    for name, year in (("b", 2026), ("c", 2024), ("a", 2025)):
        new_study(storage, name=name).write(attributes.STORED_AT, f"{year}-01-01T00:00:00+00:00")
    assert newest_name(storage) == open_study(storage, None).name == "b"
    assert [one.study_name for one in summaries(storage)] == ["c", "a", "b"]


def test_of_studies_made_in_one_second_the_later_is_the_newest(storage: BaseStorage) -> None:
    for name in ("b", "c", "a"):
        new_study(storage, name=name).write(attributes.STORED_AT, "2026-01-01T00:00:00+00:00")
    assert newest_name(storage) == "a"


@pytest.mark.parametrize(
    ("finished", "seconds", "budget", "complete"),
    [
        (2, 0.0, Budget(trials=3), False),
        (3, 0.0, Budget(trials=3), True),
        (0, 59.0, Budget(trials=3, timeout=60.0), False),
        (0, 60.0, Budget(trials=3, timeout=60.0), True),
    ],
)
def test_a_study_is_complete_when_its_budget_is_used_up(
    storage: BaseStorage, finished: int, seconds: float, budget: Budget, complete: bool
) -> None:
    study = new_study(storage, trials=budget.trials, timeout=budget.timeout)
    study.write(attributes.SECONDS, seconds)
    for _ in range(finished):
        asked = study.optuna.ask()
        asked.set_user_attr(attributes.RECIPE, {})
        study.optuna.tell(asked, 0.5)
    study.optuna.ask()  # a running trial does not count
    assert study.complete is complete
