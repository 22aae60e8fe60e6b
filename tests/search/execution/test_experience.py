"""Trials of older studies that a search learns from: which, how many, and that they stay what they were."""

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState, create_trial

from search.errors import ServiceError
from search.execution import experience
from search.execution.experience import (
    FEWEST_RECORDS,
    LARGEST_NOTE,
    MOST_RECORDS,
    MOST_SCORES,
    note_experience,
    noted_experience,
)
from search.policy.knowledge import ExperienceRecord
from search.study import attributes
from search.study.study import SearchStudy, open_study
from spaces.space import Values
from tests.search.scripted import DATA, new_study, reopened
from tests.spaces.making import plain_space, small_space

CONFIGURATION: Values = {
    "optimizer": "sgd",
    "sgd_lr": 0.3,
    "batch_size": 32,
    "channels1": 5,
    "dropout": 0.25,
}
"""One of the small space, but for a rate above the range that its file has."""


ENDED_HERE = {attributes.SEED: 0, attributes.EPOCHS: [], attributes.REASON: "stopped early"}
"""Notes of a trial that the service itself has ended."""


def add(
    study: SearchStudy,
    scores: Mapping[int, float],
    state: TrialState = TrialState.PRUNED,
    **values: Any,
) -> None:
    space = study.settings.space
    there = {**CONFIGURATION, **values}.items()
    recipe = space.recipe_of({name: value for name, value in there if name in space.parameters})
    study.optuna.add_trial(
        create_trial(
            state=state,
            value=0.5 if state is TrialState.COMPLETE else None,
            intermediate_values=dict(scores),
            user_attrs={attributes.RECIPE: recipe.to_dict(), **ENDED_HERE},
        )
    )


def score(number: int) -> float:
    return round(0.2 + number / 1000, 5)


def older(storage: BaseStorage, name: str = "old", trials: int = 6, **settings: Any) -> SearchStudy:
    study = new_study(storage, name=name, trials=99, **settings)
    for number in range(trials):
        add(study, {1: 0.1, 2: score(number)})
    return study


def searching(storage: BaseStorage, **settings: Any) -> SearchStudy:
    """A study whose policy can learn from others."""
    return new_study(storage, **{"sampler": "model", "pruner": "freeze-thaw", **settings})


def noted(study: SearchStudy, *named: str) -> tuple[ExperienceRecord, ...]:
    """What a study has learned of when its search has begun, with these sources of a warm start."""
    if named:
        study.write(attributes.WARM_SOURCES, {name: {} for name in named})
    note_experience(study, study.optuna._storage)
    return noted_experience(reopened(study))


def tasks(study: SearchStudy) -> dict[str, int]:
    found = [one.task for one in noted_experience(reopened(study))]
    return {task: found.count(task) for task in found}


@pytest.fixture
def storage() -> BaseStorage:
    return InMemoryStorage()


def test_a_first_study_has_no_experience(storage: BaseStorage) -> None:
    assert noted(searching(storage)) == ()


def test_trials_of_an_older_study_are_noted_as_what_they_are(storage: BaseStorage) -> None:
    old = new_study(storage, name="old", trials=9)
    for number in range(FEWEST_RECORDS):
        add(old, {1: 0.1, 2: math.nan, 4: 0.123456789}, TrialState.COMPLETE, dropout=number / 20)
    found = noted(searching(storage))
    assert [one.values["dropout"] for one in found] == [0.0, 0.05, 0.1, 0.15, 0.2]
    assert found[0].values == {**CONFIGURATION, "dropout": 0.0}, "the rate as it was"
    assert (found[0].task, found[0].epochs) == ("old", 4)
    assert found[0].scores == {1: 0.1, 4: 0.12346}


def test_what_failed_or_has_no_score_or_does_not_fit_says_nothing(storage: BaseStorage) -> None:
    old = older(storage, trials=FEWEST_RECORDS)
    add(old, {1: 0.9}, TrialState.FAIL)
    add(old, {})
    add(old, {1: math.nan})
    add(old, {0: 0.9, 7: 0.9})  # no epochs of a training of 4
    old.optuna.ask()
    misfit = small_space().recipe_of(CONFIGURATION).to_dict() | {"batch_size": 33}
    notes = {attributes.RECIPE: misfit, **ENDED_HERE}
    old.optuna.add_trial(
        create_trial(state=TrialState.PRUNED, intermediate_values={1: 0.9}, user_attrs=notes)
    )
    found = [one.scores for one in noted(searching(storage))]
    assert found == [{1: 0.1, 2: score(number)} for number in range(FEWEST_RECORDS)]


def test_what_was_noted_stays_whatever_becomes_of_the_older_study(storage: BaseStorage) -> None:
    old = older(storage)
    study = searching(storage)
    before = noted(study)
    assert len(before) == 6
    add(old, {1: 0.99})
    older(storage, name="another")
    assert noted(reopened(study)) == before
    optuna.delete_study(storage=storage, study_name="old")
    assert noted(reopened(study)) == before


def test_a_study_that_had_none_at_its_start_gets_none_later(storage: BaseStorage) -> None:
    first, begun = searching(storage, name="first"), searching(storage, name="begun")
    noted(first)
    begun.optuna.ask()  # by a version that knew of no experience
    older(storage)
    for study in (first, begun):
        assert noted(reopened(study)) == ()


@pytest.mark.parametrize("settings", [{"experience": "off"}, {"pruner": "none"}])
def test_a_search_that_does_not_want_experience_or_has_no_use_for_it_has_none(
    storage: BaseStorage, settings: dict[str, Any]
) -> None:
    older(storage)
    study = searching(storage, **settings)
    assert noted(study, "old") == ()
    assert study.note(attributes.EXPERIENCE) is None


def test_unasked_only_studies_that_searched_much_the_same_are_taken(storage: BaseStorage) -> None:
    plain = plain_space()
    del plain["parameters"]["dropout"], plain["known"], plain["lr_range"], plain["quick"]
    for name in ("sgd_lr", "adam_lr"):
        del plain["parameters"][name]["measured"]
    less = small_space(**plain, known=None, lr_range=None, quick=None)
    del plain["parameters"]["channels1"]
    least = small_space(**plain, known=None, lr_range=None, quick=None)
    older(storage, "less", space=less)  # 4 of 5 fields
    older(storage, "least", space=least)  # 3 of 5
    older(storage, "few", trials=FEWEST_RECORDS - 1)
    older(storage, "made up", data=DATA.model_copy(update={"name": "synthetic"}))
    study = searching(storage)
    noted(study)
    assert tasks(study) == {"less": 6}
    asked = searching(storage, name="asked")
    noted(asked, "few", "least", "asked", "none", "best-1.toml")
    assert tasks(asked) == {"few": 4, "least": 6, "less": 6}


def test_of_several_studies_each_has_its_share_and_good_trials_come_before_poor_ones(
    storage: BaseStorage,
) -> None:
    for name, trials in (("largest", 150), ("small", 10), ("large", 80)):
        older(storage, name, trials=trials)
    study = searching(storage)
    noted(study)
    assert tasks(study) == {"large": 45, "small": 10, "largest": 45}
    found = [one.scores[2] for one in noted_experience(study) if one.task == "largest"]
    assert len(found) == len(set(found)) == 45
    best = {score(number) for number in range(128, 150)}
    assert best <= set(found)
    poorer = sorted(set(found) - best)
    assert poorer[0] < score(8)
    assert max(after - before for before, after in pairwise(poorer)) < 0.012


def test_no_attribute_grows_too_large_for_any_database(
    storage: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LARGEST_NOTE < 32_768
    monkeypatch.setattr(experience, "LARGEST_NOTE", 8_000)
    study = new_study(storage, name="old", trials=999, space=small_space().with_epochs(300))
    for _ in range(2 * MOST_RECORDS):
        add(study, dict.fromkeys(range(1, 301), 0.123456))
    new = searching(storage)
    found = noted(new)
    assert len(found) == MOST_RECORDS
    assert all({1, 9, 19, 38, 75, 150, 300} <= one.scores.keys() for one in found)
    assert all(len(one.scores) <= 2 * MOST_SCORES for one in found)
    sizes = {
        key: len(json.dumps(value))
        for key, value in new.optuna.user_attrs.items()
        if key.startswith(attributes.EXPERIENCE)
    }
    assert len(sizes) > 3
    assert max(sizes.values()) <= 8_000 + 2


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("experience", -1, "experience: must be at least 0"),
        ("experience", 2, "experience_2 is missing"),
        ("experience_1", "x", "experience_1: "),
        (
            "experience_1",
            [{"task": "a\x1b[m", "values": {}, "scores": {"1": 0.5}, "epochs": 1}],
            "",
        ),
        ("experience_1", [{"task": "a", "values": {}, "scores": {}, "epochs": 1}], "scores"),
        (
            "experience_1",
            [{"task": "a", "values": {}, "scores": {"2": 0.5}, "epochs": 1}],
            "beyond",
        ),
        (
            "experience_1",
            [{"task": "a", "values": {}, "scores": {"x": 0.5}, "epochs": 1}],
            "scores",
        ),
    ],
)
def test_experience_that_somebody_has_changed_is_refused(
    storage: BaseStorage, key: str, value: object, words: str
) -> None:
    older(storage)
    study = searching(storage)
    noted(study)
    study.write(key, value)
    with pytest.raises(ServiceError, match="it was changed by hand") as caught:
        open_study(storage, study.name)
    assert words in str(caught.value)
