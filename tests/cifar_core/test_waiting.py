"""No step makes the host wait for a GPU: every operation is looked at, on tensors without content."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from bench.launches import CUDA, META, empty_splits, trainable_on_meta
from cifar_core import trainer
from cifar_core.data.resident import Normalization, training_batches
from cifar_core.device import Backend, sent
from cifar_core.lr_range import Ramp, sweep
from cifar_core.models import network_of
from cifar_core.recipe import Augmentation, Recipe
from cifar_core.stepping import evaluate
from cifar_core.trainer import Training
from tests.cifar_core.trainings import EVERYTHING
from tests.cifar_core.waiting import WAITS, HostWaitsError, watching
from tests.test_conformance import RECIPES, augmentations

BASE = Recipe(batch_size=8, epochs=1)
FIRST_SUM, SECOND_SUM = "_one_epoch", "evaluate"
EPOCH_READS = sorted([FIRST_SUM, FIRST_SUM, SECOND_SUM, SECOND_SUM])
"""A loss and a count of training, and the same of validation, whatever the number of steps."""


@pytest.fixture
def on_meta() -> Iterator[None]:
    with trainable_on_meta():
        yield


def trained(recipe: Recipe, steps: int = 2, validation: int = 33) -> Training:
    """A training of empty images; making it waits, which is done once a trial."""
    splits = empty_splits(META, steps * recipe.batch_size, validation)
    return Training(recipe, splits, seed=0, device=META, clock=lambda: 0.0)


def reads_of_an_epoch(training: Training) -> list[str]:
    with watching(answer=1.0) as watch:
        next(training.epochs())
    return sorted(watch.reads)


# What the watch sees


def branch(values: Tensor) -> Tensor:
    return values if values.sum() > 0 else -values


def assign(values: Tensor, index: Any, new: Any) -> Tensor:
    values[index] = new
    return values


def host(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape, device="cpu", **options)


def whole(values: Tensor) -> Tensor:
    return values.long()


WAITING: dict[str, Callable[[Tensor], object]] = {
    "item": lambda values: values.sum().item(),
    "float": lambda values: float(values.sum()),
    "a branch": branch,
    "the bound of a loop": lambda values: range(whole(values.sum())),
    "tolist": lambda values: values.tolist(),
    "an answer": lambda values: torch.equal(values, values),
    "nearly equal": lambda values: torch.allclose(values, values),
    "a boolean index": lambda values: values[values > 0],
    "a boolean assignment": lambda values: assign(values, values > 0, 0.0),
    "an index from the host": lambda values: values[host(2, dtype=torch.int64)],
    "a list as an index": lambda values: values[[0, 1]],
    "places": lambda values: values.nonzero(),
    "chosen values": lambda values: values.masked_select(values > 0),
    "different values": lambda values: values.unique(),
    "counts": lambda values: whole(values).bincount(),
    "repeats": lambda values: values.repeat_interleave(whole(values)),
    "a value to fill in": lambda values: values.masked_fill(values > 0, values.sum()),
    "a factorisation": lambda values: torch.linalg.eigh(values.outer(values)),
    "cpu": lambda values: values.cpu(),
    "a copy to the host": lambda values: host(4).copy_(values),
    "a copy to pinned memory": lambda values: host(4, pin_memory=True).copy_(
        values, non_blocking=True
    ),
    "numbers from the host": lambda values: torch.tensor([1.0, 2.0], device=values.device),
    "an unpinned copy": lambda values: host(4).to(values.device, non_blocking=True),
    "an unpinned copy into place": lambda values: values.copy_(host(4), non_blocking=True),
    "a copy that is waited for": lambda values: host(4, pin_memory=True).to(values.device),
}
HARMLESS: dict[str, Callable[[Tensor], object]] = {
    "an index from the device": lambda values: values[whole(values)],
    "an assignment at an index": lambda values: assign(values, whole(values), 0.0),
    "a slice": lambda values: values[1:3],
    "a choice": lambda values: torch.where(values > 0, values, 0.0),
    "a number to fill in": lambda values: values.masked_fill(values > 0, 1.0),
    "a number from the host": lambda values: values * 3.0 + host(),
    "repeats of known sum": lambda values: values.repeat_interleave(whole(values), output_size=4),
    "another type": lambda values: values.to(torch.bfloat16),
    "a copy on the device": lambda values: values.clone().copy_(values),
    "a copy on the host": lambda _: host(4).copy_(host(4)),
    "a pinned copy": lambda values: host(4).pin_memory().to(values.device, non_blocking=True),
    "a part of a pinned copy": lambda values: host(2, 4, pin_memory=True)[1].to(
        values.device, non_blocking=True
    ),
    "what is sent": lambda values: sent(np.zeros(4, np.float32), values.device),
    "its size": lambda values: (len(values), values.shape, values.numel()),
}


@pytest.mark.parametrize("inference", [False, True], ids=["fake", "meta in inference mode"])
def test_the_watch_refuses_what_waits_and_nothing_else(inference: bool) -> None:
    refused = set()
    with nullcontext() if inference else FakeTensorMode(), torch.inference_mode(inference):
        values = torch.zeros(4, device=META if inference else CUDA)
        for name, does in (WAITING | HARMLESS).items():
            try:
                with watching():
                    does(values)
            except HostWaitsError:
                refused.add(name)
    assert refused == WAITING.keys()


def test_the_operations_that_are_named_exist() -> None:
    assert [name for name in WAITS if not hasattr(torch.ops.aten, name)] == []


# Batches and networks, on a GPU that is not there


@pytest.mark.parametrize("augmentation", augmentations().values(), ids=augmentations())
def test_no_batch_waits(augmentation: Augmentation) -> None:
    with FakeTensorMode():
        splits = empty_splits(CUDA)
        normalize = Normalization.of(BASE, splits)
        choices = np.random.default_rng(0)
        with watching():
            batches = list(
                training_batches(splits.train, 32, augmentation, normalize, None, choices, 64)
            )
    assert [len(images) for images, _ in batches] == [32, 32]
    assert {each.device for batch in batches for each in batch} == {CUDA}


@pytest.mark.parametrize("key", [key for key in RECIPES if key.startswith("network")])
def test_no_forward_pass_in_half_precision_waits(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That none in full precision does, whole epochs show below."""
    # Without a GPU autocast would switch itself off.
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    recipe = BASE.model_copy(update=RECIPES[key])
    with FakeTensorMode():
        with CUDA:
            network = network_of(recipe.network)
            images, labels = torch.zeros(8, 3, 32, 32), torch.zeros(8, dtype=torch.int64)
        with watching(), Backend(CUDA, torch.bfloat16, 1).precision():
            logits = network(images)
            loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
    assert (logits.dtype, loss.device) == (torch.bfloat16, CUDA)


def test_evaluation_waits_for_its_two_sums_alone() -> None:
    with FakeTensorMode():
        splits = empty_splits(CUDA)
        normalize = Normalization.of(EVERYTHING, splits)
        with CUDA:
            network = network_of(EVERYTHING.network)
        with watching(answer=1.0) as watch:
            evaluate(network, splits.validation, normalize, Backend(CUDA, None, 10))
    assert watch.reads == ["evaluate", "evaluate"]


# Whole trainings, with backward pass and optimizer, on tensors that are nowhere


@pytest.mark.usefixtures("on_meta")
@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_an_epoch_reads_four_sums_and_nothing_else(changes: dict[str, Any]) -> None:
    assert reads_of_an_epoch(trained(BASE.model_copy(update=changes))) == EPOCH_READS


@pytest.mark.usefixtures("on_meta")
@pytest.mark.parametrize(("steps", "validation"), [(1, 5), (9, 95)])
def test_more_steps_and_images_do_not_read_more(steps: int, validation: int) -> None:
    assert reads_of_an_epoch(trained(EVERYTHING, steps, validation)) == EPOCH_READS


@pytest.mark.usefixtures("on_meta")
def test_a_sweep_reads_once_every_so_many_steps_and_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = trained(EVERYTHING)
    monkeypatch.setitem(sweep.__globals__, "CHECK_EVERY", 5)
    # The copy is made once a sweep, and is a training that is made: see `trained`.
    monkeypatch.setattr(training, "twin", lambda: training)
    with watching(answer=1.0) as watch:
        found = sweep(training, Ramp(low=0.1, high=1.0, steps=10))
    assert len(found.loss) == 10
    assert watch.reads == ["sweep"] * (2 + 1)


def read_in_the_backward_pass(_: pytest.MonkeyPatch, training: Training) -> None:
    layer = next(each for each in training.network.modules() if isinstance(each, nn.Linear))
    layer.weight.register_hook(lambda grad: grad / max(grad.norm().item(), 1.0))


def read_in_the_loop(monkeypatch: pytest.MonkeyPatch, _: Training) -> None:
    step = trainer.train_step

    def printing(*args: Any) -> tuple[Tensor, Tensor]:
        loss, logits = step(*args)
        assert float(loss) < 1e9
        return loss, logits

    monkeypatch.setattr(trainer, "train_step", printing)


@pytest.mark.usefixtures("on_meta")
@pytest.mark.parametrize("spoil", [read_in_the_backward_pass, read_in_the_loop])
def test_a_training_that_reads_in_its_steps_is_caught(
    spoil: Callable[[pytest.MonkeyPatch, Training], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = trained(EVERYTHING)
    spoil(monkeypatch, training)
    with pytest.raises(HostWaitsError, match="_local_scalar_dense"), watching():
        next(training.epochs())
