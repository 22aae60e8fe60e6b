"""Mixup and CutMix: images and labels are mixed in the same shares."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import cifar_core.augmentation.mixing as module
from cifar_core.augmentation.mixing import CLASSES, _boxes, cutmix, mix, mixup
from cifar_core.recipe import Augmentation
from tests.cifar_core.augmentation.batches import (
    NothingWaits,
    chooser,
    counts,
    examples,
    seeded,
    seeds,
    sides,
)

RECORDS = {
    "mixup": Augmentation(mixup=0.4),
    "cutmix": Augmentation(cutmix=1.0),
    "both": Augmentation(mixup=1.0, cutmix=0.5),
}
every_record = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)


def batch(count: int, height: int = 32, width: int = 32, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Normalised noise, channels last, and labels."""
    generator = seeded(seed)
    images = torch.randn(count, 3, height, width, generator=generator)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    return images.contiguous(memory_format=torch.channels_last), labels


def targets_of(labels: Tensor, partners: Tensor, kept: list[float]) -> Tensor:
    """Targets, label by label."""
    targets = torch.zeros(len(labels), CLASSES)
    for row, (own, share) in enumerate(zip(labels.tolist(), kept, strict=True)):
        targets[row, own] += share
        targets[row, labels[partners[row]]] += 1 - share
    return targets


@every_record
@given(count=counts, height=sides, width=sides, seed=seeds)
@examples
def test_shapes_types_sums_and_seeds(
    record: Augmentation, count: int, height: int, width: int, seed: int
) -> None:
    images, labels = batch(count, height, width, seed)
    before = images.clone(), labels.clone()
    mixed, targets = mix(images, labels, record, seeded(seed), chooser(seed))
    assert (mixed.shape, mixed.dtype) == (images.shape, torch.float32)
    assert (targets.shape, targets.dtype) == ((count, CLASSES), torch.float32)
    assert torch.allclose(targets.sum(1), torch.ones(count))
    assert targets.min() >= 0
    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])
    again = mix(images, labels, record, seeded(seed), chooser(seed))
    assert torch.equal(mixed, again[0])
    assert torch.equal(targets, again[1])


@every_record
@given(count=counts, height=sides, width=sides, seed=seeds)
@examples
def test_labels_have_the_shares_that_their_images_have(
    record: Augmentation, count: int, height: int, width: int, seed: int
) -> None:
    _, labels = batch(count, seed=seed)
    images = torch.nn.functional.one_hot(labels % 3, 3).float()  # a label's colour
    images = images.view(count, 3, 1, 1).expand(count, 3, height, width)
    mixed, targets = mix(images, labels, record, seeded(seed), chooser(seed))
    colours = torch.stack([targets[:, colour::3].sum(1) for colour in range(3)], dim=1)  # (B, 3)
    assert torch.allclose(mixed.mean((2, 3)), colours, atol=1e-5)


@every_record
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_memory_format_does_not_matter_and_becomes_channels_last(
    record: Augmentation, memory_format: torch.memory_format
) -> None:
    images, labels = batch(20, 12, 10)
    expected, _ = mix(images, labels, record, seeded(), chooser())
    images = images.contiguous(memory_format=memory_format)
    mixed, _ = mix(images, labels, record, seeded(), chooser())
    assert mixed.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(mixed, expected)


@given(count=counts, height=sides, width=sides, seed=seeds)
@examples
def test_mixup_is_the_blend_by_lambda(count: int, height: int, width: int, seed: int) -> None:
    images, labels = batch(count, height, width, seed)
    partners, kept = torch.randperm(count, generator=seeded(seed)), torch.rand(count)
    mixed, targets = mixup(images, labels, partners, kept)
    for row, share in enumerate(kept.tolist()):
        expected = share * images[row] + (1 - share) * images[partners[row]]
        assert torch.allclose(mixed[row], expected, atol=1e-5)
    assert torch.allclose(targets, targets_of(labels, partners, kept.tolist()))


@given(count=counts, height=sides, width=sides, seed=seeds)
@examples
def test_cutmix_pastes_exactly_the_box_and_counts_its_pixels(
    count: int, height: int, width: int, seed: int
) -> None:
    images, labels = batch(count, height, width, seed)
    partners, choices = torch.randperm(count, generator=seeded(seed)), chooser(seed)
    rows = np.sort(choices.integers(height + 1, size=(2, count)), axis=0)
    columns = np.sort(choices.integers(width + 1, size=(2, count)), axis=0)
    boxes = np.concatenate([rows, columns])
    mixed, targets = cutmix(images, labels, partners, boxes)
    expected, kept = images.clone(), []
    for row, (top, bottom, left, right) in enumerate(boxes.T.tolist()):
        box = (slice(None), slice(top, bottom), slice(left, right))
        expected[row][box] = images[partners[row]][box]
        kept.append(1 - (bottom - top) * (right - left) / (height * width))
    assert torch.equal(mixed, expected)
    assert torch.allclose(targets, targets_of(labels, partners, kept))


@given(seed=seeds, height=sides, width=sides)
@examples
def test_a_box_lies_in_the_image_and_is_as_large_as_lambda_says_where_it_fits(
    seed: int, height: int, width: int
) -> None:
    kept = chooser(seed).random(200)
    top, bottom, left, right = _boxes(kept, height, width, chooser(seed))
    for first, last, side in ((top, bottom, height), (left, right, width)):
        assert ((first >= 0) & (first <= last) & (last <= side)).all()
        whole = (first > 0) & (last < side)
        lengths = side * np.sqrt(1 - kept)
        assert np.abs(last - first - lengths)[whole].max(initial=0) <= 1
        assert (last - first <= lengths + 1).all()


def test_the_centre_of_a_box_is_uniform_over_the_image() -> None:
    # Boxes of 2x2 pixels, clipped at the edge: their first row says where the centre is.
    kept = np.full(40_000, 1 - (2 / 10) ** 2)
    top, bottom, left, right = _boxes(kept, 10, 10, chooser())
    for first, last in ((top, bottom), (left, right)):
        covered = np.stack([(first <= place) & (place < last) for place in range(10)]).mean(1)
        # By continuous centres rounded: each place by those within 1 pixel of its middle.
        assert covered[1:-1] == pytest.approx(np.full(8, 0.2), abs=0.01)
        assert covered[[0, -1]] == pytest.approx(np.full(2, 0.15), abs=0.01)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("way", ["mixup", "cutmix"])
def test_lambda_is_of_the_symmetric_beta_distribution_for_each_image(
    way: str, alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def boxes(kept: np.ndarray[tuple[int], np.dtype[np.float64]], *_: object) -> object:
        seen.append(kept)
        return np.zeros((4, len(kept)), np.int64)

    monkeypatch.setattr(module, "_boxes", boxes)
    monkeypatch.setattr(module, "mixup", lambda *args: seen.append(args[3].numpy()))
    images, labels = batch(20_000, 1, 1)
    mix(images, labels, Augmentation.model_validate({way: alpha}), seeded(), chooser())
    (kept,) = seen
    assert len(set(kept.tolist())) > 15_000
    assert kept.mean() == pytest.approx(0.5, abs=0.02)
    assert kept.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_partners_are_a_permutation_of_the_batch_each_equally_likely() -> None:
    count, batches = 5, 4000
    images, labels = torch.zeros(count, 3, 1, 1), torch.arange(count)
    generator, choices, seen = seeded(), chooser(), torch.zeros(count, count)
    for _ in range(batches):
        _, targets = mix(images, labels, Augmentation(mixup=20.0), generator, choices)
        partners = (targets > 0)[:, :count].float()
        partners -= torch.eye(count) * (partners.sum(1, keepdim=True) > 1)
        assert (partners.sum(0) == 1).all()
        seen += partners
    expected = batches / count
    assert (seen - expected).abs().max() < 5 * math.sqrt(expected)


def test_with_both_each_batch_gets_one_of_the_two() -> None:
    images = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 6, 6)
    generator, choices, blended = seeded(), chooser(), []
    for _ in range(400):
        mixed, _ = mix(images, torch.arange(8), RECORDS["both"], generator, choices)
        whole = (mixed == mixed.round()).flatten(1).all(1)
        moved = (mixed != images).flatten(1).any(1)
        # CutMix leaves every pixel one of the two; mixup leaves none but where they are the same.
        assert whole.all() or not (whole & moved).any()
        blended.append(not whole.all())
    assert sum(blended) == pytest.approx(200, abs=50)


def test_one_image_alone_stays_itself() -> None:
    images, labels = batch(1)
    for record in RECORDS.values():
        mixed, targets = mix(images, labels, record, seeded(), chooser())
        assert torch.allclose(mixed, images)
        assert targets[0, labels[0]] == pytest.approx(1)


def test_a_record_that_mixes_nothing_is_refused() -> None:
    images, labels = batch(2)
    with pytest.raises(ValueError, match="`mixup` or `cutmix` must be above 0"):
        mix(images, labels, Augmentation(), seeded(), chooser())


@pytest.mark.parametrize("alpha", [1e-3, 100.0])
@given(seed=seeds)
@examples
def test_extreme_alphas_give_finite_images(alpha: float, seed: int) -> None:
    images, labels = batch(16, 6, 6, seed)
    for record in (Augmentation(mixup=alpha), Augmentation(cutmix=alpha)):
        mixed, targets = mix(images, labels, record, seeded(seed), chooser(seed))
        assert mixed.isfinite().all()
        assert targets.isfinite().all()


@every_record
@given(seed=st.integers(0, 20))
@examples
def test_no_value_of_a_tensor_decides_what_is_computed(record: Augmentation, seed: int) -> None:
    images, labels = batch(16)
    with NothingWaits():
        mix(images, labels, record, seeded(seed), chooser(seed))


@every_record
@pytest.mark.parametrize("seed", range(4))
def test_the_same_code_runs_on_cuda_and_waits_for_no_copy(record: Augmentation, seed: int) -> None:
    with FakeTensorMode(), NothingWaits():
        images = torch.empty(16, 3, 32, 32, device="cuda").contiguous(
            memory_format=torch.channels_last
        )
        labels = torch.zeros(16, dtype=torch.int64, device="cuda")
        mixed, targets = mix(images, labels, record, None, chooser(seed))
    assert (mixed.device.type, mixed.shape) == ("cuda", images.shape)
    assert (targets.device.type, targets.shape) == ("cuda", (16, CLASSES))


@every_record
def test_autocast_does_not_coarsen_images_or_targets(record: Augmentation) -> None:
    images, labels = batch(16)
    expected = mix(images, labels, record, seeded(), chooser())
    with torch.autocast("cpu", torch.bfloat16):
        mixed, targets = mix(images, labels, record, seeded(), chooser())
    assert torch.equal(mixed, expected[0])
    assert torch.equal(targets, expected[1])
