"""A sweep: one step per rate, what it keeps, when it ends, and for whom it works."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from cifar_core import trainer
from cifar_core.data.resident import Part, Splits
from cifar_core.lr_range import Ramp, Sweep, sweep
from cifar_core.lr_range.sweep import CEILING, CHECK_EVERY, NEEDED_FALL, is_over
from cifar_core.models import NETWORKS
from cifar_core.recipe import Adam, Augmentation, Net, Optimizer, Recipe, Sgd
from cifar_core.trainer import Training
from tests.cifar_core.lr_range.standing import standing
from tests.cifar_core.models.records import RECORDS
from tests.cifar_core.test_trainer_cuda import CUDA, gpu
from tests.cifar_core.trainings import EVERYTHING, begin, same
from tests.conftest import part_of

START = math.log(10)
BELOW_START = START - 2 * NEEDED_FALL
FAR_ABOVE = START * CEILING + 0.1
QUICK = Recipe(network=Net(batch_norm=True), optimizer=Adam(), batch_size=20)
SHORT = Ramp(1e-5, 1e-3, steps=20)
LONG = Ramp(1e-5, 10.0, steps=100)
NARROW = {"width": 8, "channels1": 8, "channels2": 8, "channels3": 8, "dropout": 0.2}
OPTIMIZERS = [kind().name for kind in get_args(get_args(Optimizer)[0])]

Script = Callable[..., list[float]]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Lets steps have the losses that a test gives them, the last of them for good.

    The list that it returns is that of the rates of the steps that are taken.
    """

    def script(*losses: float) -> list[float]:
        taken: list[float] = []

        def step(_: object, optimizer: torch.optim.Optimizer, *__: object) -> tuple[Tensor, Tensor]:
            taken.append(optimizer.param_groups[0]["lr"])
            return torch.tensor(losses[: len(taken)][-1]), torch.zeros(20, 10)

        monkeypatch.setattr(trainer, "train_step", step)
        return taken

    return script


@pytest.fixture(scope="module")
def few(small_splits: Splits) -> Splits:
    """Two steps of 8 images."""
    return part_of(small_splits, 16)


def swept(recipe: Recipe, splits: Splits, ramp: Ramp = SHORT, seed: int = 0) -> Sweep:
    return sweep(begin(recipe, splits, seed), ramp)


# The curve


def test_a_sweep_is_decided_by_its_seed(small_splits: Splits) -> None:
    first = swept(EVERYTHING, small_splits)
    assert swept(EVERYTHING, small_splits) == first
    assert swept(EVERYTHING, small_splits, seed=1).loss != first.loss


def test_a_training_can_be_swept_again_with_the_same_result(small_splits: Splits) -> None:
    training = begin(EVERYTHING, small_splits)
    assert sweep(training, SHORT) == sweep(training, SHORT)


def test_every_rate_has_one_step_in_order(small_splits: Splits, scripted: Script) -> None:
    losses = [2.0 - step / 64 for step in range(20)]
    taken = scripted(*losses)
    result = swept(QUICK, small_splits)
    assert tuple(taken) == result.lr == SHORT.rates(20)
    assert result.loss == tuple(losses)


def test_the_rates_are_those_of_the_ramp_at_the_recipes_batch_size(
    small_splits: Splits, scripted: Script
) -> None:
    scripted(math.nan)  # no need to take them all
    ramp = Ramp(1e-3, 1e-2)
    for batch_size in (20, 128):
        recipe = QUICK.model_copy(update={"batch_size": batch_size})
        assert swept(recipe, small_splits, ramp).lr == ramp.rates(batch_size)
    assert sweep(begin(QUICK, small_splits)).lr == Ramp().rates(20)


def test_the_recipes_own_rate_schedule_and_epochs_have_no_part_in_it(small_splits: Splits) -> None:
    changes = {
        "optimizer": {"name": "adam", "lr": 0.5},
        "schedule": {"name": "one_cycle"},
        "epochs": 1,
    }
    other = Recipe.read(QUICK.to_dict() | changes)
    assert swept(other, small_splits) == swept(QUICK, small_splits)


@pytest.mark.parametrize(
    "change",
    [
        {"network": Net()},
        {"optimizer": Sgd()},
        {"optimizer": Adam(weight_decay=0.5)},
        {"batch_size": 40},
        {"augmentation": Augmentation(cutout=16)},
        {"label_smoothing": 0.1},
        {"normalization": "standard"},
        {"precision": "bfloat16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_rest_of_the_recipe_has(change: dict[str, Any], small_splits: Splits) -> None:
    ramp = Ramp(1e-3, 1e-2, steps=10)
    whole = swept(QUICK, small_splits, ramp)
    assert swept(QUICK.model_copy(update=change), small_splits, ramp).loss != whole.loss


def test_a_sweep_goes_on_from_where_the_training_stands(small_splits: Splits) -> None:
    training = begin(QUICK, small_splits)
    fresh = sweep(training, SHORT)
    list(zip(range(3), training.epochs(), strict=False))
    assert sweep(training, SHORT).loss[0] < fresh.loss[0] - 0.5


def test_the_validation_part_is_not_looked_at(small_splits: Splits) -> None:
    images, labels = small_splits.validation.images, small_splits.validation.labels
    none = replace(small_splits, validation=Part(images[:0], labels[:0]))
    assert swept(EVERYTHING, none) == swept(EVERYTHING, small_splits)


@pytest.mark.parametrize(
    ("batch_size", "steps_per_epoch"), [(20, 15), (64, 4), (299, 1), (300, 1), (1000, 1)]
)
def test_the_cost_is_stated_in_epochs(
    batch_size: int, steps_per_epoch: int, small_splits: Splits, scripted: Script
) -> None:
    recipe = Recipe(batch_size=batch_size)
    taken = scripted(START)
    result = swept(recipe, small_splits)
    assert begin(recipe, small_splits).steps_per_epoch == steps_per_epoch
    assert result.epochs == len(taken) / steps_per_epoch == 20 / steps_per_epoch


# Its end


def test_a_sweep_ends_where_the_loss_of_a_network_runs_away(small_splits: Splits) -> None:
    recipe = Recipe(optimizer=Sgd(), batch_size=20)
    training = begin(recipe, small_splits)
    early, whole = (sweep(training, LONG, to_the_end=each) for each in (False, True))
    assert 50 < len(early.loss) < len(early.lr) == len(LONG.rates(20))
    assert early.loss == whole.loss[: len(early.loss)]
    assert early.epochs < whole.epochs == 100 / 15
    assert all(math.isfinite(loss) for loss in whole.loss)


@pytest.mark.parametrize(
    ("losses", "ends"),
    [
        ([START] * 10 + [FAR_ABOVE], 20),
        ([START] * 10 + [START * CEILING - 0.1], 100),
        ([START] * 35 + [9.0], 40),
        ([START] * 10 + [BELOW_START] * 20 + [START + 0.01], 40),
        ([START] * 10 + [BELOW_START] * 20 + [START - 0.01], 100),
        ([START] * 10 + [START - NEEDED_FALL / 2] * 20 + [START + 0.01], 100),
        ([START] * 10 + [START + 0.01] * 20 + [BELOW_START] * 10 + [START + 0.01], 50),
        ([START], 100),
        ([math.nan], 10),
        ([START] * 55 + [math.nan], 60),
        ([START] * 55 + [math.inf], 60),
    ],
)
def test_a_sweep_ends_when_the_loss_is_far_above_its_start_or_back_there_after_a_fall(
    losses: list[float], ends: int, small_splits: Splits, scripted: Script
) -> None:
    taken = scripted(*losses)
    result = swept(QUICK, small_splits, LONG)
    assert len(taken) == ends
    assert result.epochs == ends / 15
    taken.clear()
    sweep(begin(QUICK, small_splits), LONG, to_the_end=True)
    assert len(taken) == 100


def test_a_sweep_tells_its_losses_while_it_is_made(small_splits: Splits, scripted: Script) -> None:
    losses = tuple(2.0 - step / 64 for step in range(20))
    scripted(*losses)
    told: list[tuple[float, ...]] = []
    sweep(begin(QUICK, small_splits), SHORT, tell=lambda newest: told.append(tuple(newest)))
    assert told == [losses[:10], losses[10:]]


def test_losses_are_judged_by_tens_and_not_one_by_one() -> None:
    spiky = [*[START] * 9, 9.0]
    assert is_over([START] * CHECK_EVERY + spiky)
    assert not is_over([START] * CHECK_EVERY + [*[START] * 9, START * CEILING + 0.1])
    assert not is_over(spiky * 2)
    one_low = [*[START] * 9, START - 2 * NEEDED_FALL]  # is no fall from which to be back
    assert not is_over([START] * CHECK_EVERY + one_low + [START + 0.01] * CHECK_EVERY)


@pytest.mark.parametrize("to_the_end", [False, True])
@pytest.mark.parametrize(
    ("value", "at"), [(math.nan, 1), (math.nan, 10), (math.nan, 45), (math.inf, 5), (math.inf, 45)]
)
def test_a_loss_that_stops_being_a_number_ends_the_curve_and_is_not_kept(
    value: float, at: int, to_the_end: bool, small_splits: Splits, scripted: Script
) -> None:
    losses = [2.0 - step / 64 for step in range(60)]
    scripted(*losses[: at - 1], value, *losses[at:])  # one is enough
    result = sweep(begin(QUICK, small_splits), LONG, to_the_end=to_the_end)
    assert result.loss == tuple(losses[: at - 1])
    assert len(result.lr) == 100


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (math.nan, 1),
        (math.nan, 10),
        (math.nan, 45),
        (math.inf, 45),
        (math.inf, 5),
    ],
)
def test_no_steps_are_wasted_on_a_loss_that_has_stopped_being_a_number(
    value: float, at: int, small_splits: Splits, scripted: Script
) -> None:
    taken = scripted(*[2.0] * (at - 1), value, 2.0)
    assert swept(QUICK, small_splits, LONG).epochs == len(taken) / 15
    assert len(taken) == math.ceil(at / CHECK_EVERY) * CHECK_EVERY


def test_a_network_that_has_burst_does_not_spoil_the_next_sweep(small_splits: Splits) -> None:
    training = begin(Recipe(optimizer=Sgd(), batch_size=20), small_splits)
    burst = sweep(training, Ramp(1.0, 1000.0, steps=60), to_the_end=True)
    assert len(burst.loss) < 60
    clean = sweep(training, SHORT)
    assert clean == swept(training.recipe, small_splits)
    assert len(clean.loss) == 20
    assert math.isfinite(next(training.epochs()).train_loss)


# For whom it works


def small(network: str, optimizer: str, precision: str) -> Recipe:
    """A small network of this kind."""
    record = RECORDS[network]
    options = {key: value for key, value in NARROW.items() if key in type(record).model_fields}
    return Recipe.read(
        {
            "network": record.model_dump() | options,
            "optimizer": {"name": optimizer},
            "precision": precision,
            "batch_size": 8,
            "augmentation": {"flip": 0.5, "crop_padding": 2},
        }
    )


def assert_can_be_swept(training: Training) -> None:
    before = standing(training)
    ramp = Ramp(1e-5, 1e-4, steps=10)
    result = sweep(training, ramp)
    assert result.lr == ramp.rates(8)
    assert len(result.loss) == 10
    assert 0.5 < min(result.loss) <= max(result.loss) < 20.0
    assert result.epochs == 5.0
    assert same(standing(training), before)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_it_works_for_every_network_and_optimizer(
    network: str, optimizer: str, few: Splits
) -> None:
    assert_can_be_swept(begin(small(network, optimizer, "float32"), few))


@pytest.mark.parametrize("network", NETWORKS)
def test_it_works_for_every_network_in_half_precision(network: str, few: Splits) -> None:
    """With one optimizer: all of them get weights and gradients of full precision."""
    assert_can_be_swept(begin(small(network, "sgd", "bfloat16"), few))


class TestOnAGpu:
    pytestmark = gpu

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    @pytest.mark.parametrize("network", NETWORKS)
    def test_it_works_for_every_network_and_optimizer(
        self, network: str, optimizer: str, few: Splits
    ) -> None:
        assert_can_be_swept(Training(small(network, optimizer, "auto"), few, seed=0, device=CUDA))

    def test_a_sweep_ends_where_the_loss_runs_away(self, small_splits: Splits) -> None:
        recipe = Recipe(optimizer=Sgd(), batch_size=20)
        result = sweep(Training(recipe, small_splits, seed=0, device=CUDA), LONG)
        assert 50 < len(result.loss) < len(result.lr)

    @pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
    def test_no_step_makes_the_host_wait(self, small_splits: Splits) -> None:
        steps = Training(EVERYTHING, small_splits, seed=0, device=CUDA).steps([1e-3] * 30)
        for _ in range(10):  # libraries start up, optimizers make their states
            next(steps)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            losses = list(steps)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert {loss.device for loss in losses} == {CUDA}
