"""What holds for every augmentation of single images, each policy, and all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from cifar_core.augmentation.geometry import crop, cutout, flip
from cifar_core.augmentation.pipeline import augment
from cifar_core.augmentation.policies import POLICIES, policy
from cifar_core.recipe import Augmentation
from tests.cifar_core.augmentation.batches import (
    NothingWaits,
    chooser,
    counts,
    examples,
    random_images,
    seeded,
    seeds,
    sides,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Generator = torch.Generator | None
    Augment = Callable[[Tensor, Generator, np.random.Generator], Tensor]

DEVICE_DRAWS: dict[str, Augment] = {
    "flip": lambda images, generator, _: flip(images, 0.5, generator),
    "crop": lambda images, generator, _: crop(images, 4, generator),
    "reflecting crop": lambda images, generator, _: crop(images, 4, generator, "reflect"),
    "cutout": lambda images, generator, _: cutout(images, 8, generator),
}
WHOLE = Augmentation(
    flip=0.5, crop_padding=2, crop_fill="reflect", cutout=3, probability=0.8, strength=1.0
)


def by_policy(name: str) -> Augment:
    return lambda images, generator, choices: policy(images, name, 1.0, 1.0, generator, choices)


def by_record(record: Augmentation) -> Augment:
    return lambda images, generator, choices: augment(images, record, generator, choices)


EVERY: dict[str, Augment] = (
    DEVICE_DRAWS
    | {name: by_policy(name) for name in POLICIES}
    | {
        f"all with {name}": by_record(WHOLE.model_copy(update={"policy": name}))
        for name in POLICIES
    }
)
every = pytest.mark.parametrize("each", EVERY.values(), ids=EVERY)


@every
@given(count=counts, height=sides, width=sides, seed=seeds)
@examples
def test_shape_and_type_are_kept_and_the_given_images_are_not_changed(
    each: Augment, count: int, height: int, width: int, seed: int
) -> None:
    images = random_images(count, height, width, seed)
    before = images.clone()
    result = each(images, seeded(seed), chooser(seed))
    assert (result.shape, result.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, before)


@every
def test_the_memory_layout_of_the_images_does_not_matter(each: Augment) -> None:
    images = random_images(33)
    channels_last = images.contiguous(memory_format=torch.channels_last)
    expected = each(images, seeded(), chooser())
    difference = each(channels_last, seeded(), chooser()).int() - expected
    # A mean summed in another order may round differently, and a later operation see the edge of it.
    assert (difference.abs() > 1).double().mean() < 1e-3


@every
@given(count=counts, height=sides, width=sides, seed=seeds)
@examples
def test_the_same_seeds_give_the_same_images(
    each: Augment, count: int, height: int, width: int, seed: int
) -> None:
    images = random_images(count, height, width, seed)
    first = each(images, seeded(seed), chooser(seed))
    assert torch.equal(first, each(images, seeded(seed), chooser(seed)))


@every
def test_other_seeds_give_other_images(each: Augment) -> None:
    images = random_images(64)
    assert not torch.equal(each(images, seeded(0), chooser(0)), each(images, seeded(1), chooser(1)))


@every
def test_the_images_of_a_batch_get_different_draws(each: Augment) -> None:
    images = random_images(1).expand(64, 3, 32, 32)
    distinct = len(torch.unique(each(images, seeded(), chooser()).flatten(1), dim=0))
    assert distinct == 2 if each is EVERY["flip"] else distinct > 25


@every
def test_given_sources_of_draws_leave_the_global_ones_alone(each: Augment) -> None:
    before, host = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002 -- to see it stay
    each(random_images(12), seeded(), chooser())
    assert torch.equal(torch.get_rng_state(), before)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(*pair) for pair in zip(host, after, strict=True))


@every
def test_without_a_generator_the_global_one_decides(each: Augment) -> None:
    images = random_images(64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        first = each(images, None, chooser())
        torch.manual_seed(5)
        assert torch.equal(each(images, None, chooser()), first)


@every
def test_autocast_does_not_coarsen_the_images(each: Augment) -> None:
    images = random_images(64)
    expected = each(images, seeded(), chooser())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(each(images, seeded(), chooser()), expected)


@every
@pytest.mark.parametrize("count", [1, 64])
def test_no_value_of_a_tensor_decides_what_is_computed(each: Augment, count: int) -> None:
    images, generator = random_images(count), seeded()
    with NothingWaits():
        each(images, generator, chooser())


@every
@pytest.mark.parametrize(
    ("count", "seed"),
    [(1, 0), *(pytest.param(1, seed, marks=pytest.mark.slow) for seed in (1, 2)), (64, 0)],
)
def test_the_same_code_runs_on_cuda_and_waits_for_no_copy(
    each: Augment, count: int, seed: int
) -> None:
    with FakeTensorMode(), NothingWaits():
        images = torch.empty(count, 3, 32, 32, dtype=torch.uint8, device="cuda")
        result = each(images, None, chooser(seed))
    assert (result.device.type, result.shape, result.dtype) == ("cuda", images.shape, torch.uint8)


@pytest.mark.parametrize(
    "wait",
    [
        lambda images: images[images > 5],
        lambda images: images.sum().item(),
        lambda images: images if images.sum() > 5 else None,
        lambda images: images.nonzero(),
        lambda images: images * torch.tensor([0, 1], device=images.device).view(2, 1, 1, 1),
        lambda images: images * torch.tensor([0, 1]).to(images.device, non_blocking=True),
        lambda images: images.to("cpu", non_blocking=True),
    ],
)
def test_the_check_for_waiting_finds_what_waits(wait: Callable[[Tensor], Any]) -> None:
    with FakeTensorMode(), NothingWaits():
        images = torch.empty(2, 3, 32, 32, dtype=torch.uint8, device="cuda")
        with pytest.raises(AssertionError, match="waits"):
            wait(images)
