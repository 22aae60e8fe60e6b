"""Training on an Apple GPU (mps), which nobody has seen yet: the tests wait for a machine that has one."""

from pathlib import Path

import pytest
import torch

from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Splits
from cifar_core.recipe import Adam, Recipe, SpeedNet
from cifar_core.trainer import Training
from tests.cifar_core.test_trainer_cuda import QUICK
from tests.cifar_core.trainings import EVERYTHING, same

MPS = torch.device("mps", 0)
pytestmark = pytest.mark.skipif(
    not torch.backends.mps.is_available(), reason="there is no Apple GPU (mps) here"
)


def on_mps(recipe: Recipe, splits: Splits) -> Training:
    return Training(recipe, splits, seed=0, device=MPS, clock=lambda: 0.0)


def test_training_on_mps_learns_in_float32(small_splits: Splits) -> None:
    training = on_mps(QUICK, small_splits)
    assert list(training.epochs())[-1].validation_accuracy > 0.9
    assert {each.device for each in training.network.parameters()} == {MPS}


def test_a_whitened_network_is_trained_on_mps_which_has_no_float64(small_splits: Splits) -> None:
    recipe = Recipe(network=SpeedNet(), normalization="standard", epochs=1)
    assert len(list(on_mps(recipe, small_splits).epochs())) == 1


def test_a_resumed_run_on_mps_goes_on_with_the_same_random_numbers(
    small_splits: Splits, tmp_path: Path
) -> None:
    recipe = EVERYTHING.model_copy(update={"optimizer": Adam()})
    whole = on_mps(recipe, small_splits)
    epochs = whole.epochs()
    next(epochs)
    save_state(whole.state_dict(), tmp_path / "state.pt")
    resumed = on_mps(recipe, small_splits)
    resumed.load_state_dict(load_state(tmp_path / "state.pt"))
    for expected, found in zip(epochs, resumed.epochs(), strict=True):
        assert found.train_loss == pytest.approx(expected.train_loss, rel=0.02)
    assert same(whole.state_dict()["random"], resumed.state_dict()["random"])


def test_random_numbers_of_the_host_and_of_mps_are_left_as_they_were_found(
    small_splits: Splits,
) -> None:
    before = [torch.get_rng_state(), torch.mps.get_rng_state()]
    next(on_mps(EVERYTHING, small_splits).epochs())
    assert same([torch.get_rng_state(), torch.mps.get_rng_state()], before)
