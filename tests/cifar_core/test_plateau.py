"""The plateau schedule: when the rate is divided, from where training goes on, and when it ends."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_core import trainer
from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Splits
from cifar_core.plateau import PlateauControl, Verdict
from cifar_core.recipe import Net, Plateau, Recipe, Sgd
from tests.cifar_core.trainings import EVERYTHING, alike, begin, finished, same
from tests.conftest import part_of

LEARNING = Recipe(
    network=Net(batch_norm=True),
    optimizer=Sgd(lr=0.1),
    schedule=Plateau(patience=2, divisor=10.0),
    batch_size=32,
    epochs=12,
)


def judged(control: PlateauControl, number: int, accuracy: float) -> Verdict:
    return control.judge(number, 1.0 - accuracy, accuracy)


def verdicts(accuracies: Sequence[float], patience: int = 2) -> list[Verdict]:
    control = PlateauControl(Plateau(patience=patience))
    return [judged(control, n, one) for n, one in enumerate(accuracies, start=1)]


@pytest.fixture(scope="module")
def few(small_splits: Splits) -> Splits:
    return part_of(small_splits, 96)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets a training see the validation accuracies that a test gives it."""

    def script(*accuracies: float) -> None:
        rest: Iterator[float] = iter(accuracies)

        def found(*_: object) -> tuple[float, float]:
            accuracy = next(rest)
            return 1.0 - accuracy, accuracy

        monkeypatch.setattr(trainer, "evaluate", found)

    return script


# What follows from an epoch


def test_the_rate_is_divided_after_so_many_epochs_without_a_new_best() -> None:
    assert verdicts([0.3, 0.4, 0.35, 0.38], patience=2) == ["best", "best", "wait", "divide"]
    assert verdicts([0.3, 0.4, 0.35, 0.38], patience=3) == ["best", "best", "wait", "wait"]


def test_a_new_best_starts_the_waiting_anew() -> None:
    assert verdicts([0.4, 0.3, 0.5, 0.3, 0.3]) == ["best", "wait", "best", "wait", "divide"]


def test_an_equal_epoch_is_kept_and_is_still_no_rise() -> None:
    """Of equals the later is gone on from, but accuracy that only stays has stopped rising."""
    assert verdicts([0.4, 0.4, 0.4]) == ["best", "best", "divide"]
    control = PlateauControl(Plateau(patience=5))
    for number, accuracy in enumerate([0.4, 0.3, 0.4, 0.1], start=1):
        judged(control, number, accuracy)
    assert control.best[0] == 3


def test_it_has_converged_when_a_divided_rate_brings_nothing_better() -> None:
    assert verdicts([0.4, 0.3, 0.3, 0.4, 0.2]) == ["best", "wait", "divide", "best", "converged"]
    better_once = [0.4, 0.3, 0.3, 0.5, 0.2, 0.2, 0.1, 0.1]
    assert verdicts(better_once)[-3:] == ["divide", "wait", "converged"]


@pytest.mark.parametrize("divisor", [2.0, 5.0, 10.0])
def test_each_division_is_by_the_divisor(divisor: float) -> None:
    control = PlateauControl(Plateau(patience=1, divisor=divisor))
    factors = []
    for number, accuracy in enumerate([0.1, 0.1, 0.2, 0.1, 0.3, 0.1], start=1):
        judged(control, number, accuracy)
        factors.append(control.factor)
    one, two, three = 1 / divisor, 1 / divisor**2, 1 / divisor**3
    assert factors == pytest.approx([1.0, one, one, two, two, three])


@given(
    accuracies=st.lists(st.integers(0, 6).map(lambda n: n / 6), max_size=30),
    patience=st.integers(1, 4),
    cut=st.integers(0, 30),
)
def test_a_control_that_was_saved_and_loaded_judges_alike(
    accuracies: list[float], patience: int, cut: int
) -> None:
    record = Plateau(patience=patience)
    control = PlateauControl(record)
    for number, accuracy in enumerate(accuracies, start=1):
        if number == cut:
            state = control.state_dict()
            control = PlateauControl(record)
            control.load_state_dict(state)
        judged(control, number, accuracy)
    undisturbed = PlateauControl(record)
    for number, accuracy in enumerate(accuracies, start=1):
        judged(undisturbed, number, accuracy)
    assert control.state_dict() == undisturbed.state_dict()


# In a training


def test_training_goes_on_from_the_best_epoch_with_the_smaller_rate(
    few: Splits, scripted: Any
) -> None:
    scripted(0.3, 0.4, 0.2, 0.1, 0.1, 0.1)
    training = begin(LEARNING, few)
    epochs = training.epochs()
    next(epochs), next(epochs)
    best = training.state_dict()
    next(epochs)
    worse = training.state_dict()
    back = next(epochs)
    state = training.state_dict()
    assert back.back_to == 2
    assert (back.validation_accuracy, back.validation_loss) == (0.4, pytest.approx(0.6))
    for part in ("network", "optimizer"):
        assert not same(worse[part], best[part])
    assert same(state["network"], best["network"])
    assert same(state["optimizer"]["state"], best["optimizer"]["state"])  # momentum as well
    assert next(epochs).lr == pytest.approx(0.01)


def test_going_back_does_not_repeat_the_order_of_the_images(few: Splits, scripted: Any) -> None:
    scripted(*[0.4, 0.1, 0.1] * 4)
    training = begin(LEARNING, few)
    epochs = training.epochs()
    next(epochs)
    before = training.state_dict()["random"]
    next(epochs), next(epochs)
    assert not same(training.state_dict()["random"], before)


def test_a_converged_run_ends_early_with_the_network_of_its_best_epoch(
    few: Splits, scripted: Any
) -> None:
    scripted(0.3, 0.4, 0.2, 0.1, 0.3, 0.2)
    training = begin(LEARNING, few)
    epochs = training.epochs()
    next(epochs), next(epochs)
    best = training.state_dict()["network"]
    assert [(one.back_to, one.converged) for one in epochs] == [
        (None, False),
        (2, False),
        (None, False),
        (2, True),
    ]
    assert same(training.state_dict()["network"], best)
    assert training.history[-1].is_last
    assert list(training.epochs()) == []


def test_a_run_that_is_out_of_epochs_ends_with_its_best_network_too(
    few: Splits, scripted: Any
) -> None:
    scripted(0.3, 0.4, 0.2)
    training = begin(LEARNING.model_copy(update={"epochs": 3}), few)
    epochs = training.epochs()
    next(epochs), next(epochs)
    best = training.state_dict()["network"]
    last = next(epochs)
    assert (last.back_to, last.validation_accuracy, last.converged) == (2, 0.4, False)
    assert same(training.state_dict()["network"], best)


def test_what_a_run_ends_with_is_what_its_last_epoch_says(small_splits: Splits) -> None:
    training = finished(LEARNING, small_splits)
    last = training.history[-1]
    assert training.evaluate(small_splits.validation) == pytest.approx(
        (last.validation_loss, last.validation_accuracy)
    )
    assert last.validation_accuracy == max(one.validation_accuracy for one in training.history)


def test_a_run_that_was_stopped_after_any_epoch_ends_with_the_same_bits(
    few: Splits, tmp_path: Path
) -> None:
    recipe = EVERYTHING.model_copy(
        update={"schedule": Plateau(patience=1, divisor=2.0), "epochs": 8}
    )
    whole = begin(recipe, few)
    states = [tmp_path / f"{number}.pt" for number in range(9)]
    save_state(whole.state_dict(), states[0])
    for one in whole.epochs():
        save_state(whole.state_dict(), states[one.number])
    assert {one.back_to is None for one in whole.history} == {True, False}
    for path in states[: len(whole.history) + 1]:
        resumed = begin(recipe, few)
        resumed.load_state_dict(load_state(path))
        list(resumed.epochs())
        assert alike(resumed, whole)


def test_a_loss_that_is_no_number_ends_the_run_as_ever(few: Splits) -> None:
    recipe = LEARNING.model_copy(update={"optimizer": Sgd(lr=1000.0)})
    training = finished(recipe, few)
    assert training.history[-1].diverged
    assert not training.history[-1].converged
    assert len(training.history) < recipe.epochs


def test_the_state_of_a_run_can_be_looked_at_as_plain_values(few: Splits, scripted: Any) -> None:
    scripted(0.3, 0.4)
    training = begin(LEARNING.model_copy(update={"epochs": 2}), few)
    list(training.epochs())
    plateau = training.state_dict()["plateau"]
    assert plateau["standing"]["epoch"] == 2
    assert asdict(training.history[1])["back_to"] is None
