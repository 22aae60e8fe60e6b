"""What a policy is told before its first trial."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage

from search.execution.experience import note_experience, noted_experience
from search.execution.prior_knowledge import beliefs_of, described, knowledge_of
from search.lr_range.bounds import changes_of
from search.policy.knowledge import Belief, Knowledge
from search.study.bounds import Bounds
from spaces.reading import quicker, read_space, with_ranges
from spaces.space import Space
from tests.search.execution.test_experience import older, searching
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    folder_in,
    kill_at,
    new_study,
    parameters_of,
    reopened,
    search,
)
from tests.spaces.making import ORIGIN, plain_space, small_space

AT_MOST = {"value": 0.4, "spread": 0.01}


def with_priors(**priors: Any) -> Space:
    plain = plain_space()
    for name, prior in priors.items():
        plain["parameters"][name]["prior"] = prior
    return read_space(plain, ORIGIN)


def test_a_search_without_priors_and_older_studies_knows_nothing() -> None:
    study = new_study()
    assert knowledge_of(study, study.settings.space) == Knowledge()
    assert described(Knowledge()) is None


@pytest.mark.parametrize(
    ("name", "prior", "spread"),
    [
        ("dropout", {"value": 0.1, "spread": 0.2}, 0.5),  # of 0.4
        ("sgd_lr", {"value": 0.05, "spread": 10.0}, 0.5),  # one decade of two
        ("channels1", {"value": 6, "spread": 2.0}, 0.5),  # one doubling of two
    ],
)
def test_a_spread_in_a_parameters_own_unit_becomes_a_share_of_its_range(
    name: str, prior: dict[str, float], spread: float
) -> None:
    (belief,) = beliefs_of(with_priors(**{name: prior})).values()
    assert belief.value == prior["value"]
    assert belief.spread == pytest.approx(spread)


def test_in_a_narrower_range_the_same_spread_is_a_larger_share() -> None:
    space = quicker(with_priors(channels1={"value": 6, "spread": 2.0}))
    assert beliefs_of(space) == {"channels1": Belief(4.0, 1.0)}


def test_weights_belong_to_choices_and_those_not_named_weigh_one() -> None:
    space = with_priors(batch_size={"weights": {"64": 5}}, optimizer={"weights": {"sgd": 0.5}})
    assert beliefs_of(space) == {
        "batch_size": Belief(weights={32: 1.0, 64: 5.0}),
        "optimizer": Belief(weights={"sgd": 0.5, "adam": 1.0}),
    }


def test_a_parameter_with_one_value_leaves_nothing_to_believe() -> None:
    space = with_priors(dropout={"value": 0.1, "spread": 0.2})
    narrow = with_ranges(space, {"dropout": {"low": 0.1, "high": 0.1}})
    assert beliefs_of(narrow) == {}


# ------------------------------------------------------------------------------- learning rates


def bounded(space: Space, spread: float | None) -> Space:
    bounds = Bounds("sgd_lr", "sgd", 0.01, 1.0, 0.2, True, "measured", spread)
    return with_ranges(space, {"sgd_lr": changes_of(bounds, space.parameters["sgd_lr"])})


def test_the_suggested_rate_is_a_belief_within_the_measured_range() -> None:
    (belief,) = beliefs_of(bounded(small_space(), 10.0)).values()
    assert belief.value == 0.2
    assert belief.spread == pytest.approx(0.5)
    assert beliefs_of(bounded(small_space(), None)) == {}  # a study of an older version


def test_what_the_space_file_says_of_a_rate_counts_more_than_what_the_test_suggests() -> None:
    space = with_priors(sgd_lr={"value": 0.02, "spread": 100.0})
    assert bounded(space, 10.0).parameters["sgd_lr"].prior == space.parameters["sgd_lr"].prior
    (belief,) = beliefs_of(bounded(space, 10.0)).values()
    assert belief == Belief(0.02, 1.0)


# ----------------------------------------------------------------------------------- experience


def test_older_trials_are_part_of_it_and_the_same_after_a_stop() -> None:
    storage = InMemoryStorage()
    older(storage)
    study = searching(storage, space=with_priors(dropout={"value": 0.1, "spread": 0.2}))
    note_experience(study, storage)
    knowledge = knowledge_of(study, study.settings.space)
    assert (len(knowledge.beliefs), len(knowledge.experience)) == (1, 6)
    assert knowledge.experience == noted_experience(study)
    again = reopened(study)
    assert knowledge_of(again, again.settings.space) == knowledge
    assert described(knowledge) == (
        "The search begins with likely values of dropout (a study started with --beliefs off has none) "
        "and trials of older studies "
        "(6 of study old; a study started with --experience off has none)."
    )


def test_a_study_without_beliefs_leaves_out_those_of_its_space() -> None:
    space = with_priors(dropout={"value": 0.1, "spread": 0.2})
    study = searching(InMemoryStorage(), space=space, beliefs="off")
    assert knowledge_of(study, study.settings.space) == Knowledge()


def test_a_search_that_knows_decides_otherwise_and_the_same_after_a_stop(tmp_path: Path) -> None:
    """The knowledge is read back as it was, although the older study is gone by then."""

    def searched(name: str, stop_at: int | None, **settings: Any) -> Mapping[int, dict[str, Any]]:
        storage = InMemoryStorage()
        older(storage, trials=8)
        study = searching(storage, trials=11, **settings)
        note_experience(study, storage)
        pool, folder = ScriptedPool(after=kill_at(stop_at)), folder_in(tmp_path / name)
        if stop_at is not None:
            with pytest.raises(Killed):
                search(study, pool, folder)
            optuna.delete_study(storage=storage, study_name="old")
            study, pool = reopened(study), ScriptedPool(checkpoints=pool.checkpoints)
        assert search(study, pool, folder) == "finished"
        return parameters_of(study)

    whole = searched("whole", None)
    assert len(whole) == 11
    assert searched("stopped", 9) == whole
    assert searched("ignorant", None, experience="off") != whole
    assert searched("believing", None, space=with_priors(dropout=AT_MOST)) != whole
