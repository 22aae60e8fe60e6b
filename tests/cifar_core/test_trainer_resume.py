"""A training that was stopped and resumed is the one that was not; a foreign state is refused."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Splits
from cifar_core.errors import CheckpointError
from cifar_core.recipe import (
    Adam,
    AdamW,
    Constant,
    Cosine,
    Linear,
    OneCycle,
    Optimizer,
    Schedule,
    Sgd,
    Step,
)
from tests.cifar_core.trainings import EVERYTHING, alike, begin, finished, same
from tests.conftest import part_of

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Sgd(lr=0.05, momentum=0.0),
    "momentum": Sgd(lr=0.05, weight_decay=0.01),
    "nesterov": Sgd(lr=0.05, nesterov=True),
    "adam": Adam(lr=0.01, weight_decay=0.01),
    "adamw": AdamW(lr=0.01),
}
NARROW = "Training.load_state_dict turns only some types of errors into CheckpointError"
SCHEDULES: list[Schedule] = [
    Constant(),
    Step(epochs=1),
    Cosine(),
    OneCycle(warmup=0.4),
    Linear(warmup=0.4),
]


@pytest.fixture(scope="module")
def few(small_splits: Splits) -> Splits:
    """96 images to train on, 96 to validate on: three steps of 32."""
    return part_of(small_splits, 96)


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    list(zip(OPTIMIZERS.values(), SCHEDULES, strict=True)),
    ids=OPTIMIZERS,
)
def test_a_run_that_was_stopped_after_any_epoch_ends_with_the_same_bits(
    optimizer: Optimizer, schedule: Schedule, few: Splits, tmp_path: Path
) -> None:
    recipe = EVERYTHING.model_copy(update={"optimizer": optimizer, "schedule": schedule})
    whole = begin(recipe, few)
    states = [tmp_path / f"{number}.pt" for number in range(recipe.epochs + 1)]
    save_state(whole.state_dict(), states[0])
    for epoch in whole.epochs():
        save_state(whole.state_dict(), states[epoch.number])
    assert not any(epoch.diverged for epoch in whole.history)
    for number, path in enumerate(states):
        resumed = begin(recipe, few)
        resumed.load_state_dict(load_state(path))
        assert len(resumed.history) == number
        for _ in resumed.epochs():
            pass
        assert alike(resumed, whole), f"resumed after epoch {number}"


def test_a_state_that_is_loaded_and_saved_again_is_the_same(few: Splits, tmp_path: Path) -> None:
    training = finished(EVERYTHING, few)
    save_state(training.state_dict(), tmp_path / "state.pt")
    assert same(load_state(tmp_path / "state.pt"), training.state_dict())


def test_two_runs_that_go_on_from_one_state_in_memory_do_not_disturb_each_other(
    few: Splits,
) -> None:
    first, second = begin(EVERYTHING, few), begin(EVERYTHING, few)
    epochs = first.epochs()
    next(epochs)
    second.load_state_dict(first.state_dict())
    next(epochs)
    next(second.epochs())
    assert alike(first, second)


def test_a_state_in_memory_stays_what_it_was(few: Splits) -> None:
    training = begin(EVERYTHING, few)
    epochs = training.epochs()
    next(epochs)
    state = training.state_dict()
    before = copy.deepcopy(state)
    next(epochs)
    assert same(state, before)


# Foreign and damaged states


@pytest.fixture(scope="module")
def state(few: Splits) -> dict[str, Any]:
    training = begin(EVERYTHING, few)
    next(training.epochs())
    return training.state_dict()


def test_the_state_of_another_recipe_is_refused(few: Splits, state: dict[str, Any]) -> None:
    other = begin(EVERYTHING.model_copy(update={"epochs": 4}), few)
    with pytest.raises(CheckpointError, match=rf"its recipe is '{EVERYTHING.digest}', but"):
        other.load_state_dict(state)
    assert other.history == []


def test_the_state_of_another_seed_is_refused(few: Splits, state: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="its seed is 0, but this training's is 1"):
        begin(EVERYTHING, few, seed=1).load_state_dict(state)


def test_the_state_of_other_images_is_refused(few: Splits, state: dict[str, Any]) -> None:
    others = replace(few, digest="f" * 16)
    with pytest.raises(CheckpointError, match=r"its split is '0123456789abcdef', but .* 'ffff"):
        begin(EVERYTHING, others).load_state_dict(state)


@pytest.mark.parametrize(
    "key", ["recipe", "seed", "split", "network", "optimizer", "random", "history"]
)
def test_a_state_without_one_of_its_parts_is_refused(
    key: str, few: Splits, state: dict[str, Any]
) -> None:
    part = {name: value for name, value in state.items() if name != key}
    with pytest.raises(CheckpointError, match=key):
        begin(EVERYTHING, few).load_state_dict(part)


def test_weights_of_another_shape_are_refused(few: Splits, state: dict[str, Any]) -> None:
    weights = {**state["network"], "features.0.weight": torch.zeros(7, 3, 5, 5)}
    with pytest.raises(CheckpointError, match=r"(?s)incomplete: .*features\.0\.weight"):
        begin(EVERYTHING, few).load_state_dict({**state, "network": weights})


def test_weights_that_are_missing_are_refused(few: Splits, state: dict[str, Any]) -> None:
    weights = {key: value for key, value in state["network"].items() if "bias" not in key}
    with pytest.raises(CheckpointError, match="bias"):
        begin(EVERYTHING, few).load_state_dict({**state, "network": weights})


def test_an_optimizer_of_other_parameters_is_refused(few: Splits, state: dict[str, Any]) -> None:
    groups = copy.deepcopy(state["optimizer"]["param_groups"])
    groups[0]["params"].pop()
    optimizer = {**state["optimizer"], "param_groups": groups}
    with pytest.raises(CheckpointError, match="parameter group"):
        begin(EVERYTHING, few).load_state_dict({**state, "optimizer": optimizer})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network", 5),
        ("network", {}),
        ("random", 5),
        ("random", {"images": torch.zeros(3), "network": []}),
        ("history", 5),
        ("history", [{"number": 1}]),
        pytest.param("optimizer", 5),
        pytest.param(
            "random",
            {"images": 5, "network": []},
        ),
    ],
)
def test_a_part_that_is_something_else_is_refused(
    key: str, value: object, few: Splits, state: dict[str, Any]
) -> None:
    with pytest.raises(CheckpointError):
        begin(EVERYTHING, few).load_state_dict({**state, key: value})


@pytest.mark.parametrize("states", [[], [torch.zeros(3, dtype=torch.uint8)]], ids=["none", "short"])
def test_random_numbers_that_cannot_be_gone_on_with_are_refused(
    states: list[torch.Tensor], few: Splits, state: dict[str, Any]
) -> None:
    random = {**state["random"], "network": states}
    with pytest.raises(CheckpointError):
        begin(EVERYTHING, few).load_state_dict({**state, "random": random})
