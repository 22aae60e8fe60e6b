"""A search of a parameter that is 0 in a share of configurations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_core.recipe import Recipe
from search.execution.prior_knowledge import beliefs_of
from search.execution.warm_start import enqueue
from search.policy.beliefs import Beliefs
from search.policy.model.encoding import Encoding
from search.results.importance import importance_of
from search.results.shares import Importance
from search.service.known_configurations import enqueue_known
from search.study import attributes
from spaces.reading import read_space
from spaces.space import Space
from tests.search.scripted import ScriptedPool, folder_in, new_study, reasons_of, search
from tests.spaces.making import ORIGIN, plain_space

ZERO, LOW, HIGH = 0.25, 1e-5, 1e-2


def space_of(**changes: Any) -> Space:
    """The small space without a measured rate, and with weight decay."""
    plain = plain_space(lr_range=None, quick=None, **changes)
    plain["parameters"]["sgd_lr"]["measured"] = plain["parameters"]["adam_lr"]["measured"] = False
    decay = {"sets": "optimizer.weight_decay", "low": LOW, "high": HIGH, "log": True, "zero": ZERO}
    plain["parameters"]["weight_decay"] = decay
    for known, value in zip(plain["known"], (0.0, 1e-3), strict=True):
        known["values"]["weight_decay"] = value
    return read_space(plain, ORIGIN)


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [("model", "freeze-thaw"), ("tpe", "promotion"), ("random", "none"), ("tpe", "median")],
)
def test_every_policy_tries_0_and_other_values(sampler: str, pruner: str, tmp_path: Path) -> None:
    space = space_of()
    study = new_study(trials=12, space=space, sampler=sampler, pruner=pruner)
    enqueue_known(study, space)
    assert search(study, ScriptedPool(), folder_in(tmp_path)) == "finished"
    rows = study.rows()
    found = [row.values["weight_decay"] for row in rows]
    assert found[:2] == [0.0, 1e-3]  # the known ones
    assert 0.0 in found[2:]
    assert all(one == 0.0 or LOW <= float(one) <= HIGH for one in found)
    for row in rows:
        assert Recipe.read(row.recipe).optimizer.weight_decay == row.values["weight_decay"]


def test_what_was_0_before_is_0_when_tried_again() -> None:
    study = new_study(space=space_of(), sampler="model", pruner="freeze-thaw")
    recipes = {
        "without": {"optimizer": {"name": "sgd", "lr": 0.01, "weight_decay": 0.0}},
        "with": {"optimizer": {"name": "sgd", "lr": 0.01, "weight_decay": 1e-4}},
    }
    whole = {
        label: Recipe.read(
            {"network": {"channels1": 4, "channels2": 4}, "epochs": 4, **one}
        ).to_dict()
        for label, one in recipes.items()
    }
    study.write(attributes.WARM_SOURCES, {"old": whole})
    enqueue(study, study.settings.space, lambda _: None)
    study.write(attributes.WARM_SOURCES, {"older": {"again": whole["without"]}})
    enqueue(study, study.settings.space, lambda _: None)
    waiting = [trial.system_attrs["fixed_params"] for trial in study.optuna.get_trials()]
    decays = [study.settings.space.values_of(one)["weight_decay"] for one in waiting]
    assert decays == [0.0, 1e-4]


def test_a_script_that_enqueues_0_is_told_what_stands_for_it(tmp_path: Path) -> None:
    space = space_of()
    values = space.known[0].values
    study = new_study(trials=2, space=space)
    study.optuna.enqueue_trial(values)
    study.optuna.enqueue_trial(space.stored(values))
    search(study, ScriptedPool(), folder_in(tmp_path))
    first, second = study.rows()
    assert first.state == "failed"
    (reason, _) = reasons_of(study)
    assert reason is not None
    assert f"enqueue {space.stored(values)['weight_decay']:g}, which stands for it" in reason
    assert second.values == values


def test_to_the_model_all_that_stands_for_0_is_the_same() -> None:
    space = space_of()
    encoding = Encoding(space.suggest, space.zero_below)
    place = encoding.names.index("weight_decay")
    units = encoding.draw(2000, np.random.default_rng(0))
    none = units[:, place] == 0.0
    assert none.mean() == pytest.approx(ZERO, abs=0.03)
    values = [space.values_of(encoding.values(unit))["weight_decay"] for unit in units]
    assert [value == 0.0 for value in values] == none.tolist()
    off = encoding.features(encoding.unit({"weight_decay": 0.0})[None])
    stored = encoding.features(encoding.unit({"weight_decay": 0.9e-5})[None])
    assert (off == stored).all()


def test_a_belief_in_0_is_one_in_the_share_that_has_it() -> None:
    plain = space_of().model_dump(mode="python")
    plain["parameters"]["weight_decay"]["prior"] = {"value": 0.0, "spread": 2.0}
    space = read_space(plain, ORIGIN)
    encoding = Encoding(space.suggest, space.zero_below)
    beliefs = Beliefs(encoding, beliefs_of(space))
    drawn = beliefs.draw(1000, np.random.default_rng(0))
    share = (drawn[:, encoding.names.index("weight_decay")] == 0.0).mean()
    assert share > 2 * ZERO
    base = encoding.unit(space.stored(space.known[0].values))[None]
    other = encoding.unit(space.stored({**space.known[0].values, "weight_decay": 1e-3}))[None]
    assert beliefs.log_density(base) > beliefs.log_density(other) + 0.5


def test_what_0_is_worth_is_a_level_of_the_one_parameter(tmp_path: Path) -> None:
    space = space_of()
    study = new_study(trials=16, space=space)
    search(study, ScriptedPool(), folder_in(tmp_path))
    found = importance_of(space, study.rows())
    assert isinstance(found, Importance)
    assert sorted(one.name for one in found.parameters) == sorted(space.parameters)
    (own,) = (one for one in found.parameters if one.name == "weight_decay")
    values = [level.value for level in own.levels]
    assert values[0] == 0.0
    assert values.count(0.0) == 1
    assert all(float(value) >= LOW for value in values[1:])
