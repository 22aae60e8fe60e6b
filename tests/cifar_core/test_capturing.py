"""Captured steps train like others. No GPU is needed: what is recorded here is called again."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cifar_core import capturing, trainer
from cifar_core.capturing import WARM_UP, Capture, Taken, lacks_for_capturing
from cifar_core.data.resident import Splits
from cifar_core.recipe import Adam, Optimizer, Plateau, Recipe, Sgd
from cifar_core.trainer import Training
from tests.cifar_core.trainings import EVERYTHING, begin, same
from tests.conftest import part_of

CPU = torch.device("cpu")


class Recorder:
    """Stands for `capturing.recorded`: repeats a step on the tensors that it was recorded with."""

    def __init__(self) -> None:
        self.recorded = 0
        self.replayed = 0

    def __call__(self, step: Callable[[], Taken]) -> Callable[[], Taken]:
        self.recorded += 1
        kept: list[Tensor] = []

        def replay() -> Taken:
            self.replayed += 1
            loss, logits = step()
            if not kept:
                kept.extend((loss, logits))
            # A graph writes its results into the same tensors each time.
            return kept[0].copy_(loss), kept[1].copy_(logits)

        return replay


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Trainings capture on the CPU."""
    made = Recorder()
    monkeypatch.setattr(trainer, "Capture", lambda step: Capture(step, made))
    monkeypatch.setattr(trainer, "lacks_for_capturing", lambda _: None)
    return made


@pytest.fixture
def few(small_splits: Splits) -> Splits:
    """96 images to train on, 96 to validate on: three steps of 32."""
    return part_of(small_splits, 96)


def captured(recipe: Recipe, splits: Splits) -> Training:
    return Training(recipe, splits, seed=0, device=CPU, clock=lambda: 0.0, capture_steps=True)


@pytest.mark.parametrize("optimizer", [Sgd(lr=0.05), Adam(lr=0.01)], ids=lambda one: one.name)
def test_a_captured_training_is_the_other_but_for_rounding(
    few: Splits, recorder: Recorder, optimizer: Optimizer
) -> None:
    recipe = EVERYTHING.model_copy(update={"optimizer": optimizer})
    one, other = captured(recipe, few), begin(recipe, few)
    for found, expected in zip(one.epochs(), other.epochs(), strict=True):
        assert found.train_loss == pytest.approx(expected.train_loss, rel=1e-4)
        assert found.lr == expected.lr
    assert (recorder.recorded, recorder.replayed) == (1, 3 * recipe.epochs - WARM_UP)
    assert one.not_captured is None
    assert same(one.state_dict()["random"], other.state_dict()["random"])


def test_a_saved_state_is_the_same_kind_whether_steps_are_captured_or_not(
    few: Splits, recorder: Recorder
) -> None:
    """So the switch may be turned between the sessions of a study."""
    recipe = EVERYTHING.model_copy(update={"optimizer": Adam(lr=0.01)})
    whole, plain = captured(recipe, few), begin(recipe, few)
    first = next(whole.epochs())
    plain.load_state_dict(whole.state_dict())
    again = captured(recipe, few)
    again.load_state_dict(plain.state_dict())
    histories = [list(one.epochs()) for one in (whole, plain, again)]
    for history in histories[1:]:
        losses = [epoch.train_loss for epoch in history]
        assert losses == pytest.approx([epoch.train_loss for epoch in histories[0]], rel=1e-4)
    assert first.number == 1
    assert recorder.recorded == 2  # the loaded state has other tensors, so steps are captured again


def test_going_back_to_the_best_epoch_captures_again(few: Splits, recorder: Recorder) -> None:
    plateau = Plateau(patience=1, divisor=10.0)
    recipe = Recipe(optimizer=Sgd(lr=1.0), schedule=plateau, batch_size=16, epochs=8)
    one, other = captured(recipe, few), begin(recipe, few)
    found = [(epoch.back_to, epoch.lr) for epoch in one.epochs()]
    assert found == [(epoch.back_to, epoch.lr) for epoch in other.epochs()]
    backs = [back_to for back_to, _ in found if back_to is not None]
    assert backs
    assert recorder.recorded > 1


def test_losses_of_steps_stay_what_they_were(few: Splits, recorder: Recorder) -> None:
    losses = list(captured(EVERYTHING, few).steps([0.01] * 8))
    before = [loss.item() for loss in losses[:-1]]
    assert len(set(before)) == len(before)
    assert recorder.replayed == 8 - WARM_UP


def test_where_capturing_fails_steps_are_taken_as_they_are_and_the_reason_is_kept(
    few: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> Callable[[], Taken]:
        raise RuntimeError("operation not permitted when stream is capturing\nsecond line")

    monkeypatch.setattr(trainer, "Capture", lambda step: Capture(step, fails))
    monkeypatch.setattr(trainer, "lacks_for_capturing", lambda _: None)
    one, other = captured(EVERYTHING, few), begin(EVERYTHING, few)
    for found, expected in zip(one.epochs(), other.epochs(), strict=True):
        assert found.train_loss == pytest.approx(expected.train_loss, rel=1e-4)
    assert one.not_captured == "RuntimeError: operation not permitted when stream is capturing"


def test_too_little_memory_is_an_error_as_ever() -> None:
    def fails(_: object) -> Callable[[], Taken]:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    capture = Capture(lambda images, labels: (images.sum(), labels), fails)
    batch = torch.zeros(2, 3), torch.zeros(2)
    for _ in range(WARM_UP):
        capture(*batch)
    with pytest.raises(torch.OutOfMemoryError):
        capture(*batch)


def test_a_batch_of_another_shape_is_trained_on_as_it_is() -> None:
    recorder = Recorder()
    capture = Capture(lambda images, _: (images.sum(), images), recorder)
    for _ in range(WARM_UP + 2):
        capture(torch.ones(4), torch.zeros(4))
    assert capture(torch.ones(3), torch.zeros(3))[0].item() == 3.0
    assert recorder.replayed == 2
    assert capture(2 * torch.ones(4), torch.zeros(4))[0].item() == 8.0
    assert recorder.replayed == 3


def test_without_a_cuda_device_the_reason_is_known_at_once(few: Splits) -> None:
    training = captured(EVERYTHING, few)
    assert training.not_captured == "CUDA graphs need a CUDA device, not cpu"
    assert lacks_for_capturing(torch.device("cuda", 1)) is None
    assert capturing.WARM_UP > 0


def test_steps_are_not_captured_unless_that_is_asked_for(few: Splits) -> None:
    assert begin(EVERYTHING, few).not_captured is None
    assert begin(EVERYTHING, few)._capture is None
