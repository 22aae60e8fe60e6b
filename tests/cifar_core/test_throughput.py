"""The speed of a training, by a clock that moves only where a device is waited for."""

from collections.abc import Iterator

import pytest
import torch

from cifar_core.data.resident import Splits
from cifar_core.recipe import Recipe
from cifar_core.throughput import SCORED_IMAGES, Throughput, measure_throughput
from cifar_core.trainer import Training
from tests.cifar_core.trainings import EVERYTHING

CUDA = torch.device("cuda", 0)
NARROW = Recipe(batch_size=20)


class Work:
    """A device whose work is done while it is waited for.

    Args:
        seconds: What each wait takes; the last one stands for all that follow.
    """

    def __init__(self, *seconds: float) -> None:
        self.now = 0.0
        self._looks = 0
        self._seconds = list(seconds)

    def wait(self, device: torch.device) -> None:
        assert device == torch.device("cpu")
        self.now += self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]

    def clock(self) -> float:
        self._looks += 1
        assert self._looks < 1_000, "the clock does not move: the device is not waited for"
        return self.now


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate of every step that is taken."""
    taken: list[float] = []
    before = Training.steps

    def told(rates: Iterator[float]) -> Iterator[float]:
        for rate in rates:
            taken.append(rate)
            yield rate

    def counted(self: Training, rates: Iterator[float]) -> Iterator[torch.Tensor]:
        return before(self, told(rates))

    monkeypatch.setattr(Training, "steps", counted)
    return taken


def measured(
    splits: Splits, *seconds: float, recipe: Recipe = NARROW, lasting: float = 1.0
) -> Throughput:
    work = Work(*seconds)
    cpu = torch.device("cpu")
    return measure_throughput(recipe, splits, cpu, lasting, clock=work.clock, wait=work.wait)


def test_images_are_counted_between_the_ends_of_the_devices_work(small_splits: Splits) -> None:
    # One step of 20 images in half a second, then two; all 100 validation images in half a second.
    assert measured(small_splits, 0.5) == Throughput(training=60.0, evaluation=200.0)


def test_a_slow_start_does_not_count(small_splits: Splits) -> None:
    start = 0.0, 100.0
    assert measured(small_splits, *start, 0.5) == Throughput(training=60.0, evaluation=200.0)


def test_half_a_second_of_training_comes_before_what_counts(
    small_splits: Splits, steps: list[float]
) -> None:
    measured(small_splits, 0.125, lasting=0.125)
    assert len(steps) == (1 + 2 + 4 + 8) + 1
    assert set(steps) == {NARROW.optimizer.lr}


@pytest.mark.parametrize(("lasting", "counted"), [(0.5, 1), (3.0, 1 + 2 + 4 + 8 + 16 + 16)])
def test_it_lasts_as_long_as_asked_for(
    small_splits: Splits, steps: list[float], lasting: float, counted: int
) -> None:
    measured(small_splits, 0.5, lasting=lasting)
    assert len(steps) == 1 + counted


def test_of_fewer_images_than_a_batch_asks_for_those_are_counted_that_there_are(
    small_splits: Splits,
) -> None:
    recipe = Recipe(batch_size=8192)
    assert measured(small_splits, 0.5, recipe=recipe).training == 3 * 300


def test_a_score_on_more_images_than_needed_is_not_taken(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar_core.throughput.SCORED_IMAGES", 40)
    assert measured(small_splits, 0.5).evaluation == 80.0
    assert SCORED_IMAGES % 250 == 0  # whole batches, on a CPU as on a GPU


def test_it_leaves_everybodys_random_numbers_as_they_were(small_splits: Splits) -> None:
    before = torch.get_rng_state()
    measured(small_splits, 0.5, recipe=EVERYTHING)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_real_clock_gives_a_speed(small_splits: Splits) -> None:
    found = measure_throughput(EVERYTHING, small_splits, torch.device("cpu"), 0.1)
    assert 10 < found.training < found.evaluation < 1e7


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_a_gpu_is_waited_for(small_splits: Splits) -> None:
    found = measure_throughput(Recipe(), small_splits, CUDA, 1.0)
    assert 1_000 < found.training < 1e7
    assert 1_000 < found.evaluation < 1e8
