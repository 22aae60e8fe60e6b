"""The trainer: it learns, is reproducible, minds its own random numbers, and measures right."""

from contextlib import closing, suppress
from itertools import count

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from cifar_core import trainer
from cifar_core.data.resident import Normalization, Part, Splits
from cifar_core.device import Backend
from cifar_core.errors import RecipeError
from cifar_core.models import network_of
from cifar_core.recipe import Adam, Cosine, Net, OneCycle, Optimizer, Recipe, Sgd
from cifar_core.schedules import schedule_of
from cifar_core.stepping import answers, evaluate, set_lr
from cifar_core.trainer import Training
from tests.cifar_core.trainings import EVERYTHING, alike, begin, finished
from tests.conftest import part_of

LEARNER = Recipe(
    network=Net(batch_norm=True),
    optimizer=Adam(lr=0.003),
    schedule=Cosine(),
    batch_size=20,
    epochs=6,
)
STILL = Recipe(network=Net(), optimizer=Sgd(lr=1e-12, momentum=0.0), batch_size=32, epochs=3)


@pytest.fixture
def few(small_splits: Splits) -> Splits:
    """96 images to train on, 96 to validate on: three steps of 32."""
    return part_of(small_splits, 96)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Tensor, Tensor]]:
    """What each step was given: the rate, the images, the labels."""
    seen: list[tuple[float, Tensor, Tensor]] = []

    def spy(
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        images: Tensor,
        labels: Tensor,
        label_smoothing: float,
        backend: Backend,
    ) -> tuple[Tensor, Tensor]:
        seen.append((optimizer.param_groups[0]["lr"], images, labels))
        return original(network, optimizer, images, labels, label_smoothing, backend)

    original = trainer.train_step
    monkeypatch.setattr(trainer, "train_step", spy)
    return seen


# Learning


def test_a_network_learns_to_tell_bright_images_from_dark_ones(small_splits: Splits) -> None:
    history = finished(LEARNER, small_splits).history
    assert history[-1].validation_accuracy > 0.9
    assert history[-1].train_loss < history[0].train_loss / 2


@pytest.mark.parametrize(
    "optimizer",
    [Sgd(lr=0.01), pytest.param(Adam(lr=0.002), marks=pytest.mark.slow)],
    ids=lambda one: one.name,
)
def test_a_network_with_batch_norm_learns_real_images_in_three_epochs(
    real_splits: Splits, optimizer: Optimizer
) -> None:
    recipe = Recipe(
        network=Net(batch_norm=True),
        optimizer=optimizer,
        schedule=OneCycle(),
        batch_size=32,
        epochs=3,
        normalization="standard",
    )
    assert finished(recipe, real_splits).history[-1].validation_accuracy > 0.35


@pytest.mark.slow
def test_bfloat16_on_the_cpu_learns_as_well(small_splits: Splits) -> None:
    recipe = LEARNER.model_copy(update={"precision": "bfloat16"})
    assert finished(recipe, small_splits).history[-1].validation_accuracy > 0.9


# Reproducibility


def test_the_same_seed_gives_the_same_bits(few: Splits) -> None:
    assert alike(finished(EVERYTHING, few), finished(EVERYTHING, few))


@pytest.mark.parametrize(("one", "other"), [(0, 1), (1, 2)])
def test_another_seed_gives_other_weights_and_another_order(
    few: Splits, one: int, other: int, steps: list[tuple[float, Tensor, Tensor]]
) -> None:
    first, second = (begin(STILL, few, seed) for seed in (one, other))
    for mine, others in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert not torch.equal(mine, others)
    next(first.epochs())
    next(second.epochs())
    assert not torch.equal(steps[0][2], steps[3][2])


def test_two_trainings_side_by_side_do_not_disturb_each_other(few: Splits) -> None:
    pair = [begin(EVERYTHING, few, seed) for seed in (0, 1)]
    both = zip(*(training.epochs() for training in pair), strict=True)
    assert len(list(both)) == EVERYTHING.epochs
    for seed, training in enumerate(pair):
        assert alike(training, finished(EVERYTHING, few, seed))


def test_random_numbers_that_the_caller_draws_in_between_change_nothing(few: Splits) -> None:
    training = begin(EVERYTHING, few)
    for _ in training.epochs():
        torch.manual_seed(int(torch.randint(99, ())))
        nn.Dropout()(torch.ones(50))
    assert alike(training, finished(EVERYTHING, few))


def test_pytorchs_global_random_numbers_are_left_as_they_were_found(few: Splits) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    training = begin(EVERYTHING, few)
    assert torch.equal(torch.get_rng_state(), before)
    with closing(training.epochs()) as epochs:  # type: ignore[type-var]
        next(epochs)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)
    training.evaluate(few.validation)
    training.load_state_dict(training.state_dict())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_failure_within_an_epoch_leaves_global_random_numbers_as_they_were_found(
    few: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        torch.rand(3)
        raise KeyboardInterrupt

    training = begin(EVERYTHING, few)
    monkeypatch.setattr(trainer, "train_step", fail)
    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        next(training.epochs())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_order_of_the_images_differs_from_epoch_to_epoch(
    few: Splits, steps: list[tuple[float, Tensor, Tensor]]
) -> None:
    finished(STILL, few)
    orders = [torch.cat([labels for _, _, labels in steps[at : at + 3]]) for at in (0, 3, 6)]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert not torch.equal(orders[one], orders[other])
        assert torch.equal(orders[one].sort()[0], orders[other].sort()[0])


# Epochs


def test_epochs_are_counted_from_1_and_end_with_the_recipes_last(few: Splits) -> None:
    training = begin(STILL, few)
    epochs = list(training.epochs())
    assert [epoch.number for epoch in epochs] == [1, 2, 3]
    assert epochs == training.history
    assert list(training.epochs()) == []


def test_asking_for_epochs_again_goes_on_where_the_run_stands(few: Splits) -> None:
    training = begin(EVERYTHING, few)
    with closing(training.epochs()) as epochs:  # type: ignore[type-var]
        next(epochs)
    assert [epoch.number for epoch in training.epochs()] == [2, 3]
    assert alike(training, finished(EVERYTHING, few))


@pytest.mark.parametrize(("batch_size", "number"), [(32, 3), (40, 2), (96, 1), (95, 1), (500, 1)])
def test_an_epoch_has_whole_batches_only_and_leaves_out_the_rest(
    few: Splits,
    batch_size: int,
    number: int,
    steps: list[tuple[float, Tensor, Tensor]],
) -> None:
    next(begin(Recipe(batch_size=batch_size), few).epochs())
    assert [len(labels) for _, _, labels in steps] == [min(batch_size, 96)] * number


@pytest.mark.parametrize("schedule", [Cosine(), OneCycle(warmup=0.3)], ids=lambda one: one.name)
def test_the_rate_moves_at_every_step_and_the_last_one_is_reported(
    few: Splits, schedule: Cosine | OneCycle, steps: list[tuple[float, Tensor, Tensor]]
) -> None:
    recipe = Recipe(optimizer=Sgd(lr=0.02), schedule=schedule, batch_size=32, epochs=4)
    training = finished(recipe, few)
    factor = schedule_of(schedule, epochs=4, steps_per_epoch=3)
    assert [lr for lr, _, _ in steps] == [0.02 * factor(step) for step in range(12)]
    assert [epoch.lr for epoch in training.history] == [0.02 * factor(n) for n in (2, 5, 8, 11)]


def test_a_run_that_diverges_yields_that_epoch_and_ends(few: Splits) -> None:
    recipe = Recipe(optimizer=Sgd(lr=1000.0), batch_size=8, epochs=5)
    training = begin(recipe, few)
    epochs = list(training.epochs())
    assert [epoch.diverged for epoch in epochs] == [True]
    assert list(training.epochs()) == []
    again = begin(recipe, few)
    again.load_state_dict(training.state_dict())
    assert list(again.epochs()) == []


def test_time_is_measured_by_the_clock_that_is_handed_in(few: Splits) -> None:
    ticks = count(100.0, 0.5)
    recipe = Recipe(batch_size=40)
    training = Training(recipe, few, seed=0, device=torch.device("cpu"), clock=lambda: next(ticks))
    epoch = next(training.epochs())
    assert epoch.seconds == 1.0  # a tick for training, one for validation
    assert epoch.images_per_second == 160.0  # 80 images in one tick


# Losses and accuracies


def by_hand(training: Training, part: Part) -> tuple[Tensor, Tensor]:
    """Logits of all images and their log-probabilities, for recipes that map bytes to [-1, 1]."""
    network = training.network.eval()
    with torch.no_grad():
        logits = torch.cat([network(one[None] / 127.5 - 1) for one in part.images.float()])
    return logits, logits - logits.logsumexp(1, keepdim=True)


def test_evaluation_is_what_one_computes_by_hand(small_splits: Splits) -> None:
    training = begin(LEARNER, small_splits)
    next(training.epochs())
    part = small_splits.train  # 300 images: a whole batch and a part of one
    logits, log_probabilities = by_hand(training, part)
    loss, accuracy = training.evaluate(part)
    chosen = log_probabilities[torch.arange(len(part)), part.labels]
    assert loss == pytest.approx(-chosen.mean().item(), rel=1e-5)
    assert accuracy == (logits.argmax(1) == part.labels).sum().item() / len(part)


def test_evaluation_does_not_depend_on_its_batch_size(small_splits: Splits) -> None:
    torch.manual_seed(0)
    network, part = network_of(Net(batch_norm=True, dropout=0.5)), small_splits.validation
    normalize = Normalization.of(LEARNER, small_splits)
    results = [
        evaluate(network, part, normalize, Backend(torch.device("cpu"), None, size))
        for size in (7, 100, 1000)
    ]
    assert len({accuracy for _, accuracy in results}) == 1
    assert [loss for loss, _ in results] == pytest.approx([results[0][0]] * 3, rel=1e-6)


def test_an_epochs_validation_is_that_of_its_network_on_the_validation_part(few: Splits) -> None:
    training = begin(EVERYTHING, few)
    epoch = next(training.epochs())
    assert training.evaluate(few.validation) == (epoch.validation_loss, epoch.validation_accuracy)


def test_evaluating_in_between_does_not_change_the_training(few: Splits) -> None:
    training = begin(EVERYTHING, few)
    for _ in training.epochs():
        training.evaluate(few.train)
    assert alike(training, finished(EVERYTHING, few))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_label_smoothing_enters_the_training_loss_and_not_the_validations(
    few: Splits, smoothing: float
) -> None:
    training = begin(STILL.model_copy(update={"label_smoothing": smoothing}), few)
    epoch = next(training.epochs())
    for part, loss, share in (
        (few.train, epoch.train_loss, smoothing),
        (few.validation, epoch.validation_loss, 0.0),
    ):
        _, log_probabilities = by_hand(training, part)
        target = F.one_hot(part.labels, 10) * (1 - share) + share / 10
        assert loss == pytest.approx(-(target * log_probabilities).sum(1).mean().item(), rel=1e-5)


def test_smoothing_changes_what_is_learned(few: Splits) -> None:
    recipe = Recipe(optimizer=Sgd(lr=0.1), batch_size=32, epochs=1)
    smoothed = recipe.model_copy(update={"label_smoothing": 0.3})
    ours, other = (finished(each, few).network.state_dict() for each in (recipe, smoothed))
    assert not torch.equal(ours["classifier.4.bias"], other["classifier.4.bias"])


def test_training_accuracy_counts_the_images_of_the_epoch(few: Splits) -> None:
    training = begin(STILL, few)
    epoch = next(training.epochs())
    logits, _ = by_hand(training, few.train)
    assert epoch.train_accuracy == (logits.argmax(1) == few.train.labels).sum().item() / 96


def test_set_lr_reaches_every_group() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(2)]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]


def test_batches_of_one_image_with_batch_norm_are_trained_on_or_refused_by_the_recipe(
    few: Splits,
) -> None:
    values = {"network": {"batch_norm": True}, "batch_size": 1, "epochs": 1}
    with suppress(RecipeError):
        assert len(finished(Recipe.read(values), few).history) == 1


class _FirstPixels(nn.Module):
    """Takes the first ten red pixels of an image for its logits."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, :10]


def test_flip_averaged_answers_follow_from_the_mean_of_both_logits(few: Splits) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (600, 3, 32, 32), generator=generator, dtype=torch.uint8)
    pixels = images[:, 0, 0].float()
    labels = (pixels[:, :10] + pixels[:, 22:].flip(-1)).argmax(1)
    part, network = Part(images, labels), _FirstPixels()
    normalize = Normalization.of(STILL, few)
    backend = Backend(torch.device("cpu"), None)
    assert answers(network, part, normalize, backend, flip_averaged=True).all()
    assert not answers(network, part, normalize, backend).all()
